// A clock that stands until the test lets time pass, for engines on the faulty table. Workers that sleep in epoll_wait
// are known by when they want to be woken, so that a test can jump from one timer to the next, and can tell a worker
// that has nothing to do from one that is at work: minutes of limits take milliseconds, and a hang is seen at once.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "timer_wheel.h"

namespace millrace::test {

class FakeClock {
 public:
  static FakeClock& instance();

  // From here on the clock stands. Before any engine is made.
  void stop();
  // The kernel's clock again. After every engine is gone.
  void resume();
  bool stopped() const { return now_ != 0; }
  Millis now() const { return now_ != 0 ? now_.load() : now_ms(); }

  // True when every worker sleeps and no event waits for it.
  bool quiet();
  // When the first of the sleeping workers wants to be woken; kNever when none does.
  Millis next_due();
  // Lets time pass, and wakes the workers whose time has come.
  void jump_to(Millis now);
  void advance(Millis by) { jump_to(now() + by); }
  // How often workers have gone to sleep or looked for events.
  uint64_t waits() const { return waits_; }

  // The faulty table's side.
  void add_worker(int epoll, int wake);
  void remove_worker(int epoll);
  int wait(int epoll, epoll_event* events, int capacity, int timeout_ms);

 private:
  struct Sleeper {
    int wake = -1;
    bool asleep = false;
    Millis due = kNever;
  };

  std::mutex mutex_;
  std::map<int, Sleeper> sleepers_;  // by epoll
  std::atomic<Millis> now_{0};
  std::atomic<uint64_t> waits_{0};
};

}  // namespace millrace::test
