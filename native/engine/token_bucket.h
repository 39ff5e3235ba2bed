// A bandwidth limit that directions of any worker may share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "timer_wheel.h"

namespace millrace {

// Any five seconds carry at most 5·rate + burst, and at least 0.98·5·rate while bytes wait.
class TokenBucket {
 public:
  // Bytes per second and bytes that may pass at once after a pause, each ≥ 1. Workers come by milliseconds, and late,
  // so no less than kSlack seconds' worth may; a rate whose burst is smaller is lowered by what that adds.
  TokenBucket(double rate, double burst)
      : rate_(burst < rate * kSlack ? rate * kShare : rate), capacity_(std::max(burst, rate * kSlack)), tokens_(burst) {}

  // Takes up to `want` bytes' worth; 0 when less than one byte's worth is there.
  uint64_t take(uint64_t want, Millis now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    if (tokens_ < 1) return 0;
    const auto granted = std::min(want, static_cast<uint64_t>(tokens_));
    tokens_ -= static_cast<double>(granted);
    return granted;
  }

  // Gives back what was taken and not used.
  void give_back(uint64_t bytes) {
    if (bytes == 0) return;
    const std::lock_guard lock(mutex_);
    tokens_ = std::min(capacity_, tokens_ + static_cast<double>(bytes));
  }

  // When a worthwhile number of bytes (a fiftieth of a second's, at least one) will be there.
  Millis ready_at(Millis now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    const double aim = std::min(capacity_, std::max(1.0, rate_ / 50));
    if (tokens_ >= aim) return now;
    return now + static_cast<Millis>((aim - tokens_) * 1000 / rate_) + 1;
  }

 private:
  void refill(Millis now) {
    if (now <= refilled_) return;
    const Millis elapsed = refilled_ == 0 ? 0 : now - refilled_;
    tokens_ = std::max(tokens_, std::min(capacity_, tokens_ + rate_ * static_cast<double>(elapsed) / 1000));
    refilled_ = now;
  }

  // 5·kShare + kSlack < 5, and 5·kShare exceeds 5·0.98 by more than what passes in one visit, three ticks of the wheel.
  static constexpr double kSlack = 0.06;
  static constexpr double kShare = 0.987;

  std::mutex mutex_;
  const double rate_;
  const double capacity_;
  double tokens_;
  Millis refilled_ = 0;  // before the first use
};

}  // namespace millrace
