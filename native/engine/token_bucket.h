// A bandwidth limit that directions of any worker may share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "timer_wheel.h"

namespace millrace {

class TokenBucket {
 public:
  // Bytes per second and bytes that may pass at once, each ≥ 1.
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst), refilled_(now_ms()) {}

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
    tokens_ = std::min(burst_, tokens_ + static_cast<double>(bytes));
  }

  // When a worthwhile number of bytes (a fiftieth of a second's, at least one) will be there.
  Millis ready_at(Millis now) {
    const std::lock_guard lock(mutex_);
    refill(now);
    const double aim = std::min(burst_, std::max(1.0, rate_ / 50));
    if (tokens_ >= aim) return now;
    return now + static_cast<Millis>((aim - tokens_) * 1000 / rate_) + 1;
  }

 private:
  void refill(Millis now) {
    if (now <= refilled_) return;
    tokens_ = std::min(burst_, tokens_ + rate_ * static_cast<double>(now - refilled_) / 1000);
    refilled_ = now;
  }

  std::mutex mutex_;
  const double rate_;
  const double burst_;
  double tokens_;
  Millis refilled_;
};

}  // namespace millrace
