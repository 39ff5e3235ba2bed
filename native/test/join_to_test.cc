// Joins that dial their second side: what reaches the service, and every way in which it may not come to that.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "faults.h"
#include "harness.h"
#include "wake_batch.h"

namespace millrace::test {

namespace {

// A service on loopback; with `full`, one whose queue has no room, so that dials hang.
class Service {
 public:
  explicit Service(bool full = false) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_.get(), full ? 0 : 64) == 0);
    socklen_t length = sizeof address;
    REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    if (full) filler_ = connect_to(port_);
  }
  SocketAddress address() const { return loopback(port_); }
  // Whether somebody waits to be accepted.
  bool visited() const {
    pollfd there{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&there, 1, 0) == 1;
  }
  Fd accept() const {
    Fd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(fd.get() >= 0);
    return fd;
  }

 private:
  Fd fd_;
  Fd filler_;
  uint16_t port_ = 0;
};

}  // namespace

TEST_CASE("joinTo: bytes both ways on every path, a head first, and one FIN each way") {
  const Service service;
  for_each_mode([&](Mode mode) {
    const FaultScope scope;
    Harness harness(faulty_syscalls());
    Fd visitor;
    const EndpointId a = harness.adopt_one(visitor);
    Plan plan{.mode = mode};
    plan.a_to_b.head = pattern(1, 1000);
    const Joined joined = harness.start_to(a, service.address(), std::move(plan));
    const Fd local = service.accept();
    CHECK((receive(local.get(), 1000).bytes == pattern(1, 1000)));
    const Bytes question = pattern(2, 400'000);
    const Bytes answer = pattern(3, 600'000);
    std::thread asking([&] {
      send_all(visitor.get(), question);
      finish(visitor.get());
    });
    CHECK((receive_all(local.get()).bytes == question));
    std::thread answering([&] {
      send_all(local.get(), answer);
      finish(local.get());
    });
    const Received got = receive_all(visitor.get());
    asking.join();
    answering.join();
    CHECK((got.bytes == answer));
    CHECK(got.end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == 401'000);
    CHECK(end.b_to_a == 600'000);
    CHECK(harness.quiet());
    // The second FIN is the close's.
    CHECK(faults().calls(Call::Shutdown) == 1);
  });
}

TEST_CASE("joinTo: nobody listens: unreachable, and the visitor is reset") {
  const size_t before = open_descriptors();
  {
    Harness harness;
    Fd visitor;
    const EndpointId a = harness.adopt_one(visitor);
    const JoinEnd end = harness.ended(harness.start_to(a, loopback(closed_port())));
    CHECK(end.reason == EndReason::Unreachable);
    CHECK(end.error == ECONNREFUSED);
    CHECK(receive_all(visitor.get()).end == End::Reset);
    CHECK(harness.quiet());
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("joinTo: no descriptor left: unreachable with EMFILE") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Service service;
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  faults().set(Call::Socket, {.error = EMFILE});
  const JoinEnd end = harness.ended(harness.start_to(a, service.address()));
  CHECK(end.reason == EndReason::Unreachable);
  CHECK(end.error == EMFILE);
  CHECK(receive_all(visitor.get()).end == End::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("joinTo: a dial that hangs ends by its time-out, an abort, a destroy or the visitor's reset") {
  const Service service(true);
  enum class By { TimeOut, Abort, Destroy, Visitor };
  for (const By by : {By::TimeOut, By::Abort, By::Destroy, By::Visitor}) {
    CAPTURE(static_cast<int>(by));
    Harness harness;
    Fd visitor;
    const EndpointId a = harness.adopt_one(visitor);
    const Joined joined = harness.start_to(a, service.address(), {}, by == By::TimeOut ? 100 : kNever);
    REQUIRE(eventually([&] { return harness.engine.stats().endpoints == 2; }));
    if (by == By::Abort) harness.engine.abort(a);
    if (by == By::Destroy) harness.engine.destroy(a, true);
    if (by == By::Visitor) reset(visitor);
    const JoinEnd end = harness.ended(joined);
    const EndReason expected = by == By::TimeOut   ? EndReason::Unreachable
                               : by == By::Visitor ? EndReason::Reset
                                                   : EndReason::Aborted;
    CHECK(end.reason == expected);
    if (by != By::Visitor) CHECK(receive_all(visitor.get()).end == End::Reset);
    CHECK(harness.quiet());
  }
}

TEST_CASE("joinTo: another join that was to have the same visitor ends as well") {
  const Service service(true);
  Harness harness;
  Fd visitor;
  Fd other;
  const EndpointId a = harness.adopt_one(visitor);
  const Joined dialing = harness.start_to(a, service.address());
  REQUIRE(eventually([&] { return harness.engine.stats().endpoints == 2; }));
  const Joined again = harness.start_to(a, service.address());
  const EndpointId neighbour = harness.adopt_one(other);
  const Joined second = harness.start(a, neighbour);
  harness.engine.abort(a);
  CHECK(harness.ended(dialing).reason == EndReason::Aborted);
  CHECK(harness.ended(again).reason == EndReason::Reset);
  CHECK(harness.ended(second).reason == EndReason::Reset);
  CHECK(receive_all(other.get()).end == End::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("joinTo: nobody is dialed for a visitor that has reset") {
  const Service service;
  Harness harness;
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  reset(visitor);
  harness.expect(EventType::PeerEnded, a);
  CHECK(harness.ended(harness.start_to(a, service.address())).reason == EndReason::Reset);
  CHECK(harness.quiet());
  CHECK_FALSE(service.visited());
}

TEST_CASE("joinTo: a service that is connected when the dial is given up sees a reset") {
  const FaultScope scope;
  const Service service;
  Harness harness(faulty_syscalls());
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  REQUIRE(eventually([&] { return harness.engine.stats().endpoints == 1; }));
  harness.hold();
  const Joined joined = harness.start_to(a, service.address());
  harness.step();
  const Fd local = service.accept();
  // Carried out before the connection's event is.
  harness.engine.abort(a);
  harness.proceed();
  CHECK(harness.ended(joined).reason == EndReason::Aborted);
  CHECK(receive_all(local.get()).end == End::Reset);
  CHECK(receive_all(visitor.get()).end == End::Reset);
}

TEST_CASE("joinTo: clients and engines may go while it dials") {
  const Service service(true);
  const size_t before = open_descriptors();
  for (const bool detach : {true, false}) {
    Harness harness;
    Fd visitor;
    const Joined joined = harness.start_to(harness.adopt_one(visitor), service.address());
    REQUIRE(eventually([&] { return harness.engine.stats().endpoints == 2; }));
    // Posted to a worker that nobody has woken: both must do so themselves.
    const WakeBatch batch;
    harness.engine.abort(joined.left);
    if (detach) harness.engine.detach(*harness.client());
    harness.engine.stop();
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("joinTo: a join with a side that is gone, or in another join, can't begin") {
  Harness harness;
  const Service service;
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  harness.engine.destroy(a, true);
  harness.expect(EventType::Gone, a);
  CHECK(harness.ended(harness.start_to(a, service.address())).reason == EndReason::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("joinTo: the options of long connections come once it is one") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const Service service;
  const auto options = [] { return faults().calls(Call::Setsockopt); };
  const uint64_t none = options();
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  // The visitor has all of its own: no join has taken it.
  REQUIRE(eventually([&] { return options() == none + 7; }));
  const uint64_t before = options();
  const auto begun = std::chrono::steady_clock::now();
  const Joined joined = harness.start_to(a, service.address());
  const Fd local = service.accept();
  REQUIRE(send_all(visitor.get(), pattern(1, 10)));
  CHECK(receive(local.get(), 10).bytes.size() == 10);
  const uint64_t seen = options();
  // TCP_NODELAY, and TCP_CONGESTION where the system paces.
  if (std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(Join::kOptionsAfter)) CHECK(seen <= before + 2);
  CHECK(eventually([&] { return options() >= before + 7; }));
  finish(visitor.get());
  finish(local.get());
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

TEST_CASE("wake batch: a worker is woken once for all that is posted, and at the end") {
  const FaultScope scope;
  Harness harness(faulty_syscalls(), 1);
  Fd visitor;
  const EndpointId a = harness.adopt_one(visitor);
  harness.engine.write(a, pattern(1, 1));
  CHECK(receive(visitor.get(), 1).bytes.size() == 1);
  // Until it sleeps again.
  REQUIRE(eventually([&] {
    const uint64_t waits = faults().calls(Call::EpollWait);
    pause_ms(20);
    return faults().calls(Call::EpollWait) == waits;
  }));
  const uint64_t wakes = faults().calls(Call::Write);
  {
    const WakeBatch batch;
    for (int i = 0; i < 100; ++i) harness.engine.write(a, pattern(1, 1));
    CHECK(faults().calls(Call::Write) == wakes);
  }
  CHECK(receive(visitor.get(), 100).bytes.size() == 100);
  CHECK(faults().calls(Call::Write) == wakes + 1);
}

}  // namespace millrace::test
