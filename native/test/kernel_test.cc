// Named regressions, part three: pipes, lengths and full buffers. The numbers are only names, kept so that commits and
// reports can cite them.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "fault_world.h"
#include "harness.h"

namespace millrace::test {

TEST_CASE("fact 2: a blocking socket that was taken over blocks nobody") {
  Harness harness(kernel_syscalls(), 1);
  for_each_mode([&](Mode mode) {
    SocketPair a = connect_pair(Family::Tcp, 16'384);
    SocketPair b = connect_pair(Family::Tcp, 16'384);
    REQUIRE((::fcntl(a.near.get(), F_GETFL) & O_NONBLOCK) == 0);
    const EndpointId left = harness.adopt(std::move(a.near));
    const EndpointId right = harness.adopt(std::move(b.near));
    const Joined blocked = harness.start(left, right, {.mode = mode});
    // More than all buffers hold, and nobody reads: a worker that blocked would serve nobody else.
    std::thread sender([&] { send_all(a.far.get(), pattern(1, 4 << 20)); });
    REQUIRE(eventually([&] { return blocked.cell->a_to_b > 16'000; }));
    const Joined other = harness.start({.mode = mode});
    REQUIRE(send_all(other.a.get(), pattern(2, 100'000)));
    CHECK((receive(other.b.get(), 100'000).bytes == pattern(2, 100'000)));
    harness.engine.abort(left);
    sender.join();
    harness.ended(blocked);
    harness.engine.abort(other.left);
    harness.ended(other);
  });
}

TEST_CASE("fact 3, fact 4: a pipe that is full by its slots, not by its bytes, and the tail behind it") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  // 64 KiB of 16 slots, as for a user who may not have more.
  faults().set(Call::SetPipeSize, {.error = EPERM});
  const Joined joined = harness.start({.mode = Mode::Splice});
  REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
  REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
  harness.hold();
  // 200-byte segments: sixteen fill the pipe with 3200 bytes, and no edge comes for the others.
  Bytes all;
  for (uint64_t i = 0; i < 60; ++i) {
    const Bytes part = pattern(i, 200);
    REQUIRE(send_all(joined.a.get(), part));
    all.insert(all.end(), part.begin(), part.end());
  }
  pause_ms(5);
  harness.proceed();
  CHECK((receive(joined.b.get(), all.size()).bytes == all));
  finish(joined.a.get());
  finish(joined.b.get());
  CHECK(harness.ended(joined).a_to_b == all.size() + 10);
}

TEST_CASE("fact 5: no splice is asked for nothing, or for more than a mebibyte") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for (const uint64_t most : {uint64_t{0}, uint64_t{1}, uint64_t{70'000}, uint64_t{3} << 20}) {
    for (const double rate : {0.0, 2e6, 5e8}) {
      CAPTURE(most);
      CAPTURE(rate);
      Plan plan{.mode = Mode::Splice};
      plan.a_to_b.max_bytes = most;
      if (rate > 0) plan.a_to_b.rate = std::make_shared<TokenBucket>(rate, 1e6);
      const Joined joined = harness.start(plan);
      const Bytes bytes = pattern(3, most);
      std::thread sender([&] {
        send_all(joined.a.get(), bytes);
        finish(joined.a.get());
      });
      CHECK((receive(joined.b.get(), most).bytes == bytes));
      finish(joined.b.get());
      sender.join();
      CHECK(harness.ended(joined).a_to_b == most);
    }
  }
  CHECK(faults().calls(Call::Fill) > 0);
  // The scope's end checks the lengths.
}

TEST_CASE("fact 16: RST while the sink's kernel buffer is full: what the engine took arrives, then the RST") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    // Set, as one that the kernel sizes itself may grow beyond what is sent here.
    for (const int buffers : {8192, 512 << 10}) {
      CAPTURE(buffers);
      Joined joined = harness.start({.mode = mode, .buffers = buffers});
      const Bytes bytes = pattern(1, 16 << 20);
      size_t sent = 0;
      // Until every buffer on the way is full.
      for (int misses = 0; misses < 30;) {
        const ssize_t n = ::send(joined.a.get(), bytes.data() + sent, std::min<size_t>(bytes.size() - sent, 4096), MSG_DONTWAIT);
        if (n > 0) sent += static_cast<size_t>(n);
        misses = n > 0 ? 0 : misses + 1;
        if (n <= 0) pause_ms(3);
      }
      REQUIRE(sent < bytes.size());
      reset(joined.a);
      pause_ms(20);
      CHECK_FALSE(harness.inbox.has(EventType::JoinEnded, joined.token));
      const Received at_b = receive_all(joined.b.get());
      const JoinEnd end = harness.ended(joined);
      CHECK(end.reason == EndReason::Reset);
      // All that the engine counted arrived: the reset destroyed nothing.
      CHECK(at_b.bytes.size() == end.a_to_b);
      CHECK(std::equal(at_b.bytes.begin(), at_b.bytes.end(), bytes.begin()));
      CHECK(at_b.end == End::Reset);
    }
  });
}

TEST_CASE("pitfall 4: a wake-up that the system refuses wakes all the same") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for (const int error : {EAGAIN, EINTR, EPERM, ENOSYS, EINVAL}) {
    for (const uint64_t every : {1, 2, 3}) {
      faults().set(Call::Write, {.error = error, .every = every});
      for (int i = 0; i < 10; ++i) {
        Fd far;
        const EndpointId id = harness.adopt_one(far);
        // A worker that sleeps.
        pause_ms(1);
        harness.engine.write(id, pattern(1, 10));
        CHECK(receive(far.get(), 10).bytes.size() == 10);
        harness.engine.destroy(id, true);
      }
    }
  }
  CHECK(faults().met(Call::Write) > 0);
  faults().clear();
  CHECK(harness.quiet());
}

TEST_CASE("pitfall 13: a system without another thread is an error, not the end of the process") {
  const bool passed = in_child([] {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::getuid() == 0 && ::setuid(65'534) != 0) return false;
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    const size_t before = open_descriptors();
    {
      Engine engine({.workers = 2});
      const int error = engine.start();
      // Where the limit isn't enforced (a container's user namespace), the engine just works.
      if (error != 0 && error != EAGAIN) return false;
      // Whoever uses it all the same isn't kept waiting.
      Client client([] {});
      engine.detach(client);
    }
    return open_descriptors() == before;
  });
  CHECK(passed);
}

TEST_CASE("pitfall 15: limits of many minutes cost one look every five seconds") {
  const FaultScope scope;
  FakeClock::instance().stop();
  {
    World world(1);
    REQUIRE(world.start() == 0);
    int error = 0;
    auto spec = std::make_unique<JoinSpec>();
    for (Peer* peer : {&world.a, &world.b}) {
      SocketPair pair = connect_pair(Family::Tcp);
      (peer == &world.a ? spec->a : spec->b) = world.engine.adopt(world.client, pair.near.take(), error);
      peer->connect(std::move(pair.far));
    }
    spec->token = 1;
    spec->client = world.client;
    spec->cell = &world.cell;
    spec->limits = {.idle = 1'800'000, .half_closed_idle = 1'800'000, .duration = 1'800'000, .stalled = 1'800'000};
    world.engine.join(std::move(spec));
    world.settle();
    const uint64_t before = faults().calls(Call::Recv);
    int looks = 0;
    for (const Millis end = FakeClock::instance().now() + 600'000; FakeClock::instance().now() < end; ++looks) {
      FakeClock::instance().jump_to(FakeClock::instance().next_due());
      world.settle();
    }
    CHECK(looks <= 130);
    CHECK(faults().calls(Call::Recv) == before);
  }
  FakeClock::instance().resume();
}

TEST_CASE("pitfall 22: what workers count lies in cache lines of their own") {
  CHECK(alignof(WorkerStats) >= 64);
  CHECK(sizeof(WorkerStats) % 64 == 0);
  CHECK(alignof(CounterCell) == 64);
  CHECK(sizeof(CounterCell) == 64);
}

TEST_CASE("loopback is not paced where the system paces, however a socket came") {
  static Syscalls table = kernel_syscalls();
  table.getsockopt = [](int fd, int level, int option, void* value, socklen_t* length) {
    if (level != IPPROTO_TCP || option != TCP_CONGESTION) {
      return kernel_syscalls().getsockopt(fd, level, option, value, length);
    }
    std::memcpy(value, "bbr", sizeof "bbr");
    *length = sizeof "bbr";
    return 0;
  };
  const auto control = [](int fd) {
    char name[16] = {};
    socklen_t length = sizeof name;
    ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length);
    return std::string(name);
  };
  // Before it connects, as a socket that has begun to pace never stops.
  static std::atomic<int> in_time = 0;
  in_time = 0;
  table.connect = [](int fd, const sockaddr* address, socklen_t length) {
    char name[16] = {};
    socklen_t size = sizeof name;
    ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size);
    if (std::string_view(name) == "reno") ++in_time;
    return kernel_syscalls().connect(fd, address, length);
  };
  Harness harness(table);
  SocketAddress wildcard;
  REQUIRE(wildcard.set_inet("::", 0));
  for (const SocketAddress& address : {loopback(), wildcard}) {
    Listening listening;
    REQUIRE(harness.engine.listen(harness.client(), {.address = address}, listening) == 0);
    const EndpointId dialed = harness.engine.dial(harness.client(), loopback(listening.local.port), 10'000);
    CHECK(harness.expect(EventType::Dialed, dialed).record.code == 0);
    for (const EndpointId id : {dialed, harness.expect(EventType::Accepted).id()}) {
      harness.engine.release(id);
      const Fd fd(static_cast<int>(harness.expect(EventType::Released, id).record.values[0]));
      CHECK(control(fd.get()) == "reno");
    }
  }
  CHECK(in_time == 2);
  {
    Listening listening;
    REQUIRE(harness.engine.listen(harness.client(), {.address = loopback()}, listening) == 0);
    Fd visitor;
    const Joined joined = harness.start_to(harness.adopt_one(visitor), loopback(listening.local.port));
    harness.expect(EventType::Accepted);
    CHECK(in_time == 3);
    harness.engine.abort(joined.left);
    harness.ended(joined);
  }
  // One that was taken over: once it streams, at the latest.
  SocketPair pair = connect_pair(Family::Tcp);
  const int near = pair.near.get();
  int error = 0;
  PackedAddress addresses[2];
  const EndpointId right = harness.engine.adopt(harness.client(), pair.near.take(), error, Wake::Now, addresses);
  REQUIRE(right != 0);
  Fd left;
  const Joined joined = harness.start(harness.adopt_one(left), right);
  const Bytes flow = pattern(2, 1 << 20);
  std::thread source([&] { send_all(left.get(), flow); });
  CHECK((receive(pair.far.get(), flow.size()).bytes == flow));
  source.join();
  CHECK(control(near) == "reno");
  harness.engine.abort(joined.left);
  harness.ended(joined);
}

TEST_CASE("a system that doesn't pace is left as it is") {
  static Syscalls table = kernel_syscalls();
  static bool asked = false;
  table.getsockopt = [](int fd, int level, int option, void* value, socklen_t* length) {
    if (level != IPPROTO_TCP || option != TCP_CONGESTION) {
      return kernel_syscalls().getsockopt(fd, level, option, value, length);
    }
    std::memcpy(value, "cubic", sizeof "cubic");
    return 0;
  };
  table.setsockopt = [](int fd, int level, int option, const void* value, socklen_t length) {
    asked |= level == IPPROTO_TCP && option == TCP_CONGESTION;
    return kernel_syscalls().setsockopt(fd, level, option, value, length);
  };
  Harness harness(table);
  Listening listening;
  REQUIRE(harness.engine.listen(harness.client(), {.address = loopback()}, listening) == 0);
  const EndpointId dialed = harness.engine.dial(harness.client(), loopback(listening.local.port), 10'000);
  CHECK(harness.expect(EventType::Dialed, dialed).record.code == 0);
  CHECK_FALSE(asked);
}

}  // namespace millrace::test
