#include "fake_clock.h"

#include <poll.h>

#include <algorithm>

#include "syscalls.h"

namespace millrace::test {

FakeClock& FakeClock::instance() {
  static FakeClock clock;
  return clock;
}

void FakeClock::stop() { now_ = now_ms(); }

void FakeClock::resume() { now_ = 0; }

bool FakeClock::quiet() {
  const std::lock_guard lock(mutex_);
  return std::all_of(sleepers_.begin(), sleepers_.end(), [](const auto& entry) {
    pollfd waiting{.fd = entry.first, .events = POLLIN, .revents = 0};
    return entry.second.asleep && ::poll(&waiting, 1, 0) == 0;
  });
}

Millis FakeClock::next_due() {
  const std::lock_guard lock(mutex_);
  Millis first = kNever;
  for (const auto& [epoll, sleeper] : sleepers_) first = std::min(first, sleeper.due);
  return first;
}

void FakeClock::jump_to(Millis now) {
  const std::lock_guard lock(mutex_);
  now_ = std::max(now_.load(), now);
  for (const auto& [epoll, sleeper] : sleepers_) {
    if (sleeper.due > now) continue;
    // An edge that says nothing: an eventfd is always writable.
    epoll_event edge{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = nullptr}};
    kernel_syscalls().epoll_ctl(epoll, EPOLL_CTL_MOD, sleeper.wake, &edge);
  }
}

void FakeClock::add_worker(int epoll, int wake) {
  const std::lock_guard lock(mutex_);
  sleepers_[epoll] = {.wake = wake};
}

void FakeClock::remove_worker(int epoll) {
  const std::lock_guard lock(mutex_);
  sleepers_.erase(epoll);
}

int FakeClock::wait(int epoll, epoll_event* events, int capacity, int timeout_ms) {
  ++waits_;
  if (!stopped()) return kernel_syscalls().epoll_wait(epoll, events, capacity, timeout_ms);
  {
    const std::lock_guard lock(mutex_);
    Sleeper& sleeper = sleepers_[epoll];
    sleeper.asleep = timeout_ms != 0;
    sleeper.due = timeout_ms < 0 ? kNever : now_ + static_cast<Millis>(timeout_ms);
  }
  const int count = kernel_syscalls().epoll_wait(epoll, events, capacity, timeout_ms == 0 ? 0 : -1);
  const std::lock_guard lock(mutex_);
  if (const auto found = sleepers_.find(epoll); found != sleepers_.end()) found->second.asleep = false;
  return count;
}

}  // namespace millrace::test
