// Joins with a lane on one side or both: one visitor after another, none of whose bytes reach any other.
#include <cerrno>
#include <thread>

#include "lane_harness.h"

namespace millrace::test {

TEST_CASE("lanes: one visitor after another, whose bytes and ends arrive in frames") {
  for_each_mode([](Mode mode) {
    for (const int buffers : {0, 16'384}) {
      INFO("buffers ", buffers);
      Harness harness;
      const Lane lane = make_lane(harness, LaneRole::Opens, buffers);
      LanePeer& peer = const_cast<LanePeer&>(lane.peer);
      for (uint8_t number = 1; number <= 3; ++number) {
        Fd visitor;
        const EndpointId id = harness.adopt_one(visitor, Family::Tcp, buffers);
        Plan plan;
        plan.mode = mode;
        const Joined joined = visit(harness, id, lane, "visitor " + std::to_string(number), std::move(plan));
        const Bytes request = pattern(number, 1'700'000);
        const Bytes answer = pattern(number + 100u, 2'300'000);
        std::thread asker([&] {
          send_all(visitor.get(), request);
          finish(visitor.get());
        });
        const std::optional<SeenFrame> open = peer.next();
        REQUIRE(open);
        CHECK(open->header.type == LaneFrameType::Open);
        CHECK(open->header.visit == number);
        CHECK((open->payload == bytes_of("visitor " + std::to_string(number))));
        LaneFrameType last{};
        CHECK((peer.visitor(number, last) == request));
        CHECK(last == LaneFrameType::End);
        asker.join();
        std::thread answerer([&] {
          Random random(number);
          for (size_t at = 0; at < answer.size();) {
            const size_t most = random.below(4) == 0 ? 700'000 : 3'000;
            const size_t n = std::min<size_t>(answer.size() - at, random.between(1, most));
            peer.send(LaneFrameType::Data, number, std::span(answer).subspan(at, n));
            at += n;
          }
          peer.send(LaneFrameType::End, number);
        });
        const Received received = receive_all(visitor.get());
        answerer.join();
        CHECK((received.bytes == answer));
        CHECK(received.end == End::Fin);
        const JoinEnd end = harness.ended(joined);
        CHECK(end.reason == EndReason::Eof);
        CHECK(end.a_to_b == request.size());
        CHECK(end.b_to_a == answer.size());
        CHECK(freed(harness, lane) == number);
      }
      harness.engine.destroy(lane.id, false);
      CHECK(harness.quiet());
    }
  });
}

TEST_CASE("lanes: OPEN and a visitor's first bytes leave in one segment, and what was written before them first") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  harness.engine.write(id, bytes_of("registered;"));
  harness.engine.lane(id, LaneRole::Opens, {});
  Lane lane{id, LanePeer(std::move(far))};
  CHECK((receive(lane.peer.fd(), 11).bytes == bytes_of("registered;")));
  Fd visitor;
  const EndpointId other = harness.adopt_one(visitor);
  CHECK(send_all(visitor.get(), bytes_of("GET /")));
  harness.engine.read(other, 1, kNever);
  CHECK(harness.expect(EventType::Read, other).payload.size() == 1);
  visit(harness, other, lane, "first");
  Bytes expected = lane_frame(LaneFrameType::Open, 1, bytes_of("first"));
  const Bytes data = lane_frame(LaneFrameType::Data, 1, bytes_of("ET /"));
  expected.insert(expected.end(), data.begin(), data.end());
  // One receive returns what one send has sent.
  uint8_t buffer[256];
  const ssize_t n = ::recv(lane.peer.fd(), buffer, sizeof buffer, 0);
  REQUIRE(n > 0);
  CHECK((Bytes(buffer, buffer + n) == expected));
}

TEST_CASE("lanes: the end that accepts tells of each visit, whose bytes may share a segment with the next OPEN") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Accepts);
  Bytes all;
  const auto append = [&](const Bytes& frame) { all.insert(all.end(), frame.begin(), frame.end()); };
  for (uint8_t number = 1; number <= 3; ++number) {
    append(lane_frame(LaneFrameType::Open, number, bytes_of("open " + std::to_string(number))));
    append(lane_frame(LaneFrameType::Data, number, bytes_of("data " + std::to_string(number))));
    append(lane_frame(LaneFrameType::End, number));
  }
  // More than a peer of ours would send: this end has not ended the first visit when the second begins.
  CHECK(lane.peer.send(all));
  for (uint8_t number = 1; number <= 3; ++number) {
    const Event event = opened(harness, lane);
    CHECK(event.record.values[1] == number);
    CHECK((event.payload == bytes_of("open " + std::to_string(number))));
    Fd service;
    const EndpointId id = harness.adopt_one(service);
    const Joined joined = harness.start(lane.id, id);
    if (number == 1) {
      // An OPEN within a visit is a fault.
      CHECK(harness.ended(joined).reason == EndReason::Error);
      harness.expect(EventType::Gone, lane.id);
      break;
    }
  }
  CHECK(harness.quiet());
}

TEST_CASE("lanes: the end that accepts serves visits one after the other") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Accepts);
  for (int round = 1; round <= 300; ++round) {
    const auto number = static_cast<uint8_t>(round);
    const Bytes request = pattern(static_cast<uint64_t>(round), 1 + static_cast<size_t>(round) * 7);
    Bytes all = lane_frame(LaneFrameType::Open, number, bytes_of("open"));
    const Bytes data = lane_frame(LaneFrameType::Data, number, request);
    const Bytes end = lane_frame(LaneFrameType::End, number);
    all.insert(all.end(), data.begin(), data.end());
    all.insert(all.end(), end.begin(), end.end());
    CHECK(lane.peer.send(all));
    opened(harness, lane);
    Fd service;
    const EndpointId id = harness.adopt_one(service);
    const Joined joined = harness.start(lane.id, id);
    const Received got = receive_all(service.get());
    CHECK((got.bytes == request));
    CHECK(got.end == End::Fin);
    CHECK(send_all(service.get(), request));
    service.close();
    LaneFrameType last{};
    CHECK((lane.peer.visitor(number, last) == request));
    CHECK(last == LaneFrameType::End);
    CHECK(harness.ended(joined).reason == EndReason::Eof);
    CHECK(freed(harness, lane) == number);
  }
  lane.peer.take().close();
  CHECK(harness.expect(EventType::Gone, lane.id).record.code == 0);
  CHECK(harness.quiet());
}

TEST_CASE("lanes: a lane to a lane, the way of a relay that is an agent too") {
  Harness harness;
  Lane from = make_lane(harness, LaneRole::Accepts);
  Lane to = make_lane(harness, LaneRole::Opens);
  for (uint8_t number = 1; number <= 20; ++number) {
    CHECK(from.peer.send(LaneFrameType::Open, number, bytes_of("from")));
    opened(harness, from);
    Plan plan;
    plan.open = bytes_of("to");
    const Joined joined = harness.start(from.id, to.id, std::move(plan));
    const Bytes up = pattern(number, 100'000);
    std::thread sender([&] {
      from.peer.send(LaneFrameType::Data, number, up);
      from.peer.send(LaneFrameType::End, number);
    });
    REQUIRE(to.peer.next()->header.type == LaneFrameType::Open);
    LaneFrameType last{};
    CHECK((to.peer.visitor(number, last) == up));
    CHECK(last == LaneFrameType::End);
    sender.join();
    CHECK(to.peer.send(LaneFrameType::End, number));
    from.peer.visitor(number, last);
    CHECK(last == LaneFrameType::End);
    CHECK(harness.ended(joined).reason == EndReason::Eof);
    freed(harness, from);
    freed(harness, to);
  }
}

TEST_CASE("lanes: a visitor for whose visit a service is dialed, and one for which there is none") {
  Harness harness;
  Lane lane = make_lane(harness, LaneRole::Accepts);
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address = loopback();
  REQUIRE(::bind(listener.get(), address.get(), address.length()) == 0);
  REQUIRE(::listen(listener.get(), 16) == 0);
  REQUIRE(::getsockname(listener.get(), address.get(), address.reset()) == 0);
  CHECK(lane.peer.send(LaneFrameType::Open, 1, bytes_of("one")));
  CHECK(lane.peer.send(LaneFrameType::Data, 1, bytes_of("hello")));
  opened(harness, lane);
  const Joined joined = harness.start_to(lane.id, address);
  Fd service(::accept(listener.get(), nullptr, nullptr));
  CHECK((receive(service.get(), 5).bytes == bytes_of("hello")));
  CHECK(send_all(service.get(), bytes_of("bye")));
  service.close();
  CHECK(lane.peer.send(LaneFrameType::End, 1));
  LaneFrameType last{};
  CHECK((lane.peer.visitor(1, last) == bytes_of("bye")));
  CHECK(last == LaneFrameType::End);
  CHECK(harness.ended(joined).reason == EndReason::Eof);
  freed(harness, lane);

  CHECK(lane.peer.send(LaneFrameType::Open, 2, bytes_of("two")));
  opened(harness, lane);
  const Joined refused = harness.start_to(lane.id, loopback(closed_port()));
  const std::optional<SeenFrame> seen = lane.peer.next();
  REQUIRE(seen);
  CHECK(seen->header.type == LaneFrameType::Reset);
  CHECK(seen->payload[0] == static_cast<uint8_t>(LaneReset::Unreachable));
  const JoinEnd end = harness.ended(refused);
  CHECK(end.reason == EndReason::Unreachable);
  CHECK(end.error == ECONNREFUSED);
  CHECK(lane.peer.send(reset_frame(2)));
  freed(harness, lane);

  // The client answers this one itself.
  CHECK(lane.peer.send(LaneFrameType::Open, 3, bytes_of("three")));
  opened(harness, lane);
  harness.engine.write(lane.id, bytes_of("no such thing"));
  harness.engine.leave(lane.id, false);
  CHECK((lane.peer.visitor(3, last) == bytes_of("no such thing")));
  CHECK(last == LaneFrameType::End);
  CHECK(lane.peer.send(LaneFrameType::End, 3));
  freed(harness, lane);
  // Nobody's visitor is there to read this.
  harness.engine.write(lane.id, bytes_of("astray"));
  harness.engine.flush(lane.id);
  harness.expect(EventType::Flushed, lane.id);
  CHECK(lane.peer.send(LaneFrameType::Open, 4, bytes_of("four")));
  opened(harness, lane);
  harness.engine.leave(lane.id, false);
  CHECK(lane.peer.visitor(4, last).empty());
}

}  // namespace millrace::test
