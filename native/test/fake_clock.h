// A clock that stands until the test lets time pass, for engines without threads on the faulty table. Workers never
// really wait; when they would, it is known until when, so that a test can jump from one timer to the next: minutes of
// limits take microseconds, and a hang is seen at once.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <vector>

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
  void jump_to(Millis now) { now_ = now; }
  void advance(Millis by) { now_ += by; }

  // True when no worker found an event when it last looked, nor had anything else to do.
  bool asleep() const;
  // When the first of them wants to be woken; kNever when none does.
  Millis next_due() const;
  // How often workers have looked for events since the clock stands.
  uint64_t waits() const { return waits_; }

  // The faulty table's side.
  void add(int epoll);
  int wait(int epoll, epoll_event* events, int capacity, int timeout_ms);
  void forget(int epoll);

 private:
  struct Sleeper {
    int epoll;
    bool asleep = false;
    Millis due = kNever;
  };

  std::vector<Sleeper> sleepers_;
  std::atomic<Millis> now_{0};
  uint64_t waits_ = 0;
};

}  // namespace millrace::test
