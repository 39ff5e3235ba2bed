// Directions that the caller drives: it reads and writes, the engine counts and ends.
#include <cerrno>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

Plan driven_a_to_b(Mode mode = Mode::Adaptive) {
  Plan plan{.mode = mode};
  plan.a_to_b.caller_driven = true;
  return plan;
}

}  // namespace

TEST_CASE("caller-driven: reads from the source, writes to the sink, ends with a FIN; the other direction runs by itself") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start(driven_a_to_b(mode));
    const Bytes answer = pattern(2, 300'000);
    std::thread sender([&] {
      send_all(joined.b.get(), answer);
      finish(joined.b.get());
    });
    uint64_t written = 0;
    for (uint64_t i = 0; i < 20; ++i) {
      const Bytes chunk = pattern(i, 1000 + i);
      REQUIRE(send_all(joined.a.get(), chunk));
      Bytes taken;
      while (taken.size() < chunk.size()) {
        harness.engine.read(joined.left, Endpoint::kMaxRead, kNever);
        const Event event = harness.expect(EventType::Read, joined.left);
        REQUIRE(event.record.code == static_cast<uint32_t>(ReadStatus::Data));
        taken.insert(taken.end(), event.payload.begin(), event.payload.end());
      }
      CHECK((taken == chunk));
      // What the caller makes of it is its own affair.
      Bytes framed = pattern(100 + i, 1500);
      harness.engine.write(joined.right, framed);
      written += framed.size();
      CHECK((receive(joined.b.get(), framed.size()).bytes == framed));
    }
    CHECK((receive_all(joined.a.get()).bytes == answer));
    sender.join();
    harness.engine.finish(joined.left, true, true);
    const Received rest = receive_all(joined.b.get());
    CHECK(rest.bytes.empty());
    CHECK(rest.end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == written);
    CHECK(end.b_to_a == answer.size());
  });
}

TEST_CASE("caller-driven: everything that is said right behind join() belongs to it, wherever its sides live") {
  Harness harness;
  for (int round = 0; round < 30; ++round) {
    Fd a;
    Fd b;
    const EndpointId left = harness.adopt_one(a);
    const EndpointId right = harness.adopt_one(b);
    Plan plan;
    plan.a_to_b.caller_driven = true;
    plan.b_to_a.caller_driven = true;
    const Bytes to_b = pattern(1, 5000);
    const Bytes to_a = pattern(2, 3000);
    const Joined joined = harness.start(left, right, plan);
    harness.engine.write(right, to_b);
    harness.engine.write(left, to_a);
    harness.engine.finish(left, true, true);
    harness.engine.finish(left, false, true);
    CHECK((receive_all(b.get()).bytes == to_b));
    CHECK((receive_all(a.get()).bytes == to_a));
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == to_b.size());
    CHECK(end.b_to_a == to_a.size());
  }
}

TEST_CASE("caller-driven: what was written before the join is not the join's") {
  Harness harness;
  Fd a;
  Fd b;
  const EndpointId left = harness.adopt_one(a);
  const EndpointId right = harness.adopt_one(b, Family::Tcp, 8192);
  const Bytes before = pattern(1, 300'000);
  const Bytes after = pattern(2, 10'000);
  harness.engine.write(right, before);
  const Joined joined = harness.start(left, right, driven_a_to_b());
  harness.engine.write(right, after);
  harness.engine.flush(right);
  CHECK((receive(b.get(), before.size()).bytes == before));
  CHECK((receive(b.get(), after.size()).bytes == after));
  CHECK(harness.expect(EventType::Flushed, right).record.code == 0);
  harness.engine.finish(left, true, false);
  finish(b.get());
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Eof);
  CHECK(end.a_to_b == after.size());
}

TEST_CASE("caller-driven: a head leaves before what the caller writes") {
  Harness harness;
  for (int round = 0; round < 10; ++round) {
    Plan plan = driven_a_to_b();
    plan.a_to_b.head = pattern(1, 4000);
    Fd a;
    Fd b;
    const EndpointId left = harness.adopt_one(a);
    const EndpointId right = harness.adopt_one(b);
    const Joined joined = harness.start(left, right, plan);
    harness.engine.write(right, pattern(2, 4000));
    harness.engine.finish(left, true, true);
    Bytes expected = pattern(1, 4000);
    const Bytes more = pattern(2, 4000);
    expected.insert(expected.end(), more.begin(), more.end());
    CHECK((receive_all(b.get()).bytes == expected));
    finish(b.get());
    CHECK(harness.ended(joined).a_to_b == expected.size());
  }
}

TEST_CASE("caller-driven: finish without a FIN ends the direction, and the join's end closes both") {
  Harness harness;
  const Joined joined = harness.start(driven_a_to_b());
  harness.engine.write(joined.right, pattern(1, 100));
  harness.engine.finish(joined.left, true, false);
  CHECK(receive(joined.b.get(), 100).bytes.size() == 100);
  // The direction is over, the sink's other half is not.
  REQUIRE(send_all(joined.b.get(), pattern(2, 200)));
  CHECK(receive(joined.a.get(), 200).bytes.size() == 200);
  finish(joined.b.get());
  CHECK(receive_all(joined.a.get()).end == End::Fin);
  CHECK(receive_all(joined.b.get()).end == End::Fin);
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

TEST_CASE("caller-driven: a read's deadline holds within a join") {
  Harness harness;
  const Joined joined = harness.start(driven_a_to_b());
  harness.engine.read(joined.left, 100, 100);
  const Event timed_out = harness.expect(EventType::Read, joined.left);
  CHECK(timed_out.record.code == static_cast<uint32_t>(ReadStatus::TimedOut));
  // What comes later is for the next read.
  REQUIRE(send_all(joined.a.get(), pattern(1, 50)));
  harness.engine.read(joined.left, 100, kNever);
  CHECK((harness.expect(EventType::Read, joined.left).payload == pattern(1, 50)));
  harness.engine.abort(joined.left);
  CHECK(harness.ended(joined).reason == EndReason::Aborted);
}

TEST_CASE("caller-driven: the source's end is read; its reset ends the join, behind what was written") {
  Harness harness;
  {
    Joined joined = harness.start(driven_a_to_b());
    finish(joined.a.get());
    harness.engine.read(joined.left, 100, kNever);
    CHECK(harness.expect(EventType::Read, joined.left).record.code == static_cast<uint32_t>(ReadStatus::Ended));
    harness.engine.abort(joined.left);
    CHECK(harness.ended(joined).reason == EndReason::Aborted);
  }
  {
    Plan plan = driven_a_to_b();
    plan.buffers = 8192;
    Joined joined = harness.start(plan);
    const Bytes written = pattern(3, 300'000);
    harness.engine.write(joined.right, written);
    // Its reader waits, so that most is still queued when the source breaks.
    REQUIRE(receive(joined.b.get(), 100).bytes.size() == 100);
    reset(joined.a);
    const Received rest = receive_all(joined.b.get());
    CHECK(rest.bytes.size() == written.size() - 100);
    CHECK(rest.end == End::Reset);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.a_to_b == written.size());
  }
}

TEST_CASE("caller-driven: a sink that takes nothing is noticed after a single write") {
  Harness harness;
  Plan plan = driven_a_to_b();
  plan.buffers = 8192;
  plan.limits.stalled = 300;
  const Joined joined = harness.start(plan);
  harness.engine.write(joined.right, pattern(1, 600'000));
  CHECK(harness.ended(joined).reason == EndReason::Stalled);
}

TEST_CASE("caller-driven: more than a mebibyte waiting ends the join") {
  Harness harness;
  Plan plan = driven_a_to_b();
  plan.buffers = 8192;
  const Joined joined = harness.start(plan);
  for (int i = 0; i < 40; ++i) harness.engine.write(joined.right, pattern(1, 60'000));
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Error);
  CHECK(end.error == ENOBUFS);
  CHECK(receive_all(joined.a.get()).end == End::Reset);
}

}  // namespace millrace::test
