// Half-close, FIN, RST and aborts: what a peer does maps to what the other sees.
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <thread>

#include "harness.h"

namespace millrace::test {

TEST_CASE("ends: a half-close is forwarded, the other direction goes on") {
  Harness harness;
  for_each_plan([&](const Plan& plan) {
    const Joined joined = harness.start(plan);
    const Bytes request = pattern(1, 70'000);
    const Bytes answer = pattern(2, 500'000);
    REQUIRE(send_all(joined.a.get(), request));
    finish(joined.a.get());
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == request));
    CHECK(at_b.end == End::Fin);
    std::thread sender([&] {
      send_all(joined.b.get(), answer);
      finish(joined.b.get());
    });
    const Received at_a = receive_all(joined.a.get());
    sender.join();
    CHECK((at_a.bytes == answer));
    CHECK(at_a.end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == request.size());
    CHECK(end.b_to_a == answer.size());
  });
  CHECK(harness.quiet());
}

TEST_CASE("ends: a FIN waits behind the bytes of a sink that doesn't read yet") {
  Harness harness;
  for_each_plan([&](Plan plan) {
    plan.buffers = 16'384;
    const Joined joined = harness.start(plan);
    const Bytes bytes = pattern(9, 400'000);
    std::thread sender([&] {
      send_all(joined.a.get(), bytes);
      finish(joined.a.get());
    });
    // Nothing is read until the engine holds all that it can.
    pause_ms(20);
    const Received at_b = receive_all(joined.b.get());
    sender.join();
    CHECK((at_b.bytes == bytes));
    CHECK(at_b.end == End::Fin);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("ends: RST maps to RST, behind the bytes that came before it") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode});
    const Bytes bytes = pattern(4, 1 << 20);
    Received at_b;
    std::thread reader([&] { at_b = receive_all(joined.b.get()); });
    REQUIRE(send_all(joined.a.get(), bytes));
    REQUIRE(await_receipt(joined.a.get()));
    reset(joined.a);
    reader.join();
    CHECK((at_b.bytes == bytes));
    CHECK(at_b.end == End::Reset);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.error == ECONNRESET);
    CHECK(end.a_to_b == bytes.size());
  });
  CHECK(harness.quiet());
}

TEST_CASE("ends: RST from either side of an idle join") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    for (const bool from_a : {true, false}) {
      Joined joined = harness.start({.mode = mode});
      // One byte each way: the join runs.
      REQUIRE(send_all(joined.a.get(), pattern(1, 1)));
      REQUIRE(receive(joined.b.get(), 1).bytes.size() == 1);
      reset(from_a ? joined.a : joined.b);
      CHECK(receive_all(from_a ? joined.b.get() : joined.a.get()).end == End::Reset);
      const JoinEnd end = harness.ended(joined);
      CHECK(end.reason == EndReason::Reset);
      CHECK(end.a_to_b == 1);
    }
  });
}

TEST_CASE("ends: a sink that resets while bytes are on their way to it") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode, .buffers = 16'384});
    const Bytes answer = pattern(6, 5000);
    REQUIRE(send_all(joined.b.get(), answer));
    // What the sink had sent before it broke still arrives.
    CHECK((receive(joined.a.get(), answer.size()).bytes == answer));
    // A blocked send takes the error away from the next receive.
    bool told = false;
    std::thread sender([&] { told = !send_all(joined.a.get(), pattern(7, 4 << 20)); });
    REQUIRE(receive(joined.b.get(), 20'000).bytes.size() == 20'000);
    reset(joined.b);
    sender.join();
    // The rest of what was sent is lost, and the sender learns of it.
    CHECK((told || receive_all(joined.a.get()).end == End::Reset));
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.a_to_b >= 20'000);
    CHECK(end.b_to_a == answer.size());
  });
}

TEST_CASE("ends: a unix peer that closes with bytes on their way to it ends the join") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.a = Family::Tcp, .b = Family::Unix, .mode = mode, .buffers = 16'384});
    bool told = false;
    std::thread sender([&] { told = !send_all(joined.a.get(), pattern(7, 4 << 20)); });
    REQUIRE(receive(joined.b.get(), 10'000).bytes.size() == 10'000);
    joined.b.close();
    sender.join();
    CHECK((told || receive_all(joined.a.get()).end == End::Reset));
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  });
}

TEST_CASE("ends: RST maps to close on a unix socket") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.a = Family::Tcp, .b = Family::Unix, .mode = mode});
    const Bytes bytes = pattern(3, 30'000);
    REQUIRE(send_all(joined.a.get(), bytes));
    REQUIRE(await_receipt(joined.a.get()));
    reset(joined.a);
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == bytes));
    CHECK(at_b.end == End::Fin);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  });
}

TEST_CASE("ends: abort resets both sides at every stage") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    for (int stage = 0; stage < 6; ++stage) {
      CAPTURE(stage);
      Joined joined = harness.start({.mode = mode, .buffers = 16'384});
      std::thread sender;
      bool told = false;
      if (stage >= 1) {
        // Both directions have moved something.
        REQUIRE(send_all(joined.a.get(), pattern(1, 100)));
        REQUIRE(receive(joined.b.get(), 100).bytes.size() == 100);
        REQUIRE(send_all(joined.b.get(), pattern(2, 100)));
        REQUIRE(receive(joined.a.get(), 100).bytes.size() == 100);
      }
      if (stage == 2) finish(joined.a.get());
      if (stage == 2) CHECK(receive_all(joined.b.get()).end == End::Fin);
      if (stage >= 3) {
        // The sink is full, and what it didn't take is held.
        sender = std::thread([&] { told = !send_all(joined.a.get(), pattern(3, 4 << 20)); });
        REQUIRE(eventually([&] { return joined.cell->a_to_b > 16'000; }));
      }
      if (stage == 4) REQUIRE(receive(joined.b.get(), 50'000).bytes.size() == 50'000);
      if (stage == 5) finish(joined.b.get());
      harness.engine.abort(joined.left);
      harness.engine.abort(joined.left);
      const JoinEnd end = harness.ended(joined);
      CHECK(end.reason == EndReason::Aborted);
      if (sender.joinable()) sender.join();
      const bool finished = stage == 2 || stage == 5;
      const End at_a = receive_all(joined.a.get()).end;
      CHECK((told || at_a == End::Reset || (finished && at_a == End::Fin)));
      if (stage != 2) CHECK(receive_all(joined.b.get()).end == End::Reset);
    }
  });
  CHECK(harness.quiet());
}

TEST_CASE("ends: delivered bytes are a prefix when a join is aborted in full flow, and the counters bound them") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode});
    const Bytes bytes = pattern(8, 32 << 20);
    Received at_b;
    std::thread reader([&] { at_b = receive_all(joined.b.get()); });
    std::thread sender([&] { send_all(joined.a.get(), bytes); });
    REQUIRE(eventually([&] { return joined.cell->a_to_b > 300'000; }));
    harness.engine.abort(joined.left);
    const JoinEnd end = harness.ended(joined);
    sender.join();
    reader.join();
    CHECK(at_b.bytes.size() <= end.a_to_b);
    CHECK(end.a_to_b <= bytes.size());
    CHECK(std::equal(at_b.bytes.begin(), at_b.bytes.end(), bytes.begin()));
  });
}

TEST_CASE("ends: an endpoint that broke before it was joined") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Fd a;
    Fd b;
    const EndpointId left = harness.adopt_one(a);
    const EndpointId right = harness.adopt_one(b);
    const Bytes last_words = pattern(1, 1000);
    REQUIRE(send_all(a.get(), last_words));
    REQUIRE(await_receipt(a.get()));
    reset(a);
    CHECK(harness.expect(EventType::PeerEnded, left).record.code == ECONNRESET);
    Joined joined = harness.start(left, right, {.mode = mode});
    const Received at_b = receive_all(b.get());
    CHECK((at_b.bytes == last_words));
    CHECK(at_b.end == End::Reset);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.a_to_b == last_words.size());
  });
}

TEST_CASE("ends: a join with an endpoint that is gone is reported, and uses the other up") {
  Harness harness;
  for (const bool first : {true, false}) {
    CAPTURE(first);
    Fd a;
    Fd b;
    const EndpointId gone = harness.adopt_one(a);
    const EndpointId alive = harness.adopt_one(b);
    harness.engine.destroy(gone, true);
    harness.expect(EventType::Gone, gone);
    const Joined joined = first ? harness.start(gone, alive) : harness.start(alive, gone);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.a_to_b + end.b_to_a == 0);
    CHECK(receive_all(b.get()).end == End::Reset);
  }
  CHECK(harness.quiet());
}

TEST_CASE("ends: destroying a side of a join ends the join") {
  Harness harness;
  for (const bool hard : {true, false}) {
    for (const bool first : {true, false}) {
      CAPTURE(hard);
      CAPTURE(first);
      const Joined joined = harness.start();
      REQUIRE(send_all(joined.a.get(), pattern(1, 100)));
      REQUIRE(receive(joined.b.get(), 100).bytes.size() == 100);
      harness.engine.destroy(first ? joined.left : joined.right, hard);
      CHECK(harness.ended(joined).reason == EndReason::Aborted);
      CHECK(receive_all(joined.a.get()).end == End::Reset);
      CHECK(receive_all(joined.b.get()).end == End::Reset);
    }
  }
  CHECK(harness.quiet());
}

}  // namespace millrace::test
