// Coarse timers for one worker: 10 ms ticks, O(1) to arm and cancel, no allocation. A due time beyond the horizon is
// clamped, and the owner, called early, arms itself again: limits of minutes cost one call every five seconds.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace millrace {

// Milliseconds of CLOCK_MONOTONIC.
using Millis = uint64_t;
inline constexpr Millis kNever = UINT64_MAX;
Millis now_ms();

class TimerTarget {
 public:
  // May come up to a tick late, and early for due times beyond the horizon.
  virtual void on_timer(Millis now) = 0;

 protected:
  ~TimerTarget() = default;
};

struct Timer {
  explicit Timer(TimerTarget& owner) : target(&owner) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  TimerTarget* target;
  Timer* previous = nullptr;
  Timer* next = nullptr;
  Millis due = kNever;  // kNever while not armed
  uint32_t slot = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Millis now) : current_(now / kTick) {}
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms or re-arms; kNever cancels. An earlier arming is kept when `due` is later: the owner re-checks when called.
  void arm(Timer& timer, Millis due) {
    if (due == kNever) return cancel(timer);
    if (timer.due != kNever) {
      if (timer.due <= due) return;
      cancel(timer);
    }
    Millis tick = (due + kTick - 1) / kTick;
    if (tick <= current_) tick = current_ + 1;
    if (tick >= current_ + kSlots) tick = current_ + kSlots - 1;
    timer.due = tick * kTick;
    timer.slot = static_cast<uint32_t>(tick % kSlots);
    Timer*& head = slots_[timer.slot];
    timer.previous = nullptr;
    timer.next = head;
    if (head) head->previous = &timer;
    head = &timer;
    occupied_[timer.slot / 64] |= uint64_t{1} << (timer.slot % 64);
  }

  void cancel(Timer& timer) {
    if (timer.due == kNever) return;
    if (timer.previous) timer.previous->next = timer.next;
    else slots_[timer.slot] = timer.next;
    if (timer.next) timer.next->previous = timer.previous;
    timer.previous = timer.next = nullptr;
    timer.due = kNever;
    if (!slots_[timer.slot]) occupied_[timer.slot / 64] &= ~(uint64_t{1} << (timer.slot % 64));
  }

  // Calls what is due. Targets may arm and cancel any timer meanwhile.
  void advance(Millis now) {
    const Millis target_tick = now / kTick;
    if (target_tick > current_ + kSlots) current_ = target_tick - kSlots;
    while (current_ < target_tick) {
      ++current_;
      const auto slot = static_cast<uint32_t>(current_ % kSlots);
      while (Timer* timer = slots_[slot]) {
        cancel(*timer);
        timer->target->on_timer(now);
      }
    }
  }

  // Milliseconds until the next timer, -1 when there is none: epoll_wait's time-out.
  int timeout(Millis now) const {
    for (uint32_t step = 1; step < kSlots;) {
      const auto slot = static_cast<uint32_t>((current_ + step) % kSlots);
      const uint64_t bits = occupied_[slot / 64] >> (slot % 64);
      if (bits == 0) {
        step += 64 - slot % 64;
        continue;
      }
      const Millis due = (current_ + step + static_cast<uint32_t>(std::countr_zero(bits))) * kTick;
      return due > now ? static_cast<int>(due - now) : 0;
    }
    return -1;
  }

 private:
  static constexpr Millis kTick = 10;
  static constexpr uint32_t kSlots = 512;

  Millis current_;
  std::array<Timer*, kSlots> slots_{};
  std::array<uint64_t, kSlots / 64> occupied_{};
};

}  // namespace millrace
