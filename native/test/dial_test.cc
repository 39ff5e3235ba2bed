#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>

#include "harness.h"

namespace millrace::test {

namespace {

// A listener of the test's own that accepts when it is told to.
struct Service {
  explicit Service(int backlog = 8) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    SocketAddress any = loopback();
    REQUIRE(::bind(fd.get(), any.get(), any.length()) == 0);
    REQUIRE(::listen(fd.get(), backlog) == 0);
    REQUIRE(::getsockname(fd.get(), address.get(), address.reset()) == 0);
  }
  Fd accept() { return Fd(::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

  Fd fd;
  SocketAddress address;
};

}  // namespace

TEST_CASE("dial: connects, says both addresses, and carries bytes") {
  Harness harness;
  Service service;
  const EndpointId id = harness.engine.dial(harness.client(), service.address, 10'000);
  REQUIRE(id != 0);
  const Event dialed = harness.expect(EventType::Dialed, id);
  CHECK(dialed.record.code == 0);
  CHECK(dialed.record.remote.port == service.address.pack().port);
  CHECK(dialed.record.local.family == 4);
  CHECK(dialed.record.local.port != 0);
  const Fd peer = service.accept();
  harness.engine.write(id, pattern(1, 100));
  CHECK((receive(peer.get(), 100).bytes == pattern(1, 100)));
  REQUIRE(send_all(peer.get(), pattern(2, 50)));
  harness.engine.read(id, 100, kNever);
  CHECK((harness.expect(EventType::Read, id).payload == pattern(2, 50)));
}

TEST_CASE("dial: refused") {
  Harness harness;
  const EndpointId id = harness.engine.dial(harness.client(), loopback(closed_port()), 10'000);
  CHECK(harness.expect(EventType::Dialed, id).record.code == ECONNREFUSED);
  CHECK(harness.quiet());
  CHECK_FALSE(harness.inbox.has(EventType::Gone));
}

TEST_CASE("dial: nobody answers in time") {
  Harness harness;
  // A full accept queue drops SYNs: whoever comes then waits for ever.
  Service service(0);
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    Fd filler(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::connect(filler.get(), service.address.get(), service.address.length());
    fillers.push_back(std::move(filler));
  }
  const EndpointId id = harness.engine.dial(harness.client(), service.address, 200);
  CHECK(harness.expect(EventType::Dialed, id).record.code == ETIMEDOUT);
  CHECK(harness.quiet());
}

TEST_CASE("dial: destroyed on its way") {
  Harness harness;
  Service service(0);
  std::vector<Fd> fillers;
  for (int i = 0; i < 4; ++i) {
    Fd filler(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ::connect(filler.get(), service.address.get(), service.address.length());
    fillers.push_back(std::move(filler));
  }
  const EndpointId id = harness.engine.dial(harness.client(), service.address, 60'000);
  harness.engine.destroy(id, false);
  harness.expect(EventType::Gone, id);
  CHECK_FALSE(harness.inbox.has(EventType::Dialed));
  CHECK(harness.quiet());
}

TEST_CASE("dial: a unix socket, and one that isn't there") {
  Harness harness;
  const TemporaryPath path;
  SocketAddress address;
  REQUIRE(address.set_unix(path.get()));
  const EndpointId missing = harness.engine.dial(harness.client(), address, 10'000);
  CHECK(harness.expect(EventType::Dialed, missing).record.code == ENOENT);
  Listening listening;
  REQUIRE(harness.engine.listen(harness.client(), {.address = address, .unlink_path = path.get()}, listening) == 0);
  const EndpointId id = harness.engine.dial(harness.client(), address, 10'000);
  CHECK(harness.expect(EventType::Dialed, id).record.code == 0);
  const EndpointId other = harness.expect(EventType::Accepted).id();
  harness.engine.write(id, pattern(1, 100));
  harness.engine.read(other, 1000, kNever);
  CHECK((harness.expect(EventType::Read, other).payload == pattern(1, 100)));
}

TEST_CASE("dial: no descriptor left") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  faults().set(Call::Socket, {.error = EMFILE, .times = 1});
  const EndpointId id = harness.engine.dial(harness.client(), loopback(closed_port()), 1000);
  CHECK(harness.expect(EventType::Dialed, id).record.code == EMFILE);
  CHECK(harness.quiet());
}

TEST_CASE("dial: written before the connection is up, sent when it is") {
  Harness harness;
  Service service;
  const EndpointId id = harness.engine.dial(harness.client(), service.address, 10'000);
  harness.engine.write(id, pattern(1, 3000));
  harness.engine.flush(id);
  const Fd peer = service.accept();
  CHECK((receive(peer.get(), 3000).bytes == pattern(1, 3000)));
  CHECK(harness.expect(EventType::Dialed, id).record.code == 0);
  CHECK(harness.expect(EventType::Flushed, id).record.code == 0);
}

TEST_CASE("dial: bytes and FIN that come with the connection's first event are not lost") {
  const FaultScope scope;
  for_each_mode([&](Mode mode) {
    Harness harness(faulty_syscalls());
    Service service;
    Fd a;
    const EndpointId left = harness.adopt_one(a);
    harness.hold();
    const EndpointId right = harness.engine.dial(harness.client(), service.address, 10'000);
    harness.step();
    Fd peer = service.accept();
    REQUIRE(send_all(peer.get(), pattern(1, 5000)));
    finish(peer.get());
    REQUIRE(await_receipt(peer.get()));
    harness.proceed();
    CHECK(harness.expect(EventType::Dialed, right).record.code == 0);
    CHECK(harness.expect(EventType::PeerEnded, right).record.code == 0);
    const Joined joined = harness.start(left, right, {.mode = mode});
    const Received received = receive_all(a.get());
    CHECK((received.bytes == pattern(1, 5000)));
    CHECK(received.end == End::Fin);
    finish(a.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("dial: a service that accepts and resets at once") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  Service service;
  harness.hold();
  const EndpointId id = harness.engine.dial(harness.client(), service.address, 10'000);
  harness.step();
  Fd peer = service.accept();
  reset(peer);
  harness.proceed();
  // Seen as a failed connect or as the end of an established one, by which came first.
  const Event dialed = harness.expect(EventType::Dialed, id);
  if (dialed.record.code == 0) CHECK(harness.expect(EventType::PeerEnded, id).record.code == ECONNRESET);
  else CHECK(dialed.record.code == ECONNRESET);
}

}  // namespace millrace::test
