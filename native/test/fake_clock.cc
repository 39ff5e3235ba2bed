#include "fake_clock.h"

#include <algorithm>

#include "syscalls.h"

namespace millrace::test {

FakeClock& FakeClock::instance() {
  static FakeClock clock;
  return clock;
}

void FakeClock::stop() {
  now_ = now_ms();
  waits_ = 0;
  sleepers_.clear();
}

void FakeClock::resume() { now_ = 0; }

bool FakeClock::asleep() const {
  return std::all_of(sleepers_.begin(), sleepers_.end(),
                     [this](const Sleeper& sleeper) { return sleeper.asleep && now_ < sleeper.due; });
}

Millis FakeClock::next_due() const {
  Millis first = kNever;
  for (const Sleeper& sleeper : sleepers_) first = std::min(first, sleeper.due);
  return first;
}

void FakeClock::add(int epoll) {
  if (stopped()) sleepers_.push_back({epoll});
}

void FakeClock::forget(int epoll) {
  if (stopped()) std::erase_if(sleepers_, [epoll](const Sleeper& sleeper) { return sleeper.epoll == epoll; });
}

int FakeClock::wait(int epoll, epoll_event* events, int capacity, int timeout_ms) {
  if (!stopped()) return kernel_syscalls().epoll_wait(epoll, events, capacity, timeout_ms);
  ++waits_;
  const int count = kernel_syscalls().epoll_wait(epoll, events, capacity, 0);
  for (Sleeper& sleeper : sleepers_) {
    if (sleeper.epoll != epoll) continue;
    sleeper.asleep = timeout_ms != 0 && count == 0;
    sleeper.due = timeout_ms < 0 ? kNever : now_ + static_cast<Millis>(timeout_ms);
  }
  return count;
}

}  // namespace millrace::test
