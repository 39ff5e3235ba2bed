#include "timer_wheel.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <vector>

#include "support.h"

namespace millrace::test {

namespace {

constexpr Millis kStart = 1'000'000;
constexpr Millis kTick = 10;
// Beyond this an arming is clamped.
constexpr Millis kHorizon = 511 * kTick;

struct Alarm final : TimerTarget {
  explicit Alarm(TimerWheel& owner) : wheel(owner), timer(*this) {}
  void on_timer(Millis now) override {
    ++calls;
    last = now;
    // As every owner in the engine does when it is called early.
    if (wanted != kNever && now < wanted) {
      wheel.arm(timer, wanted);
      return;
    }
    wanted = kNever;
    if (then) then(now);
  }
  void arm(Millis due) {
    wanted = due;
    wheel.arm(timer, due);
  }

  TimerWheel& wheel;
  Timer timer;
  Millis wanted = kNever;
  Millis last = 0;
  int calls = 0;
  std::function<void(Millis)> then;
};

}  // namespace

TEST_CASE("timer wheel: rings at its tick, once, not before") {
  TimerWheel wheel(kStart);
  Alarm alarm(wheel);
  CHECK(wheel.timeout(kStart) == -1);
  alarm.arm(kStart + 25);
  CHECK(wheel.timeout(kStart) == 30);
  wheel.advance(kStart + 29);
  CHECK(alarm.calls == 0);
  CHECK(wheel.timeout(kStart + 29) == 1);
  wheel.advance(kStart + 30);
  CHECK(alarm.calls == 1);
  wheel.advance(kStart + 10'000);
  CHECK(alarm.calls == 1);
  CHECK(wheel.timeout(kStart + 10'000) == -1);
}

TEST_CASE("timer wheel: what is due already rings at the next tick") {
  TimerWheel wheel(kStart);
  Alarm alarm(wheel);
  alarm.arm(kStart - 500);
  CHECK(wheel.timeout(kStart) == 10);
  CHECK(wheel.timeout(kStart + 50) == 0);
  wheel.advance(kStart + 50);
  CHECK(alarm.calls == 1);
}

TEST_CASE("timer wheel: an earlier arming stays, a later one is dropped, never cancels") {
  TimerWheel wheel(kStart);
  Alarm alarm(wheel);
  wheel.arm(alarm.timer, kStart + 100);
  wheel.arm(alarm.timer, kStart + 900);
  CHECK(wheel.timeout(kStart) == 100);
  wheel.arm(alarm.timer, kStart + 40);
  CHECK(wheel.timeout(kStart) == 40);
  wheel.arm(alarm.timer, kNever);
  CHECK(wheel.timeout(kStart) == -1);
  wheel.cancel(alarm.timer);
  wheel.advance(kStart + 2000);
  CHECK(alarm.calls == 0);
}

TEST_CASE("timer wheel: beyond the horizon it rings early, and the owner gets there by arming again") {
  TimerWheel wheel(kStart);
  Alarm alarm(wheel);
  alarm.arm(kStart + 12'345);
  CHECK(wheel.timeout(kStart) == static_cast<int>(kHorizon));
  for (Millis now = kStart; alarm.wanted != kNever; now += kTick) {
    REQUIRE(now <= kStart + 12'350);
    wheel.advance(now);
  }
  CHECK(alarm.last >= kStart + 12'345);
  CHECK(alarm.calls == 3);
}

TEST_CASE("timer wheel: a jump of the clock rings everything once") {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 600; ++i) {
    alarms.push_back(std::make_unique<Alarm>(wheel));
    alarms.back()->arm(kStart + static_cast<Millis>(i) * 8);
  }
  wheel.advance(kStart + 3'600'000);
  for (const auto& alarm : alarms) CHECK(alarm->calls == 1);
  CHECK(wheel.timeout(kStart + 3'600'000) == -1);
}

TEST_CASE("timer wheel: callbacks arm and cancel timers, their own and those due in the same tick") {
  TimerWheel wheel(kStart);
  Alarm first(wheel);
  Alarm second(wheel);
  Alarm third(wheel);
  // Whichever is called first cancels the other.
  first.then = [&](Millis) { wheel.cancel(second.timer); };
  second.then = [&](Millis) { wheel.cancel(first.timer); };
  first.arm(kStart + 20);
  second.arm(kStart + 20);
  third.then = [&](Millis now) {
    if (third.calls < 5) third.arm(now);
  };
  third.arm(kStart + 20);
  wheel.advance(kStart + 20);
  CHECK(first.calls + second.calls == 1);
  CHECK(third.calls == 1);
  // Armed for now while now is being rung: the next tick, not an endless loop.
  for (Millis now = kStart + 20; now <= kStart + 200; now += kTick) wheel.advance(now);
  CHECK(third.calls == 5);
}

TEST_CASE("timer wheel: at random against a list") {
  Random random(99);
  TimerWheel wheel(kStart);
  constexpr size_t kTimers = 64;
  std::vector<std::unique_ptr<Alarm>> alarms;
  std::vector<Millis> model(kTimers, kNever);
  for (size_t i = 0; i < kTimers; ++i) {
    alarms.push_back(std::make_unique<Alarm>(wheel));
    alarms[i]->then = [&model, i](Millis now) {
      CHECK(now >= model[i]);
      model[i] = kNever;
    };
  }
  Millis now = kStart;
  for (int step = 0; step < 20'000; ++step) {
    const size_t i = random.below(kTimers);
    if (random.below(4) == 0) {
      wheel.cancel(alarms[i]->timer);
      alarms[i]->wanted = kNever;
      model[i] = kNever;
    } else if (model[i] == kNever) {
      model[i] = now + random.below(random.below(10) == 0 ? 20'000 : 700);
      alarms[i]->arm(model[i]);
    }
    now += random.below(random.below(50) == 0 ? 8000 : 15);
    // Nothing may be asleep past its time: epoll would not wake up for it.
    const int timeout = wheel.timeout(now);
    Millis soonest = kNever;
    for (const Millis due : model) soonest = std::min(soonest, due);
    if (soonest == kNever) {
      REQUIRE(timeout == -1);
    } else {
      REQUIRE(timeout >= 0);
      const Millis latest = std::max(soonest, now) + kTick;
      REQUIRE(now + static_cast<Millis>(timeout) <= latest);
    }
    wheel.advance(now);
    for (const Millis due : model) REQUIRE((due == kNever || due + kTick > now));
  }
}

}  // namespace millrace::test
