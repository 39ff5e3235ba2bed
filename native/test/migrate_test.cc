// Joins whose sides live on different workers: with three of them nearly every join of this suite is one, so this file
// is about what happens on the way. With one worker it shows that nothing depends on moving.
#include <cerrno>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

struct Sides {
  Fd a;
  Fd b;
  EndpointId left;
  EndpointId right;
};

// Adopted one after the other, so on neighbouring workers.
Sides adopt_two(Harness& harness, int buffers = 0) {
  Sides sides;
  sides.left = harness.adopt_one(sides.a, Family::Tcp, buffers);
  sides.right = harness.adopt_one(sides.b, Family::Tcp, buffers);
  return sides;
}

}  // namespace

TEST_CASE("migration: unread bytes, queued writes, FIN and errors come along") {
  Harness harness;
  for (uint64_t round = 0; round < 24; ++round) {
    CAPTURE(round);
    const Sides sides = adopt_two(harness, round % 2 ? 8192 : 0);
    const Bytes written = pattern(round, 100'000);
    harness.engine.write(sides.right, written);
    REQUIRE(send_all(sides.b.get(), pattern(100 + round, 700)));
    if (round % 3 == 0) finish(sides.b.get());
    const Joined joined = harness.start(sides.left, sides.right, {.mode = static_cast<Mode>(round % 3)});
    REQUIRE(send_all(sides.a.get(), pattern(200 + round, 900)));
    finish(sides.a.get());
    Bytes expected = written;
    const Bytes more = pattern(200 + round, 900);
    expected.insert(expected.end(), more.begin(), more.end());
    CHECK((receive_all(sides.b.get()).bytes == expected));
    if (round % 3 != 0) finish(sides.b.get());
    CHECK((receive_all(sides.a.get()).bytes == pattern(100 + round, 700)));
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == more.size());
    CHECK(end.b_to_a == 700);
  }
  CHECK(harness.quiet());
}

TEST_CASE("migration: abort, destroy and finish right behind join()") {
  Harness harness;
  for (int round = 0; round < 60; ++round) {
    CAPTURE(round);
    const Sides sides = adopt_two(harness);
    Plan plan;
    plan.a_to_b.caller_driven = round % 4 == 3;
    plan.b_to_a.caller_driven = round % 4 == 3;
    const Joined joined = harness.start(sides.left, sides.right, plan);
    switch (round % 4) {
      case 0:
        harness.engine.abort(sides.left);
        break;
      case 1:
        harness.engine.destroy(sides.left, round % 8 == 1);
        break;
      case 2:
        harness.engine.destroy(sides.right, round % 8 == 2);
        break;
      default:
        harness.engine.finish(sides.left, false, true);
        harness.engine.finish(sides.left, true, true);
    }
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == (round % 4 == 3 ? EndReason::Eof : EndReason::Aborted));
    const End expected = round % 4 == 3 ? End::Fin : End::Reset;
    CHECK(receive_all(sides.a.get()).end == expected);
    CHECK(receive_all(sides.b.get()).end == expected);
  }
  CHECK(harness.quiet());
}

TEST_CASE("migration: a side that dies on the way") {
  Harness harness;
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    Sides sides = adopt_two(harness);
    if (round % 2) REQUIRE(send_all(sides.b.get(), pattern(1, 500)));
    if (round % 4 == 0) reset(sides.a);
    const Joined joined = harness.start(sides.left, sides.right);
    if (round % 4 == 1) reset(sides.b);
    if (round % 4 == 2) harness.engine.destroy(sides.right, true);
    if (round % 4 == 3) sides.b.close();
    if (round % 4 == 3) {
      // No more than a FIN: the join lives until somebody ends it.
      CHECK((receive_all(sides.a.get()).bytes == pattern(1, 500)));
      harness.engine.abort(sides.left);
    }
    CHECK(harness.ended(joined).reason == (round % 4 < 2 ? EndReason::Reset : EndReason::Aborted));
  }
  CHECK(harness.quiet());
}

TEST_CASE("migration: endpoints that are not open are no sides of a join, and are not leaked") {
  Harness harness;
  for (int round = 0; round < 12; ++round) {
    CAPTURE(round);
    Sides sides = adopt_two(harness, 8192);
    // Busy with its last bytes.
    const EndpointId closing = round % 2 ? sides.left : sides.right;
    harness.engine.write(closing, pattern(1, 500'000));
    harness.engine.destroy(closing, false);
    const Joined joined = harness.start(sides.left, sides.right);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
    CHECK(receive_all(round % 2 ? sides.b.get() : sides.a.get()).end == End::Reset);
  }
  CHECK(harness.quiet());
}

TEST_CASE("migration: one endpoint can't be both sides") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  const Joined joined = harness.start(id, id);
  CHECK(harness.ended(joined).reason == EndReason::Reset);
  CHECK(receive_all(far.get()).end == End::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("migration: detach and stop with sides on their way") {
  const size_t before = open_descriptors();
  for (int round = 0; round < 15; ++round) {
    std::vector<Sides> all;
    {
      Harness harness;
      for (int i = 0; i < 10; ++i) all.push_back(adopt_two(harness));
      for (const Sides& sides : all) harness.start(sides.left, sides.right);
      if (round % 3 == 0) harness.engine.stop();
      if (round % 3 == 1) harness.engine.detach(*harness.client());
    }
    for (const Sides& sides : all) {
      CHECK(receive_all(sides.a.get()).end != End::TimedOut);
      CHECK(receive_all(sides.b.get()).end != End::TimedOut);
    }
  }
  CHECK(open_descriptors() == before);
}

}  // namespace millrace::test
