// Endpoints before a join: reads, writes, the peer's end, destroy and release.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

uint32_t code(ReadStatus status) { return static_cast<uint32_t>(status); }

}  // namespace

TEST_CASE("endpoint: a read brings what is there, at most what is asked for, once") {
  Harness harness;
  for (const Family family : {Family::Tcp, Family::Unix}) {
    Fd far;
    const EndpointId id = harness.adopt_one(far, family);
    const Bytes bytes = pattern(1, 100);
    REQUIRE(send_all(far.get(), bytes));
    Bytes taken;
    while (taken.size() < bytes.size()) {
      harness.engine.read(id, 30, kNever);
      const Event event = harness.expect(EventType::Read, id);
      CHECK(event.record.code == code(ReadStatus::Data));
      CHECK(event.payload.size() <= 30);
      taken.insert(taken.end(), event.payload.begin(), event.payload.end());
    }
    CHECK((taken == bytes));
    // Asked before anything is there.
    harness.engine.read(id, 10, kNever);
    REQUIRE(send_all(far.get(), pattern(2, 5)));
    CHECK((harness.expect(EventType::Read, id).payload == pattern(2, 5)));
    // Nobody asked: it stays in the kernel.
    REQUIRE(send_all(far.get(), pattern(3, 5)));
    finish(far.get());
    harness.expect(EventType::PeerEnded, id);
    CHECK_FALSE(harness.inbox.has(EventType::Read, static_cast<double>(id)));
    harness.engine.read(id, 10, kNever);
    CHECK((harness.expect(EventType::Read, id).payload == pattern(3, 5)));
    harness.engine.read(id, 10, kNever);
    CHECK(harness.expect(EventType::Read, id).record.code == code(ReadStatus::Ended));
    harness.engine.destroy(id, false);
    harness.expect(EventType::Gone, id);
  }
}

TEST_CASE("endpoint: a read's deadline, and a read after it") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  harness.engine.read(id, 10, 50);
  CHECK(harness.expect(EventType::Read, id).record.code == code(ReadStatus::TimedOut));
  harness.engine.read(id, 10, 0);
  CHECK(harness.expect(EventType::Read, id).record.code == code(ReadStatus::TimedOut));
  harness.engine.read(id, 10, 60'000);
  REQUIRE(send_all(far.get(), pattern(1, 4)));
  CHECK((harness.expect(EventType::Read, id).payload == pattern(1, 4)));
}

TEST_CASE("endpoint: reset is read behind the bytes before it") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  REQUIRE(send_all(far.get(), pattern(1, 1000)));
  REQUIRE(await_receipt(far.get()));
  reset(far);
  CHECK(harness.expect(EventType::PeerEnded, id).record.code == ECONNRESET);
  harness.engine.read(id, 5000, kNever);
  CHECK((harness.expect(EventType::Read, id).payload == pattern(1, 1000)));
  harness.engine.read(id, 5000, kNever);
  CHECK(harness.expect(EventType::Read, id).record.code == code(ReadStatus::Reset));
}

TEST_CASE("endpoint: the peer's end is reported without a read: FIN once, then a reset once") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  finish(far.get());
  CHECK(harness.expect(EventType::PeerEnded, id).record.code == 0);
  reset(far);
  CHECK(harness.expect(EventType::PeerEnded, id).record.code != 0);
  harness.engine.destroy(id, false);
  harness.expect(EventType::Gone, id);
  CHECK_FALSE(harness.inbox.has(EventType::PeerEnded));
}

TEST_CASE("endpoint: writes leave in order, and flushed says when the kernel has them") {
  Harness harness;
  for (const Family family : {Family::Tcp, Family::Unix}) {
    Fd far;
    const EndpointId id = harness.adopt_one(far, family, 8192);
    Bytes all;
    for (uint64_t i = 0; i < 10; ++i) {
      const Bytes part = pattern(i, 60'000);
      harness.engine.write(id, part);
      all.insert(all.end(), part.begin(), part.end());
    }
    harness.engine.flush(id);
    CHECK((receive(far.get(), all.size()).bytes == all));
    CHECK(harness.expect(EventType::Flushed, id).record.code == 0);
    harness.engine.flush(id);
    CHECK(harness.expect(EventType::Flushed, id).record.code == 0);
  }
}

TEST_CASE("endpoint: flushed tells of a peer that broke instead") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far, Family::Tcp, 8192);
  harness.engine.write(id, pattern(1, 900'000));
  harness.engine.flush(id);
  reset(far);
  CHECK(harness.expect(EventType::Flushed, id).record.code != 0);
}

TEST_CASE("endpoint: more than a mebibyte waiting destroys it") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far, Family::Tcp, 8192);
  for (int i = 0; i < 40; ++i) harness.engine.write(id, pattern(1, 60'000));
  CHECK(harness.expect(EventType::Gone, id).record.code == ENOBUFS);
  CHECK(receive_all(far.get()).end == End::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("endpoint: destroy sends what was written, then FIN; with reset it is RST at once") {
  Harness harness;
  {
    Fd far;
    const EndpointId id = harness.adopt_one(far, Family::Tcp, 8192);
    const Bytes last_words = pattern(1, 500'000);
    harness.engine.write(id, last_words);
    harness.engine.destroy(id, false);
    // Idempotent, and nothing more is taken.
    harness.engine.destroy(id, false);
    harness.engine.write(id, pattern(2, 100));
    harness.engine.read(id, 100, 0);
    harness.engine.flush(id);
    harness.engine.release(id);
    const Received received = receive_all(far.get());
    CHECK((received.bytes == last_words));
    CHECK(received.end == End::Fin);
    far.close();
    CHECK(harness.expect(EventType::Gone, id).record.code == 0);
    for (const EventType type : {EventType::Read, EventType::Flushed, EventType::Released}) {
      CHECK_FALSE(harness.inbox.has(type));
    }
  }
  {
    Fd far;
    const EndpointId id = harness.adopt_one(far);
    harness.engine.destroy(id, true);
    CHECK(receive_all(far.get()).end == End::Reset);
    CHECK(harness.expect(EventType::Gone, id).record.code == 0);
  }
  {
    // A reset overtakes an orderly end under way.
    Fd far;
    const EndpointId id = harness.adopt_one(far, Family::Tcp, 8192);
    harness.engine.write(id, pattern(1, 900'000));
    harness.engine.destroy(id, false);
    harness.engine.destroy(id, true);
    CHECK(receive_all(far.get()).end == End::Reset);
    harness.expect(EventType::Gone, id);
  }
  CHECK(harness.quiet());
}

TEST_CASE("endpoint: released, its descriptor is the client's, with all that is unread") {
  Harness harness;
  for (const Family family : {Family::Tcp, Family::Unix}) {
    Fd far;
    const EndpointId id = harness.adopt_one(far, family, 8192);
    const Bytes written = pattern(1, 200'000);
    harness.engine.write(id, written);
    REQUIRE(send_all(far.get(), pattern(2, 700)));
    harness.engine.release(id);
    // Only once what was written is out.
    CHECK((receive(far.get(), written.size()).bytes == written));
    const Fd ours(static_cast<int>(harness.expect(EventType::Released, id).record.values[0]));
    CHECK(harness.quiet());
    CHECK((::fcntl(ours.get(), F_GETFL) & O_NONBLOCK) != 0);
    ::fcntl(ours.get(), F_SETFL, 0);
    CHECK((receive(ours.get(), 700).bytes == pattern(2, 700)));
    REQUIRE(send_all(ours.get(), pattern(3, 10)));
    CHECK(receive(far.get(), 10).bytes.size() == 10);
    // And can come back.
    const int again = ::dup(ours.get());
    const EndpointId second = harness.adopt(Fd(again));
    harness.engine.destroy(second, false);
    harness.expect(EventType::Gone, second);
  }
}

TEST_CASE("endpoint: adopt makes a blocking socket non-blocking, and refuses what is no socket") {
  Harness harness;
  SocketPair pair = connect_pair(Family::Tcp);
  CHECK((::fcntl(pair.near.get(), F_GETFL) & O_NONBLOCK) == 0);
  const Fd duplicate(::dup(pair.near.get()));
  const EndpointId id = harness.adopt(std::move(pair.near));
  CHECK((::fcntl(duplicate.get(), F_GETFL) & O_NONBLOCK) != 0);
  harness.engine.destroy(id, false);
  harness.expect(EventType::Gone, id);
  const size_t before = open_descriptors();
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  for (const int fd : pipe) {
    int error = 0;
    CHECK(harness.engine.adopt(harness.client(), fd, error) == 0);
    CHECK(error == ENOTSOCK);
  }
  int error = 0;
  CHECK(harness.engine.adopt(harness.client(), -1, error) == 0);
  CHECK(error == EBADF);
  CHECK(open_descriptors() == before);
}

TEST_CASE("endpoint: the stages of one that nobody wants any more leave nothing behind") {
  const size_t before = open_descriptors();
  {
    Harness harness;
    std::vector<Fd> fars(60);
    for (size_t i = 0; i < fars.size(); ++i) {
      const EndpointId id = harness.adopt_one(fars[i], i % 2 ? Family::Unix : Family::Tcp);
      if (i % 3 == 0) harness.engine.read(id, 100, 100'000);
      if (i % 5 == 0) harness.engine.write(id, pattern(i, 300'000));
      if (i % 7 == 0) fars[i].close();
      if (i % 4 == 0) harness.engine.destroy(id, i % 8 == 0);
    }
  }
  CHECK(open_descriptors() == before);
}

}  // namespace millrace::test
