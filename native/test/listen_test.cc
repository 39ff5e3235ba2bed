// Listeners: batches, limits, closing, descriptors that run out.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

Listening listen_on(Harness& harness, ListenRequest request) {
  Listening listening;
  REQUIRE(harness.engine.listen(harness.client(), request, listening) == 0);
  return listening;
}

Listening listen_tcp(Harness& harness, int64_t max_endpoints = 0) {
  return listen_on(harness, {.address = loopback(), .max_endpoints = max_endpoints});
}

ListenRequest unix_request(const char* path) {
  ListenRequest request;
  REQUIRE(request.address.set_unix(path));
  request.unlink_path = path;
  return request;
}

}  // namespace

TEST_CASE("listen: endpoints arrive with their addresses and work") {
  Harness harness;
  const Listening listening = listen_tcp(harness);
  CHECK(listening.local.family == 4);
  CHECK(listening.local.port != 0);
  CHECK(harness.engine.stats().listeners == 1);
  const Fd peer = connect_to(listening.local.port);
  const Event accepted = harness.expect(EventType::Accepted);
  CHECK(accepted.record.values[0] == listening.id);
  CHECK(accepted.record.local.port == listening.local.port);
  CHECK(accepted.record.remote.family == 4);
  CHECK(accepted.record.remote.port != 0);
  REQUIRE(send_all(peer.get(), pattern(1, 10)));
  harness.engine.read(accepted.id(), 100, kNever);
  CHECK((harness.expect(EventType::Read, accepted.id()).payload == pattern(1, 10)));
}

TEST_CASE("listen: a second holder goes on with the socket when the first leaves it, queue and all") {
  Harness first;
  Harness second;
  const Listening here = listen_tcp(first);
  const int fd = first.engine.duplicate(here.id);
  REQUIRE(fd >= 0);
  first.engine.unlisten(here.id, true);
  static_cast<void>(first.expect(EventType::ListenerClosed));
  CHECK(first.engine.duplicate(here.id) == -EBADF);
  const Fd queued = connect_to(here.local.port);
  REQUIRE(send_all(queued.get(), pattern(1, 10)));
  ListenRequest request;
  request.fd = fd;
  const Listening there = listen_on(second, request);
  CHECK(there.local.port == here.local.port);
  const Event accepted = second.expect(EventType::Accepted);
  second.engine.read(accepted.id(), 100, kNever);
  CHECK((second.expect(EventType::Read, accepted.id()).payload == pattern(1, 10)));
}

TEST_CASE("listen: what does not listen is no listener") {
  Harness harness;
  ListenRequest request;
  Listening listening;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    request.fd = ::socket(AF_INET, type, 0);
    REQUIRE(request.fd >= 0);
    CHECK(harness.engine.listen(harness.client(), request, listening) == EINVAL);
    CHECK(::close(request.fd) == -1);
  }
}

TEST_CASE("listen: on all addresses an endpoint knows its own; IPv6 takes IPv4 as well") {
  Harness harness;
  ListenRequest request;
  REQUIRE(request.address.set_inet("::", 0));
  Listening listening;
  const int error = harness.engine.listen(harness.client(), request, listening);
  if (error != 0) {
    MESSAGE("no IPv6 here (errno ", error, "): not tested");
    return;
  }
  const Fd peer = connect_to(listening.local.port);
  const Event accepted = harness.expect(EventType::Accepted);
  CHECK(accepted.record.local.family == 6);
  // ::ffff:127.0.0.1
  CHECK(accepted.record.local.bytes[12] == 127);
  CHECK(accepted.record.local.port == listening.local.port);
}

TEST_CASE("listen: a burst is accepted to the last, each endpoint once, spread over the batch limit") {
  Harness harness;
  const Listening listening = listen_tcp(harness);
  constexpr size_t kPeers = 300;
  std::vector<Fd> peers;
  for (size_t i = 0; i < kPeers; ++i) peers.push_back(connect_to(listening.local.port));
  std::vector<EndpointId> ids;
  for (size_t i = 0; i < kPeers; ++i) ids.push_back(harness.expect(EventType::Accepted).id());
  std::sort(ids.begin(), ids.end());
  CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
  CHECK_FALSE(harness.inbox.has(EventType::Accepted));
  CHECK(harness.engine.stats().endpoints == kPeers);
}

TEST_CASE("listen: closing delivers what is queued, frees the address though endpoints live on") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Listening listening = listen_tcp(harness);
  harness.hold();
  std::vector<Fd> peers;
  for (size_t i = 0; i < 100; ++i) peers.push_back(connect_to(listening.local.port));
  harness.engine.unlisten(listening.id);
  harness.proceed();
  const Event closed = harness.expect(EventType::ListenerClosed, static_cast<double>(listening.id));
  CHECK(closed.record.values[0] == 0);
  CHECK(harness.inbox.count(EventType::Accepted) == peers.size());
  CHECK(harness.engine.stats().listeners == 0);
  // The address is free, although what it accepted lives.
  Listening second;
  CHECK(harness.engine.listen(harness.client(), {.address = loopback(listening.local.port)}, second) == 0);
  // And the endpoints work.
  const EndpointId id = harness.expect(EventType::Accepted).id();
  harness.engine.read(id, 10, 0);
  CHECK(harness.expect(EventType::Read, id).record.code == static_cast<uint32_t>(ReadStatus::TimedOut));
}

TEST_CASE("listen: a unix path goes with its listener") {
  Harness harness;
  const TemporaryPath path;
  const Listening listening = listen_on(harness, unix_request(path.get()));
  const Fd peer = connect_to_unix(path.get());
  const Event accepted = harness.expect(EventType::Accepted);
  CHECK(accepted.record.remote.family == 0);
  REQUIRE(send_all(peer.get(), pattern(1, 10)));
  harness.engine.read(accepted.id(), 100, kNever);
  CHECK(harness.expect(EventType::Read, accepted.id()).payload.size() == 10);
  struct stat status {};
  CHECK(::stat(path.get(), &status) == 0);
  harness.engine.unlisten(listening.id);
  harness.expect(EventType::ListenerClosed);
  CHECK(::stat(path.get(), &status) != 0);
}

TEST_CASE("listen: an address in use, and one that isn't ours") {
  Harness harness;
  const size_t before = open_descriptors();
  const Listening listening = listen_tcp(harness);
  Listening second;
  CHECK(harness.engine.listen(harness.client(), {.address = loopback(listening.local.port)}, second) == EADDRINUSE);
  ListenRequest foreign;
  REQUIRE(foreign.address.set_inet("192.0.2.1", 0));
  CHECK(harness.engine.listen(harness.client(), foreign, second) == EADDRNOTAVAIL);
  const TemporaryPath path;
  const Listening local = listen_on(harness, unix_request(path.get()));
  CHECK(harness.engine.listen(harness.client(), unix_request(path.get()), second) == EADDRINUSE);
  struct stat status {};
  CHECK(::stat(path.get(), &status) == 0);
  harness.engine.unlisten(local.id);
  harness.engine.unlisten(listening.id);
  harness.expect(EventType::ListenerClosed);
  harness.expect(EventType::ListenerClosed);
  CHECK(open_descriptors() == before);
}

TEST_CASE("listen: beyond max_endpoints the newest is reset and counted; a place that becomes free is used") {
  Harness harness;
  const Listening listening = listen_tcp(harness, 3);
  std::vector<Fd> peers;
  std::vector<EndpointId> ids;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(connect_to(listening.local.port));
    ids.push_back(harness.expect(EventType::Accepted).id());
  }
  const Fd refused = connect_to(listening.local.port);
  CHECK(receive_all(refused.get()).end == End::Reset);
  // The reset is out before it is counted.
  CHECK(eventually([&] { return harness.engine.refused(listening.id) == 1; }));
  harness.engine.destroy(ids[1], true);
  harness.expect(EventType::Gone, ids[1]);
  // Freed at the end of the worker's turn: tried until it is.
  CHECK(eventually([&] {
    const Fd peer = connect_to(listening.local.port);
    pause_ms(5);
    return harness.inbox.has(EventType::Accepted);
  }));
  harness.engine.unlisten(listening.id);
  CHECK(harness.expect(EventType::ListenerClosed).record.values[0] >= 1);
}

TEST_CASE("listen: EMFILE pauses accepting; it goes on by itself and when a descriptor is freed") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Listening listening = listen_tcp(harness);
  faults().set(Call::Accept4, {.error = EMFILE, .times = 5 * harness.workers});
  const Fd peer = connect_to(listening.local.port);
  const EndpointId id = harness.expect(EventType::Accepted).id();
  CHECK(faults().met(Call::Accept4) == 5 * harness.workers);
  faults().set(Call::Accept4, {.error = EMFILE});
  const Fd second = connect_to(listening.local.port);
  pause_ms(50);
  faults().clear(Call::Accept4);
  harness.engine.destroy(id, true);
  const Event accepted = harness.expect(EventType::Accepted);
  REQUIRE(send_all(second.get(), pattern(1, 7)));
  harness.engine.read(accepted.id(), 10, kNever);
  CHECK(harness.expect(EventType::Read, accepted.id()).payload.size() == 7);
}

TEST_CASE("listen: no busy loop while no descriptor is left") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Listening listening = listen_tcp(harness);
  faults().set(Call::Accept4, {.error = EMFILE});
  const Fd peer = connect_to(listening.local.port);
  pause_ms(50);
  const uint64_t before = faults().calls(Call::EpollWait);
  pause_ms(300);
  // One look per 100 ms and worker; a loop makes tens of thousands.
  CHECK(faults().calls(Call::EpollWait) - before < 200);
  faults().clear(Call::Accept4);
  harness.expect(EventType::Accepted);
}

TEST_CASE("listen: a client that doesn't drain its events stops the accepting") {
  Harness harness;
  const Listening listening = listen_tcp(harness);
  const auto idle = std::make_shared<Client>([] {});
  Listening second;
  REQUIRE(harness.engine.listen(idle, {.address = loopback()}, second) == 0);
  EventRecord record{};
  record.type = EventType::Gone;
  for (size_t i = 0; i < Listener::kBacklog; ++i) idle->push(record);
  const Fd peer = connect_to(second.local.port);
  // Others go on.
  const Fd other = connect_to(listening.local.port);
  harness.expect(EventType::Accepted);
  pause_ms(150);
  CHECK(idle->backlog() == Listener::kBacklog);
  std::vector<EventRecord> records(Listener::kBacklog);
  CHECK(idle->drain(records.data(), records.size(), nullptr, 0) == Listener::kBacklog);
  CHECK(eventually([&] { return idle->backlog() == 1; }));
  harness.engine.detach(*idle);
}

TEST_CASE("listen: peers that come and go before they are accepted do no harm") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Listening listening = listen_tcp(harness);
  harness.hold();
  for (int i = 0; i < 20; ++i) {
    Fd peer = connect_to(listening.local.port);
    if (i % 2) reset(peer);
  }
  const Fd last = connect_to(listening.local.port);
  REQUIRE(send_all(last.get(), pattern(1, 5)));
  harness.proceed();
  for (;;) {
    const EndpointId id = harness.expect(EventType::Accepted).id();
    harness.engine.read(id, 10, kNever);
    const Event read = harness.expect(EventType::Read, id);
    harness.engine.destroy(id, true);
    if (read.payload.size() == 5) break;
    CHECK(read.payload.empty());
  }
}

}  // namespace millrace::test
