// Lanes whose visitors, far ends or clients don't behave: what becomes of the visit, and of the lane.
#include <cerrno>
#include <thread>

#include "fault_world.h"
#include "lane_harness.h"

namespace millrace::test {

TEST_CASE("lanes: a reset on either side ends the visit and not the lane") {
  for_each_mode([](Mode mode) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Opens);
    Plan plan;
    plan.mode = mode;
    uint8_t number = 0;
    for (int round = 0; round < 4; ++round) {
      INFO("round ", round);
      Fd visitor;
      const EndpointId id = harness.adopt_one(visitor);
      const Joined joined = visit(harness, id, lane, "v", plan);
      ++number;
      CHECK(send_all(visitor.get(), bytes_of("hello")));
      REQUIRE(lane.peer.next()->header.type == LaneFrameType::Open);
      CHECK((lane.peer.next()->payload == bytes_of("hello")));
      switch (round) {
        case 0: {  // the visitor resets, and the other end goes on for a while
          reset(visitor);
          CHECK(lane.peer.next()->header.type == LaneFrameType::Reset);
          lane.peer.send(LaneFrameType::Data, number, pattern(1, 500'000));
          lane.peer.send(LaneFrameType::End, number);
          break;
        }
        case 1: {  // the other end resets behind bytes
          lane.peer.send(LaneFrameType::Data, number, pattern(2, 100'000));
          lane.peer.send(reset_frame(number));
          const Received got = receive_all(visitor.get());
          CHECK((got.bytes == pattern(2, 100'000)));
          CHECK(got.end == End::Reset);
          CHECK(lane.peer.next()->header.type == LaneFrameType::Reset);
          break;
        }
        case 2: {  // the other end resets behind its END, while the visitor sends
          lane.peer.send(LaneFrameType::End, number);
          CHECK(receive(visitor.get(), 1).end == End::Fin);
          lane.peer.send(reset_frame(number));
          CHECK(lane.peer.next()->header.type == LaneFrameType::Reset);
          break;
        }
        case 3: {  // the client ends the join
          harness.engine.abort(id);
          const std::optional<SeenFrame> seen = lane.peer.next();
          CHECK(seen->header.type == LaneFrameType::Reset);
          CHECK(seen->payload[0] == static_cast<uint8_t>(LaneReset::GivenUp));
          lane.peer.send(reset_frame(number));
          break;
        }
      }
      CHECK(harness.ended(joined).reason == (round == 3 ? EndReason::Aborted : EndReason::Reset));
      CHECK(freed(harness, lane) == number);
    }
    harness.engine.destroy(lane.id, true);
    CHECK(harness.quiet());
  });
}

TEST_CASE("lanes: a frame that has begun is ended, whatever becomes of its visitor") {
  for_each_mode([](Mode mode) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Opens, 16'384);
    Plan plan;
    plan.mode = mode;
    for (uint8_t number = 1; number <= 2; ++number) {
      Fd visitor;
      const EndpointId id = harness.adopt_one(visitor);
      const Joined joined = visit(harness, id, lane, "v", plan);
      // More than the lane takes: a frame is cut short by its buffers.
      const Bytes sent = pattern(number, 400'000);
      std::thread sender([&] { send_all(visitor.get(), sent); });
      REQUIRE(lane.peer.next()->header.type == LaneFrameType::Open);
      CHECK(eventually([&] { return joined.cell->a_to_b.load() > 0; }));
      pause_ms(20);
      if (number == 1) {
        harness.engine.abort(id);
      } else {
        lane.peer.send(reset_frame(number));
      }
      LaneFrameType last{};
      const Bytes got = lane.peer.visitor(number, last);
      CHECK(last == LaneFrameType::Reset);
      CHECK(got.size() <= sent.size());
      CHECK((Bytes(sent.begin(), sent.begin() + static_cast<ptrdiff_t>(got.size())) == got));
      if (number == 1) lane.peer.send(reset_frame(number));
      sender.join();
      CHECK(harness.ended(joined).reason == (number == 1 ? EndReason::Aborted : EndReason::Reset));
      CHECK(freed(harness, lane) == number);
    }
    harness.engine.destroy(lane.id, true);
    CHECK(harness.quiet());
  });
}

TEST_CASE("lanes: whoever goes on sending into a visit that is over holds nobody up, and loses the lane in time") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Opens);
  Fd visitor;
  const EndpointId id = harness.adopt_one(visitor);
  const Joined joined = visit(harness, id, lane, "v");
  REQUIRE(lane.peer.next());
  harness.engine.abort(id);
  CHECK(harness.ended(joined).reason == EndReason::Aborted);
  std::thread flood([&] {
    const Bytes frame = lane_frame(LaneFrameType::Data, 1, pattern(1, 200'000));
    while (lane.peer.send(frame)) continue;
  });
  const Joined other = harness.start();
  for (int i = 0; i < 200; ++i) {
    CHECK(send_all(other.a.get(), bytes_of("ping")));
    CHECK((receive(other.b.get(), 4).bytes == bytes_of("ping")));
  }
  harness.engine.destroy(lane.id, true);
  flood.join();
  harness.engine.abort(other.left);
  harness.ended(other);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: a RESET in pieces, to a direction that splices") {
  for_each_mode([](Mode mode) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Opens);
    Fd visitor;
    const EndpointId id = harness.adopt_one(visitor);
    Plan plan;
    plan.mode = mode;
    const Joined joined = visit(harness, id, lane, "v", std::move(plan));
    REQUIRE(lane.peer.next());
    CHECK(lane.peer.send(LaneFrameType::Data, 1, bytes_of("last words")));
    for (const uint8_t byte : reset_frame(1)) {
      CHECK(lane.peer.send({&byte, 1}));
      pause_ms(1);
    }
    const Received got = receive_all(visitor.get());
    CHECK((got.bytes == bytes_of("last words")));
    CHECK(got.end == End::Reset);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
    CHECK(freed(harness, lane) == 1);
  });
}

TEST_CASE("lanes: a fault closes the lane and resets its visitor") {
  const Bytes faults[] = {lane_frame(LaneFrameType::Data, 2, bytes_of("not yours")),
                          lane_frame(LaneFrameType::Open, 2, bytes_of("x")), lane_frame(LaneFrameType::End, 7),
                          Bytes(8, 0xff)};
  for (const Bytes& fault : faults) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Opens);
    Fd visitor;
    const EndpointId id = harness.adopt_one(visitor);
    const Joined joined = visit(harness, id, lane, "v");
    REQUIRE(lane.peer.next());
    CHECK(lane.peer.send(LaneFrameType::Data, 1, bytes_of("mine")));
    CHECK((receive(visitor.get(), 4).bytes == bytes_of("mine")));
    CHECK(lane.peer.send(fault));
    const Received rest = receive_all(visitor.get());
    CHECK(rest.bytes.empty());
    CHECK(rest.end == End::Reset);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Error);
    CHECK(end.error == EPROTO);
    harness.expect(EventType::Gone, lane.id);
    CHECK(receive_all(lane.peer.fd()).end == End::Reset);
    CHECK(harness.quiet());
  }
}

TEST_CASE("lanes: one that dies takes its visitor with it, and an idle one tells of its end") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Opens);
  Fd visitor;
  const EndpointId id = harness.adopt_one(visitor);
  const Joined joined = visit(harness, id, lane, "v");
  CHECK(send_all(visitor.get(), bytes_of("taken")));
  for (int frame = 0; frame < 2; ++frame) REQUIRE(lane.peer.next());
  lane.peer.take().close();
  CHECK(receive_all(visitor.get()).end == End::Reset);
  CHECK(harness.ended(joined).reason == EndReason::Reset);
  harness.expect(EventType::Gone, lane.id);

  Lane idle = make_lane(harness, LaneRole::Opens);
  Fd far = idle.peer.take();
  reset(far);
  CHECK(harness.expect(EventType::Gone, idle.id).record.code == ECONNRESET);

  Lane talks = make_lane(harness, LaneRole::Opens);
  CHECK(talks.peer.send(LaneFrameType::Data, 1, bytes_of("for whom")));
  CHECK(harness.expect(EventType::Gone, talks.id).record.code == EPROTO);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: a peer that does not end a visit loses the lane, and not before its time") {
  const FaultScope scope;
  for (const bool orderly : {false, true}) {
    FakeClock& clock = FakeClock::instance();
    clock.stop();
    {
      World world(worker_count());
      REQUIRE(world.start() == 0);
      int error = 0;
      SocketPair pair = connect_pair(Family::Tcp);
      const EndpointId id = world.engine.adopt(world.client, pair.near.take(), error);
      LanePeer peer(std::move(pair.far));
      world.engine.lane(id, LaneRole::Accepts, {});
      CHECK(peer.send(LaneFrameType::Open, 1, bytes_of("one")));
      REQUIRE(world.await(EventType::LaneOpened).has_value());
      world.engine.leave(id, !orderly);
      world.settle();
      if (orderly) {
        // It may go on for a moment, for nobody.
        CHECK(peer.send(LaneFrameType::Data, 1, bytes_of("more")));
        clock.advance(Endpoint::kLingerDrain + 20);
        world.settle();
        CHECK(peer.next()->header.type == LaneFrameType::End);
      }
      CHECK(peer.next()->header.type == LaneFrameType::Reset);
      clock.advance(Endpoint::kLaneSettle - 20);
      world.settle();
      CHECK(world.count(EventType::Gone) == 0);
      clock.advance(60);
      const auto gone = world.await(EventType::Gone);
      REQUIRE(gone.has_value());
      CHECK(gone->record.code == ETIMEDOUT);
      CHECK(receive(peer.fd(), 1).end == End::Reset);
    }
    clock.resume();
  }
}

TEST_CASE("lanes: a frame that doesn't fit is noticed behind bytes that came with it") {
  for_each_mode([](Mode mode) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Opens);
    Fd visitor;
    Plan plan;
    plan.mode = mode;
    const Joined joined = visit(harness, harness.adopt_one(visitor), lane, "v", std::move(plan));
    REQUIRE(lane.peer.next());
    Bytes both = lane_frame(LaneFrameType::Data, 1, bytes_of("mine"));
    const Bytes fault = lane_frame(LaneFrameType::Data, 2, bytes_of("not yours"));
    both.insert(both.end(), fault.begin(), fault.end());
    CHECK(lane.peer.send(both));
    const Received got = receive_all(visitor.get());
    CHECK((got.bytes == bytes_of("mine")));
    CHECK(got.end == End::Reset);
    CHECK(harness.ended(joined).reason == EndReason::Error);
    harness.expect(EventType::Gone, lane.id);
  });
}

TEST_CASE("lanes: what comes behind a visit that is over waits until all of it is delivered") {
  for_each_mode([](Mode mode) {
    Harness harness;
    Lane lane = make_lane(harness, LaneRole::Accepts);
    // Somewhere among these the END has been read while the service's socket has no room for what came before it.
    for (uint8_t number = 1; number <= 60; ++number) {
      INFO("visit ", number);
      const bool leaves = number == 60;
      Bytes all = lane_frame(LaneFrameType::Data, number, pattern(number, number * 4'000));
      for (const Bytes& next : {lane_frame(LaneFrameType::End, number), lane_frame(LaneFrameType::Open, number + 1, bytes_of("next"))}) {
        if (!leaves || next.size() == LaneFrame::kHeader) all.insert(all.end(), next.begin(), next.end());
      }
      if (number == 1) CHECK(lane.peer.send(LaneFrameType::Open, 1, bytes_of("first")));
      CHECK(opened(harness, lane).record.values[1] == number);
      Fd service;
      const EndpointId id = harness.adopt_one(service, Family::Tcp, 16'384);
      Plan plan;
      plan.mode = mode;
      const Joined joined = harness.start(lane.id, id, std::move(plan));
      ::shutdown(service.get(), SHUT_WR);
      CHECK(lane.peer.next()->header.type == LaneFrameType::End);
      std::thread sender([&] {
        CHECK(lane.peer.send(all));
        if (leaves) lane.peer.take().close();
      });
      pause_ms(3);
      const Received got = receive_all(service.get());
      CHECK((got.bytes == pattern(number, number * 4'000)));
      CHECK(got.end == End::Fin);
      CHECK(harness.ended(joined).reason == EndReason::Eof);
      CHECK(freed(harness, lane) == number);
      sender.join();
    }
    CHECK(harness.expect(EventType::Gone, lane.id).record.code == 0);
    CHECK(harness.quiet());
  });
}

TEST_CASE("lanes: the orderly end of a visit comes behind all that its client has written") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Accepts, 16'384);
  CHECK(lane.peer.send(LaneFrameType::Open, 1, bytes_of("one")));
  opened(harness, lane);
  const Bytes page = pattern(1, 700'000);
  harness.engine.write(lane.id, page);
  harness.engine.leave(lane.id, false);
  LaneFrameType last{};
  CHECK((lane.peer.visitor(1, last) == page));
  CHECK(last == LaneFrameType::End);
  CHECK(lane.peer.send(LaneFrameType::End, 1));
  CHECK(freed(harness, lane) == 1);
}

TEST_CASE("lanes: a visit whose join the client had a part in is his also where the join could not begin") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Accepts);
  CHECK(lane.peer.send(LaneFrameType::Open, 1, bytes_of("one")));
  opened(harness, lane);
  Fd service;
  const EndpointId gone = harness.adopt_one(service);
  harness.engine.destroy(gone, true);
  harness.expect(EventType::Gone, gone);
  Plan plan;
  plan.a_to_b.caller_driven = true;
  CHECK(harness.ended(harness.start(lane.id, gone, std::move(plan))).reason == EndReason::Reset);
  CHECK(lane.peer.next()->header.type == LaneFrameType::Reset);
  // Were the next visit to begin now, the client would end it.
  CHECK(lane.peer.send(reset_frame(1)));
  CHECK(lane.peer.send(LaneFrameType::Open, 2, bytes_of("two")));
  CHECK(await_receipt(lane.peer.fd()));
  pause_ms(20);
  harness.engine.leave(lane.id, false);
  CHECK(freed(harness, lane) == 1);
  CHECK(opened(harness, lane).record.values[1] == 2);
  harness.engine.write(lane.id, bytes_of("for two"));
  harness.engine.leave(lane.id, false);
  LaneFrameType last{};
  CHECK((lane.peer.visitor(2, last) == bytes_of("for two")));
}

namespace {

struct StandingClock {
  StandingClock() { FakeClock::instance().stop(); }
  ~StandingClock() { FakeClock::instance().resume(); }
};

// A lane on the faulty table, and a visitor on it, at a standing clock.
struct Played {
  const StandingClock clock;
  World world{1};
  LanePeer peer{Fd()};
  Fd visitor;
  EndpointId lane = 0;

  explicit Played(LaneRole role, int buffers = 0) {
    REQUIRE(world.start() == 0);
    SocketPair pair = connect_pair(Family::Tcp, buffers);
    lane = adopt(std::move(pair.near));
    peer = LanePeer(std::move(pair.far));
    world.engine.lane(lane, role, {});
    world.settle();
  }
  EndpointId adopt(Fd fd) {
    int error = 0;
    return world.engine.adopt(world.client, fd.take(), error);
  }
  void join(Mode mode, uint64_t most) {
    SocketPair pair = connect_pair(Family::Tcp);
    visitor = std::move(pair.far);
    auto spec = std::make_unique<JoinSpec>();
    spec->client = world.client;
    spec->cell = &world.cell;
    spec->a = adopt(std::move(pair.near));
    spec->b = lane;
    spec->mode = mode;
    spec->open = bytes_of("v");
    spec->a_to_b.max_bytes = most;
    world.engine.join(std::move(spec));
    world.settle();
  }
};

}  // namespace

TEST_CASE("lanes: a visitor of which bytes were thrown away is lost with its lane") {
  const FaultScope scope;
  Played played(LaneRole::Opens);
  played.join(Mode::Adaptive, 0);
  CHECK(send_all(played.visitor.get(), bytes_of("hello")));
  CHECK(await_receipt(played.visitor.get()));
  played.world.settle();
  Fd far = played.peer.take();
  reset(far);
  const auto ended = played.world.await(EventType::JoinEnded);
  REQUIRE(ended.has_value());
  CHECK(static_cast<EndReason>(ended->record.code & 0xff) == EndReason::Reset);
}

TEST_CASE("lanes: of a frame that could not be sent nothing counts") {
  const FaultScope scope;
  Played played(LaneRole::Opens);
  played.join(Mode::Splice, UINT64_MAX);
  faults().set(Call::Flush, {.effect = Effect::Fail, .error = ENOBUFS});
  CHECK(send_all(played.visitor.get(), pattern(1, 20'000)));
  const auto ended = played.world.await(EventType::JoinEnded);
  REQUIRE(ended.has_value());
  CHECK(static_cast<EndReason>(ended->record.code & 0xff) == EndReason::Error);
  CHECK(ended->record.values[0] == 0);
}

TEST_CASE("lanes: one whose far end takes nothing is not kept for ever") {
  const FaultScope scope;
  Played played(LaneRole::Accepts, 16'384);
  CHECK(played.peer.send(LaneFrameType::Open, 1, bytes_of("one")));
  REQUIRE(played.world.await(EventType::LaneOpened).has_value());
  CHECK(played.peer.send(LaneFrameType::End, 1));
  played.world.engine.write(played.lane, pattern(1, 900'000));
  played.world.engine.leave(played.lane, false);
  played.world.settle();
  FakeClock::instance().advance(Endpoint::kLingerDrain + Endpoint::kLingerFlush + 20);
  played.world.settle();
  CHECK(played.world.count(EventType::Gone) == 0);
  FakeClock::instance().advance(Endpoint::kLaneSettle + 20);
  const auto gone = played.world.await(EventType::Gone);
  REQUIRE(gone.has_value());
  CHECK(gone->record.code == ETIMEDOUT);
}

}  // namespace millrace::test
