// Idle, half-closed, duration and stall limits; bandwidth; byte counts.
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("limits: an idle join ends, and not while bytes move") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode, .limits = {.idle = 400}});
    for (int i = 0; i < 8; ++i) {
      pause_ms(100);
      REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
      REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
    }
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Idle);
    CHECK(end.ms >= 400);
    CHECK(end.a_to_b == 80);
    CHECK(receive_all(joined.a.get()).end == End::Reset);
    CHECK(receive_all(joined.b.get()).end == End::Reset);
  });
}

TEST_CASE("limits: the half-closed limit starts with the first FIN") {
  Harness harness;
  for (const bool from_a : {true, false}) {
    CAPTURE(from_a);
    const Joined joined = harness.start({.limits = {.half_closed_idle = 200}});
    pause_ms(400);
    CHECK_FALSE(harness.inbox.has(EventType::JoinEnded, joined.token));
    finish(from_a ? joined.a.get() : joined.b.get());
    CHECK(receive_all(from_a ? joined.b.get() : joined.a.get()).end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::HalfClosedIdle);
    CHECK(end.ms >= 200);
  }
}

TEST_CASE("limits: bytes in the other direction push the half-closed limit back") {
  Harness harness;
  const Joined joined = harness.start({.limits = {.half_closed_idle = 300}});
  finish(joined.a.get());
  for (int i = 0; i < 6; ++i) {
    pause_ms(100);
    REQUIRE(send_all(joined.b.get(), pattern(1, 5)));
    REQUIRE(receive(joined.a.get(), 5).bytes.size() == 5);
  }
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::HalfClosedIdle);
  CHECK(end.b_to_a == 30);
}

TEST_CASE("limits: a join lives no longer than it may, busy or not") {
  Harness harness;
  for (const bool busy : {true, false}) {
    CAPTURE(busy);
    const Joined joined = harness.start({.limits = {.duration = 300}});
    std::thread sender;
    std::thread reader;
    if (busy) {
      sender = std::thread([&] {
        const Bytes block = pattern(1, 65'536);
        while (send_all(joined.a.get(), block)) pause_ms(1);
      });
      reader = std::thread([&] { receive_all(joined.b.get()); });
    }
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Limit);
    CHECK(end.ms >= 300);
    if (busy) {
      sender.join();
      reader.join();
    }
  }
}

TEST_CASE("limits: bytes that wait too long for a sink that takes none") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode, .limits = {.stalled = 300}, .buffers = 16'384});
    // A join with nothing to send is not stalled.
    pause_ms(400);
    CHECK_FALSE(harness.inbox.has(EventType::JoinEnded, joined.token));
    std::thread sender([&] { send_all(joined.a.get(), pattern(1, 1 << 20)); });
    const JoinEnd end = harness.ended(joined);
    sender.join();
    CHECK(end.reason == EndReason::Stalled);
    CHECK(end.ms >= 300);
  });
}

TEST_CASE("limits: a slow sink is not a stalled one") {
  Harness harness;
  const Joined joined = harness.start({.limits = {.stalled = 1500}, .buffers = 16'384});
  const Bytes bytes = pattern(2, 300'000);
  std::thread sender([&] {
    send_all(joined.a.get(), bytes);
    finish(joined.a.get());
  });
  Bytes got;
  while (got.size() < bytes.size()) {
    const Received part = receive(joined.b.get(), 30'000);
    if (part.bytes.empty()) break;
    got.insert(got.end(), part.bytes.begin(), part.bytes.end());
    pause_ms(200);
  }
  sender.join();
  CHECK((got == bytes));
  finish(joined.b.get());
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

TEST_CASE("limits: 'never' and numbers beyond all clocks are off") {
  Harness harness;
  for (const Millis never : {kNever, kNever - 1, Millis{1} << 60}) {
    const Joined joined = harness.start(
        {.limits = {.idle = never, .half_closed_idle = never, .duration = never, .stalled = never}});
    finish(joined.a.get());
    CHECK(receive_all(joined.b.get()).end == End::Fin);
    // Several ticks of the timers.
    pause_ms(60);
    REQUIRE(send_all(joined.b.get(), pattern(1, 100)));
    CHECK(receive(joined.a.get(), 100).bytes.size() == 100);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  }
}

TEST_CASE("limits: bandwidth holds a direction back, and nothing else") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Plan plan{.mode = mode};
    plan.a_to_b.rate = std::make_shared<TokenBucket>(400'000, 100'000);
    const Joined joined = harness.start(plan);
    const Bytes bytes = pattern(1, 300'000);
    const auto start = std::chrono::steady_clock::now();
    std::thread sender([&] {
      send_all(joined.a.get(), bytes);
      finish(joined.a.get());
    });
    // The other direction knows no limit.
    REQUIRE(send_all(joined.b.get(), bytes));
    CHECK((receive(joined.a.get(), bytes.size()).bytes == bytes));
    const Received at_b = receive_all(joined.b.get());
    sender.join();
    CHECK((at_b.bytes == bytes));
    // 100 000 at once and 200 000 at the rate: that is the least it can take.
    CHECK(seconds_since(start) >= 0.45);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("limits: bandwidth shared by joins on all workers") {
  Harness harness;
  const auto shared = std::make_shared<TokenBucket>(600'000, 60'000);
  constexpr size_t kJoins = 4;
  constexpr size_t kEach = 100'000;
  std::vector<Joined> joins;
  for (size_t i = 0; i < kJoins; ++i) {
    Plan plan;
    plan.a_to_b.rate = shared;
    joins.push_back(harness.start(plan));
  }
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  std::vector<Received> received(kJoins);
  for (size_t i = 0; i < kJoins; ++i) {
    threads.emplace_back([&, i] {
      send_all(joins[i].a.get(), pattern(i, kEach));
      finish(joins[i].a.get());
      received[i] = receive_all(joins[i].b.get());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(seconds_since(start) >= 0.5);
  for (size_t i = 0; i < kJoins; ++i) {
    CHECK((received[i].bytes == pattern(i, kEach)));
    finish(joins[i].b.get());
    CHECK(harness.ended(joins[i]).a_to_b == kEach);
  }
}

TEST_CASE("limits: a slow rate is no idleness of the engine's making: bytes trickle, one by one") {
  Harness harness;
  Plan plan;
  plan.a_to_b.rate = std::make_shared<TokenBucket>(50, 1);
  const Joined joined = harness.start(plan);
  const Bytes bytes = pattern(1, 20);
  REQUIRE(send_all(joined.a.get(), bytes));
  finish(joined.a.get());
  const Received at_b = receive_all(joined.b.get());
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Fin);
  finish(joined.b.get());
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

TEST_CASE("limits: max_bytes ends a direction without a FIN; the head counts; what follows is dropped") {
  Harness harness;
  for_each_plan([&](Plan plan) {
    const Bytes head = pattern(1, 1000);
    const Bytes body = pattern(2, 300'000);
    plan.a_to_b.head = head;
    plan.a_to_b.max_bytes = head.size() + body.size();
    const Joined joined = harness.start(plan);
    Bytes sent = body;
    const Bytes surplus = pattern(3, 30'000);
    sent.insert(sent.end(), surplus.begin(), surplus.end());
    std::thread sender([&] { send_all(joined.a.get(), sent); });
    Bytes expected = head;
    expected.insert(expected.end(), body.begin(), body.end());
    CHECK((receive(joined.b.get(), expected.size()).bytes == expected));
    sender.join();
    // The answer still passes, and its end is the join's.
    const Bytes answer = pattern(4, 50'000);
    REQUIRE(send_all(joined.b.get(), answer));
    finish(joined.b.get());
    const Received at_a = receive_all(joined.a.get());
    CHECK((at_a.bytes == answer));
    CHECK(at_a.end == End::Fin);
    const Received rest = receive_all(joined.b.get());
    CHECK(rest.bytes.empty());
    CHECK(rest.end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == expected.size());
    CHECK(end.b_to_a == answer.size());
  });
}

TEST_CASE("limits: max_bytes smaller than the head, and 0") {
  Harness harness;
  for (const uint64_t most : {uint64_t{10}, uint64_t{0}}) {
    CAPTURE(most);
    Plan plan;
    plan.a_to_b.head = pattern(1, 1000);
    plan.a_to_b.max_bytes = most;
    const Joined joined = harness.start(plan);
    REQUIRE(send_all(joined.a.get(), pattern(2, 500)));
    finish(joined.b.get());
    Bytes expected = pattern(1, 1000);
    expected.resize(most);
    CHECK((receive_all(joined.b.get()).bytes == expected));
    CHECK(receive_all(joined.a.get()).end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == most);
  }
}

TEST_CASE("limits: behind max_bytes a source that never stops is read within a bound only") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  Plan plan{.buffers = 16'384};
  plan.a_to_b.max_bytes = 10;
  const Joined joined = harness.start(plan);
  std::atomic<size_t> sent{0};
  std::thread sender([&] {
    const Bytes block = pattern(1, 1000);
    while (send_all(joined.a.get(), block)) sent += block.size();
  });
  // The answer passes all the same.
  const Bytes answer = pattern(2, 100'000);
  REQUIRE(send_all(joined.b.get(), answer));
  CHECK((receive(joined.a.get(), answer.size()).bytes == answer));
  size_t before = 0;
  REQUIRE(eventually([&] {
    const size_t now = sent;
    const bool stuck = now == before && now > 0;
    before = now;
    pause_ms(50);
    return stuck;
  }));
  CHECK(sent < 1 << 20);
  harness.engine.abort(joined.left);
  sender.join();
  CHECK(harness.ended(joined).a_to_b == 10);
}

}  // namespace millrace::test
