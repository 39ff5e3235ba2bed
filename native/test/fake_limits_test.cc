// Every limit of a join on a clock that stands: they end joins when they should, to the tick, after minutes and hours.
#include "fault_world.h"
#include "harness.h"

namespace millrace::test {

namespace {

constexpr Millis kMinute = 60'000;
// A tick of the wheel, and what epoll's milliseconds add.
constexpr Millis kLate = 20;

// Two joined peers in a world whose clock stands.
class Timed {
 public:
  explicit Timed(const JoinLimits& limits, int buffers = 0, std::shared_ptr<TokenBucket> rate = nullptr) {
    FakeClock::instance().stop();
    world_ = std::make_unique<World>(worker_count());
    REQUIRE(world_->start() == 0);
    int error = 0;
    auto spec = std::make_unique<JoinSpec>();
    for (Peer* peer : {&world_->a, &world_->b}) {
      SocketPair pair = connect_pair(Family::Tcp, buffers);
      (peer == &world_->a ? spec->a : spec->b) = world_->engine.adopt(world_->client, pair.near.take(), error);
      peer->connect(std::move(pair.far));
    }
    spec->token = 1;
    spec->client = world_->client;
    spec->cell = &world_->cell;
    spec->limits = limits;
    spec->a_to_b.rate = std::move(rate);
    world_->engine.join(std::move(spec));
    started_ = now();
    // Both sides are on one worker and have looked around.
    world_->settle();
  }
  ~Timed() {
    world_.reset();
    FakeClock::instance().resume();
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

  World& operator*() { return *world_; }
  World* operator->() { return world_.get(); }
  Millis now() const { return FakeClock::instance().now(); }
  Millis elapsed() const { return now() - started_; }
  // Lets time pass in which the timers get their turns.
  void pass(Millis by) {
    const Millis until = now() + by;
    while (now() < until && world_->count(EventType::JoinEnded) == 0) {
      REQUIRE(world_->trouble().empty());
      const Millis due = FakeClock::instance().next_due();
      FakeClock::instance().jump_to(std::max(now(), std::min(until, due)));
      world_->settle();
    }
  }
  // Sends `size` more bytes of `peer` to the other, and sees them arrive.
  void send(bool from_a, size_t size) {
    Peer& from = from_a ? world_->a : world_->b;
    Peer& to = from_a ? world_->b : world_->a;
    size_t& total = from_a ? from_a_ : from_b_;
    total += size;
    from.say(bytes_, total);
    to.expect(bytes_, total);
    world_->settle();
    REQUIRE(to.heard_all());
  }
  bool ended() const { return world_->count(EventType::JoinEnded) > 0; }
  EndReason reason() {
    const auto event = world_->await(EventType::JoinEnded);
    REQUIRE(event.has_value());
    CHECK(event->record.values[4] == elapsed());
    return static_cast<EndReason>(event->record.code & 0xff);
  }

 private:
  const FaultScope scope_;
  std::unique_ptr<World> world_;
  const Bytes bytes_ = pattern(1, 1 << 20);
  Millis started_ = 0;
  size_t from_a_ = 0;
  size_t from_b_ = 0;
};

}  // namespace

TEST_CASE("limits on a clock of their own: idle for half an hour, and not a tick before") {
  Timed timed({.idle = 30 * kMinute});
  // Bytes of either direction keep it alive.
  for (int i = 0; i < 6; ++i) {
    timed.pass(29 * kMinute);
    CHECK_FALSE(timed.ended());
    timed.send(i % 2 == 0, 10);
  }
  const Millis last = timed.elapsed();
  timed.pass(30 * kMinute - 1);
  CHECK_FALSE(timed.ended());
  timed.pass(kLate);
  REQUIRE(timed.ended());
  CHECK(timed.elapsed() >= last + 30 * kMinute);
  CHECK(timed.reason() == EndReason::Idle);
}

TEST_CASE("limits on a clock of their own: half-closed counts from the FIN, and from the last byte behind it") {
  Timed timed({.half_closed_idle = kMinute});
  timed.pass(10 * kMinute);
  CHECK_FALSE(timed.ended());
  timed->a.say({}, 0, Peer::Exit::Fin);
  timed->settle();
  REQUIRE(timed->b.over());
  timed.pass(kMinute - 1);
  CHECK_FALSE(timed.ended());
  timed.send(false, 10);
  const Millis last = timed.elapsed();
  timed.pass(kMinute - 1);
  CHECK_FALSE(timed.ended());
  timed.pass(kLate);
  REQUIRE(timed.ended());
  CHECK(timed.elapsed() >= last + kMinute);
  CHECK(timed.reason() == EndReason::HalfClosedIdle);
}

TEST_CASE("limits on a clock of their own: two hours are two hours, busy or not") {
  Timed timed({.duration = 120 * kMinute});
  for (int i = 0; i < 11; ++i) {
    timed.pass(10 * kMinute);
    timed.send(i % 2 == 0, 1000);
  }
  timed.pass(10 * kMinute - 100);
  CHECK_FALSE(timed.ended());
  timed.pass(100 + kLate);
  REQUIRE(timed.ended());
  CHECK(timed.elapsed() >= 120 * kMinute);
  CHECK(timed.reason() == EndReason::Limit);
}

TEST_CASE("limits on a clock of their own: stalled is bytes that wait, not silence, and progress begins it anew") {
  Timed timed({.stalled = 5 * kMinute}, 4096);
  timed.pass(20 * kMinute);
  CHECK_FALSE(timed.ended());
  const Bytes much = pattern(3, 1 << 20);
  timed->b.stop_reading();
  timed->a.say(much, much.size());
  timed->b.expect(much, much.size());
  timed->settle();
  CHECK_FALSE(timed->a.said_all());
  const Millis since = timed.elapsed();
  timed.pass(5 * kMinute - 1);
  CHECK_FALSE(timed.ended());
  timed.pass(kLate);
  REQUIRE(timed.ended());
  CHECK(timed.elapsed() >= since + 5 * kMinute);
  CHECK(timed.reason() == EndReason::Stalled);
}

TEST_CASE("limits on a clock of their own: a rate's pauses are neither idle nor stalled") {
  // A byte a second, a hundred bytes.
  Timed timed({.idle = 90'000, .stalled = 90'000}, 0, std::make_shared<TokenBucket>(1, 1));
  const Bytes bytes = pattern(1, 100);
  timed->a.say(bytes, bytes.size(), Peer::Exit::Fin);
  timed->b.expect(bytes, bytes.size());
  timed->b.say({}, 0, Peer::Exit::Fin);
  while (!timed.ended() && timed.elapsed() < 10 * kMinute) timed.pass(1000);
  CHECK(timed->b.heard_all());
  CHECK(timed.elapsed() >= 98'000);
  CHECK(timed.reason() == EndReason::Eof);
}

TEST_CASE("limits on a clock of their own: what a reset left is delivered for five seconds, no longer") {
  Timed timed({}, 4096);
  const Bytes much = pattern(4, 1 << 20);
  timed->b.stop_reading();
  timed->b.expect(much, much.size());
  timed->a.say(much, much.size());
  timed->settle();
  const Millis since = timed.elapsed();
  timed->a.leave_at_once();
  timed->settle();
  timed.pass(Join::kResetFlush - 100);
  CHECK_FALSE(timed.ended());
  timed.pass(100 + 2 * kLate);
  REQUIRE(timed.ended());
  CHECK(timed.elapsed() >= since + Join::kResetFlush);
  CHECK(timed.reason() == EndReason::Reset);
}

}  // namespace millrace::test
