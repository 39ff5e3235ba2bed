// What the client does itself with a lane's visits: before a join, without one, and where a join could not use the lane.
#include <sys/socket.h>

#include <cerrno>

#include "harness.h"
#include "lane_peer.h"

namespace millrace::test {

namespace {

struct OwnLane {
  Fd far;
  EndpointId id;
  LanePeer peer;

  OwnLane(Harness& harness, LaneRole role) : id(harness.adopt_one(far)), peer(std::move(far)) {
    harness.engine.lane(id, role, {});
  }
};

void kill(OwnLane& lane) {
  Fd fd = lane.peer.take();
  reset(fd);
}

Joined visit(Harness& harness, EndpointId visitor, const OwnLane& lane, Plan plan = {}) {
  plan.open = bytes_of("start");
  return harness.start(visitor, lane.id, std::move(plan));
}

void expect_frame(LanePeer& peer, LaneFrameType type, uint8_t number, const std::string& payload = "") {
  const std::optional<SeenFrame> frame = peer.next();
  REQUIRE(frame);
  CHECK(frame->header.type == type);
  CHECK(frame->header.visit == number);
  if (type != LaneFrameType::Reset) CHECK((frame->payload == bytes_of(payload)));
}

}  // namespace

TEST_CASE("lanes: a visit that the client begins, writes to and reads itself, and then joins") {
  Harness harness;
  OwnLane lane(harness, LaneRole::Opens);
  harness.engine.open(lane.id, bytes_of("start"), bytes_of("ask"));
  expect_frame(lane.peer, LaneFrameType::Open, 1, "start");
  expect_frame(lane.peer, LaneFrameType::Data, 1, "ask");
  lane.peer.send(LaneFrameType::Data, 1, bytes_of("answer"));
  harness.engine.read(lane.id, 64, kNever);
  CHECK((harness.expect(EventType::Read, lane.id).payload == bytes_of("answer")));
  Fd visitor;
  const Joined joined = harness.start(harness.adopt_one(visitor), lane.id);
  CHECK(send_all(visitor.get(), bytes_of("more")));
  finish(visitor.get());
  expect_frame(lane.peer, LaneFrameType::Data, 1, "more");
  expect_frame(lane.peer, LaneFrameType::End, 1);
  lane.peer.send(LaneFrameType::End, 1);
  CHECK(harness.ended(joined).reason == EndReason::Eof);
  harness.expect(EventType::LaneFree, lane.id);
  // One that nobody writes to leaves by itself: the service may speak first.
  harness.engine.open(lane.id, bytes_of("again"), {});
  expect_frame(lane.peer, LaneFrameType::Open, 2, "again");
  harness.engine.leave(lane.id, true);
  expect_frame(lane.peer, LaneFrameType::Reset, 2);
  lane.peer.send(reset_frame(2));
  harness.expect(EventType::LaneFree, lane.id);
  harness.engine.destroy(lane.id, false);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: the end that a service sends with its last bytes leaves with them") {
  Harness harness;
  OwnLane lane(harness, LaneRole::Accepts);
  lane.peer.send(LaneFrameType::Open, 1, bytes_of("start"));
  harness.expect(EventType::LaneOpened, lane.id);
  Fd service;
  const EndpointId id = harness.adopt_one(service);
  CHECK(send_all(service.get(), bytes_of("bye")));
  finish(service.get());
  // Both are there before anybody looks.
  CHECK(harness.expect(EventType::PeerEnded, id).record.code == 0);
  const Joined joined = harness.start(lane.id, id);
  Bytes expected = lane_frame(LaneFrameType::Data, 1, bytes_of("bye"));
  const Bytes end = lane_frame(LaneFrameType::End, 1);
  expected.insert(expected.end(), end.begin(), end.end());
  uint8_t buffer[256];
  const ssize_t n = ::recv(lane.peer.fd(), buffer, sizeof buffer, 0);
  REQUIRE(n > 0);
  CHECK((Bytes(buffer, buffer + n) == expected));
  lane.peer.send(LaneFrameType::End, 1);
  const JoinEnd ended = harness.ended(joined);
  CHECK(ended.reason == EndReason::Eof);
  CHECK(ended.b_to_a == 3);
  harness.expect(EventType::LaneFree, lane.id);
  harness.engine.destroy(lane.id, false);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: the peer's end of a visit is noticed without reading, behind what stays unread") {
  Harness harness;
  OwnLane lane(harness, LaneRole::Accepts);
  lane.peer.send(LaneFrameType::Open, 1, bytes_of("start"));
  harness.expect(EventType::LaneOpened, lane.id);
  lane.peer.send(LaneFrameType::End, 1);
  CHECK(harness.expect(EventType::PeerEnded, lane.id).record.code == 0);
  lane.peer.send(reset_frame(1));
  CHECK(harness.expect(EventType::PeerEnded, lane.id).record.code == static_cast<uint32_t>(ECONNRESET));
  harness.engine.leave(lane.id, true);
  expect_frame(lane.peer, LaneFrameType::Reset, 1);
  harness.expect(EventType::LaneFree, lane.id);

  lane.peer.send(LaneFrameType::Open, 2, bytes_of("start"));
  harness.expect(EventType::LaneOpened, lane.id);
  Bytes both = lane_frame(LaneFrameType::Data, 2, bytes_of("unread"));
  const Bytes end = lane_frame(LaneFrameType::End, 2);
  both.insert(both.end(), end.begin(), end.end());
  lane.peer.send(both);
  harness.engine.read(lane.id, 3, kNever);
  CHECK((harness.expect(EventType::Read, lane.id).payload == bytes_of("unr")));
  CHECK(!harness.inbox.has(EventType::PeerEnded, static_cast<double>(lane.id)));
  harness.engine.read(lane.id, 64, kNever);
  CHECK((harness.expect(EventType::Read, lane.id).payload == bytes_of("ead")));
  CHECK(harness.expect(EventType::PeerEnded, lane.id).record.code == 0);
  harness.engine.destroy(lane.id, true);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: a visitor of which nothing was taken outlives its lane, and goes on another") {
  // The lane's end is known before the join, or met by it; with the visitor's FIN there already, or not.
  for (const bool before : {true, false}) {
    for (const bool fin : {false, true}) {
      INFO("before ", before, ", fin ", fin);
      Harness harness;
      OwnLane dead(harness, LaneRole::Opens);
      OwnLane alive(harness, LaneRole::Opens);
      Fd visitor;
      const EndpointId id = harness.adopt_one(visitor);
      if (before) {
        kill(dead);
        harness.expect(EventType::Gone, dead.id);
      }
      const Joined first = visit(harness, id, dead);
      if (!before) {
        expect_frame(dead.peer, LaneFrameType::Open, 1, "start");
        kill(dead);
      }
      const JoinEnd end = harness.ended(first);
      CHECK(end.reason == EndReason::Unreachable);
      CHECK(end.a_to_b == 0);
      if (!before) harness.expect(EventType::Gone, dead.id);
      CHECK(send_all(visitor.get(), bytes_of("hello")));
      if (fin) finish(visitor.get());
      if (fin) CHECK(harness.expect(EventType::PeerEnded, id).record.code == 0);
      const Joined second = visit(harness, id, alive);
      expect_frame(alive.peer, LaneFrameType::Open, 1, "start");
      expect_frame(alive.peer, LaneFrameType::Data, 1, "hello");
      if (!fin) finish(visitor.get());
      expect_frame(alive.peer, LaneFrameType::End, 1);
      alive.peer.send(LaneFrameType::End, 1);
      CHECK(harness.ended(second).reason == EndReason::Eof);
      CHECK(receive_all(visitor.get()).end == End::Fin);
      harness.expect(EventType::LaneFree, alive.id);
      harness.engine.destroy(alive.id, false);
      CHECK(harness.quiet());
    }
  }
}

TEST_CASE("lanes: a visitor of which something was taken is lost with its lane") {
  // What was taken is the head of the join, or came from the visitor; or the service has said something already.
  for (const int what : {0, 1, 2}) {
    INFO("what ", what);
    Harness harness;
    OwnLane lane(harness, LaneRole::Opens);
    Fd visitor;
    const EndpointId id = harness.adopt_one(visitor);
    Plan plan;
    if (what == 0) plan.a_to_b.head = bytes_of("hello");
    if (what == 1) CHECK(send_all(visitor.get(), bytes_of("hello")));
    const Joined joined = visit(harness, id, lane, std::move(plan));
    expect_frame(lane.peer, LaneFrameType::Open, 1, "start");
    if (what < 2) expect_frame(lane.peer, LaneFrameType::Data, 1, "hello");
    else lane.peer.send(LaneFrameType::Data, 1, bytes_of("welcome"));
    if (what == 2) CHECK((receive(visitor.get(), 7).bytes == bytes_of("welcome")));
    kill(lane);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
    CHECK(receive_all(visitor.get()).end == End::Reset);
    harness.expect(EventType::Gone, lane.id);
    CHECK(harness.quiet());
  }
}

TEST_CASE("lanes: a visit of whose join the client had a part is over once he lets go") {
  for (const LaneRole role : {LaneRole::Opens, LaneRole::Accepts}) {
    Harness harness;
    OwnLane lane(harness, role);
    Fd visitor;
    const EndpointId id = harness.adopt_one(visitor);
    if (role == LaneRole::Opens) {
      harness.engine.open(lane.id, bytes_of("start"), {});
      expect_frame(lane.peer, LaneFrameType::Open, 1, "start");
    } else {
      lane.peer.send(LaneFrameType::Open, 1, bytes_of("start"));
      harness.expect(EventType::LaneOpened, lane.id);
    }
    Plan plan;
    plan.a_to_b.caller_driven = true;
    const Joined joined = harness.start(id, lane.id, std::move(plan));
    reset(visitor);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
    expect_frame(lane.peer, LaneFrameType::Reset, 1);
    lane.peer.send(reset_frame(1));
    // Under way while the join ended: nothing of it may reach the next visit.
    harness.engine.write(lane.id, bytes_of("late"));
    CHECK(!harness.inbox.has(EventType::LaneFree, static_cast<double>(lane.id)));
    harness.engine.leave(lane.id, false);
    harness.expect(EventType::LaneFree, lane.id);
    if (role == LaneRole::Opens) {
      harness.engine.open(lane.id, bytes_of("next"), bytes_of("x"));
      expect_frame(lane.peer, LaneFrameType::Open, 2, "next");
      expect_frame(lane.peer, LaneFrameType::Data, 2, "x");
    } else {
      lane.peer.send(LaneFrameType::Open, 2, bytes_of("next"));
      harness.expect(EventType::LaneOpened, lane.id);
      harness.engine.write(lane.id, bytes_of("x"));
      expect_frame(lane.peer, LaneFrameType::Data, 2, "x");
    }
    harness.engine.destroy(lane.id, true);
    CHECK(harness.quiet());
  }
}

}  // namespace millrace::test
