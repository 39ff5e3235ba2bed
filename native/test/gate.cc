#include "gate.h"

#include "support.h"

namespace millrace::test {

Gate& Gate::instance() {
  static Gate gate;
  return gate;
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool Gate::await(uint32_t workers) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return standing_ == workers; });
}

bool Gate::step(uint32_t workers) {
  std::unique_lock lock(mutex_);
  ++steps_;
  standing_ = 0;
  changed_.notify_all();
  return changed_.wait_for(lock, kPatience, [&] { return standing_ == workers; });
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

void Gate::pass() {
  std::unique_lock lock(mutex_);
  ++standing_;
  changed_.notify_all();
  const uint64_t arrived = steps_;
  changed_.wait(lock, [&] { return !closed_ || steps_ != arrived; });
  if (steps_ == arrived) --standing_;
}

}  // namespace millrace::test
