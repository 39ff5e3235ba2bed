// Named regressions of mistakes that other relays have made, part two: what an engine does while nothing happens, what
// it owns, whom it names.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

// Turns that the workers make in 300 ms in which nothing happens.
uint64_t turns_at_rest() {
  // Whatever the last bytes started has come to an end.
  pause_ms(100);
  const uint64_t before = faults().calls(Call::EpollWait);
  pause_ms(300);
  return faults().calls(Call::EpollWait) - before;
}

// More than a limit's timer or two needs; a loop makes tens of thousands.
constexpr uint64_t kAtRest = 100;

constexpr int kVisitors = 80;

void exchange_byte(const Joined& joined) {
  REQUIRE(send_all(joined.a.get(), pattern(1, 1)));
  REQUIRE(receive(joined.b.get(), 1).bytes.size() == 1);
  REQUIRE(send_all(joined.b.get(), pattern(1, 1)));
  REQUIRE(receive(joined.a.get(), 1).bytes.size() == 1);
}

// A process of peers that connect and stay.
class Crowd {
 public:
  explicit Crowd(int count) {
    int fds[2];
    if (::pipe(fds) != 0 || (process_ = ::fork()) < 0) std::abort();
    const Fd from(fds[0]);
    Fd to(fds[1]);
    if (process_ != 0) {
      to_ = std::move(to);
      return;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    uint16_t port = 0;
    if (::read(from.get(), &port, sizeof port) != sizeof port) ::_exit(1);
    const SocketAddress there = loopback(port);
    for (int i = 0; i < count; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      // Whoever is refused may hear of that within connect().
      if (::connect(fd, there.get(), there.length()) != 0 && errno != ECONNRESET) {
        std::perror("a visitor's connect");
        ::_exit(1);
      }
    }
    for (;;) ::pause();
  }
  ~Crowd() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  void visit(uint16_t port) const { CHECK(::write(to_.get(), &port, sizeof port) == sizeof port); }

 private:
  pid_t process_ = -1;
  Fd to_;
};

}  // namespace

TEST_CASE("pitfall 11: no busy loop on an idle, a half-closed and a hung-up join") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for (Plan plan : {Plan{}, Plan{.mode = Mode::Splice}, Plan{.a = Family::Unix, .b = Family::Unix}}) {
    plan.limits = {.idle = 60'000, .half_closed_idle = 60'000, .duration = 60'000, .stalled = 60'000};
    const Joined joined = harness.start(plan);
    exchange_byte(joined);
    CHECK(turns_at_rest() < kAtRest);
    finish(joined.a.get());
    CHECK(receive_all(joined.b.get()).end == End::Fin);
    CHECK(turns_at_rest() < kAtRest);
    harness.engine.abort(joined.left);
    harness.ended(joined);
  }
  // RDHUP, then HUP, and bytes that nobody takes.
  Plan plan{.limits = {.half_closed_idle = 60'000}};
  plan.a_to_b.max_bytes = 1;
  const Joined hung_up = harness.start(plan);
  REQUIRE(send_all(hung_up.a.get(), pattern(1, 200'000)));
  finish(hung_up.a.get());
  CHECK(turns_at_rest() < kAtRest);
  // A pooled endpoint whose peer is gone, with bytes unread.
  Fd far;
  const EndpointId pooled = harness.adopt_one(far);
  REQUIRE(send_all(far.get(), pattern(1, 1000)));
  reset(far);
  harness.expect(EventType::PeerEnded, pooled);
  CHECK(turns_at_rest() < kAtRest);
}

TEST_CASE("pitfall 12: two blocked directions don't wake each other") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode, .buffers = 16'384});
    std::thread from_a([&] { send_all(joined.a.get(), pattern(1, 4 << 20)); });
    std::thread from_b([&] { send_all(joined.b.get(), pattern(2, 4 << 20)); });
    uint64_t before = 0;
    REQUIRE(eventually([&] {
      const uint64_t now = joined.cell->a_to_b + joined.cell->b_to_a;
      const bool full = now == before && now > 0;
      before = now;
      pause_ms(50);
      return full;
    }));
    const auto sent = [] { return faults().calls(Call::Send) + faults().calls(Call::Flush); };
    const uint64_t sends = sent();
    CHECK(turns_at_rest() < kAtRest);
    CHECK(sent() - sends < kAtRest);
    harness.engine.abort(joined.left);
    from_a.join();
    from_b.join();
    harness.ended(joined);
  });
}

TEST_CASE("an idle join owns two descriptors, no pipe, and everything comes back") {
  Harness harness;
  const size_t base = open_descriptors();
  for_each_plan([&](const Plan& plan) {
    std::vector<Joined> joins;
    const int64_t pipes = harness.engine.stats().pipes;
    for (int i = 0; i < 10; ++i) joins.push_back(harness.start(plan));
    for (const Joined& joined : joins) exchange_byte(joined);
    // Four sockets each, two of them the test's; what the pool keeps is counted.
    const EngineStats stats = harness.engine.stats();
    CHECK(stats.joins == 10);
    CHECK(stats.endpoints == 20);
    CHECK(eventually([&] {
      return open_descriptors() == base + 40 + 2 * static_cast<size_t>(harness.engine.stats().pipes);
    }));
    // No more than one pipe at a time per worker was needed, and it went back.
    CHECK(harness.engine.stats().pipes <= std::max<int64_t>(pipes, 2 * harness.workers));
    for (const Joined& joined : joins) {
      finish(joined.a.get());
      finish(joined.b.get());
      CHECK(harness.ended(joined).reason == EndReason::Eof);
    }
  });
  CHECK(harness.quiet());
  CHECK(open_descriptors() == base + 2 * static_cast<size_t>(harness.engine.stats().pipes));
}

TEST_CASE("pitfall 13: with 64 descriptors joins are refused before the reserve is touched, and nothing breaks") {
  const bool passed = in_child([] {
    const auto complain = [](const char* what) {
      std::fprintf(stderr, "with 64 descriptors: %s\n", what);
      return false;
    };
    // Peers within this process would use its descriptors up.
    const Crowd crowd(kVisitors);
    const rlimit limit{.rlim_cur = 64, .rlim_max = 64};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return complain("no limit");
    Inbox inbox;
    Engine engine({.workers = worker_count()});
    if (engine.start() != 0) return complain("no start");
    Listening listening;
    if (engine.listen(inbox.client(), {.address = loopback()}, listening) != 0) return complain("no listener");
    crowd.visit(listening.local.port);
    // Accepted up to the reserve, the others reset.
    const auto seen = [&] { return inbox.count(EventType::Accepted) + engine.refused(listening.id); };
    if (!eventually([&] { return seen() == kVisitors; })) return complain("not everybody was accepted or refused");
    if (engine.refused(listening.id) == 0) return complain("nobody was refused");
    std::vector<EndpointId> ids;
    while (inbox.has(EventType::Accepted)) ids.push_back(inbox.expect(EventType::Accepted).id());
    if (ids.size() < 20) return complain("hardly anybody was accepted");
    // The reserve is free: files and control connections can still be opened.
    std::vector<Fd> files;
    for (int i = 0; i < 8; ++i) {
      files.emplace_back(::dup(0));
      if (files.back().get() < 0) return complain("the reserve is gone");
    }
    files.clear();
    const auto dial = [&] {
      const EndpointId id = engine.dial(inbox.client(), loopback(listening.local.port), 1000);
      return inbox.expect(EventType::Dialed, static_cast<double>(id)).record.code;
    };
    if (dial() != EMFILE) return complain("dialed");
    CounterCell cell{};
    auto spec = std::make_unique<JoinSpec>();
    spec->token = 1;
    spec->client = inbox.client();
    spec->cell = &cell;
    spec->a = ids[0];
    spec->b = ids[1];
    engine.join(std::move(spec));
    engine.abort(ids[0]);
    if (inbox.expect(EventType::JoinEnded, 1).record.code != static_cast<uint32_t>(EndReason::Aborted)) {
      return complain("the join");
    }
    // Freed places are used again.
    if (!eventually([&] { return dial() == 0; })) return complain("places were not freed");
    engine.detach(*inbox.client());
    return true;
  });
  CHECK(passed);
}

TEST_CASE("pitfall 13: pipes are not made of the reserve either") {
  const bool passed = in_child([] {
    Inbox inbox;
    // Exactly as many as the engine, the listener-less test and two joins' sockets need, and the reserve.
    const rlimit limit{.rlim_cur = 64, .rlim_max = 64};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
    Engine engine({.workers = 1});
    if (engine.start() != 0) return false;
    SocketPair a = connect_pair(Family::Tcp);
    SocketPair b = connect_pair(Family::Tcp);
    int error = 0;
    const EndpointId left = engine.adopt(inbox.client(), a.near.take(), error);
    const EndpointId right = engine.adopt(inbox.client(), b.near.take(), error);
    // Up to where the reserve begins.
    std::vector<Fd> files;
    while (open_descriptors() < 64 - 8) files.emplace_back(::dup(0));
    CounterCell cell{};
    auto spec = std::make_unique<JoinSpec>();
    spec->token = 1;
    spec->client = inbox.client();
    spec->cell = &cell;
    spec->a = left;
    spec->b = right;
    spec->mode = Mode::Splice;
    engine.join(std::move(spec));
    const Bytes bytes = pattern(1, 1 << 20);
    bool held = true;
    std::thread sender([&] {
      send_all(a.far.get(), bytes);
      finish(a.far.get());
    });
    const Received received = receive_all(b.far.get());
    sender.join();
    held = held && received.bytes == bytes && engine.stats().pipes == 0 && cell.spliced_a_to_b == 0;
    held = held && engine.stats().fallbacks[static_cast<size_t>(Fallback::NoPipe)] > 0;
    engine.detach(*inbox.client());
    return held;
  });
  CHECK(passed);
}

TEST_CASE("pitfall 14: a stale id never names a newer endpoint") {
  Harness harness;
  Fd old_far;
  const EndpointId stale = harness.adopt_one(old_far);
  harness.engine.destroy(stale, true);
  harness.expect(EventType::Gone, stale);
  REQUIRE(harness.quiet());
  Fd far;
  const EndpointId fresh = harness.adopt_one(far);
  CHECK(fresh != stale);
  CHECK((fresh & (Registry::kCapacity - 1)) == (stale & (Registry::kCapacity - 1)));
  harness.engine.read(stale, 100, 0);
  harness.engine.write(stale, pattern(1, 100));
  harness.engine.flush(stale);
  harness.engine.release(stale);
  harness.engine.abort(stale);
  harness.engine.finish(stale, true, true);
  harness.engine.destroy(stale, true);
  harness.engine.write(fresh, pattern(2, 50));
  CHECK((receive(far.get(), 50).bytes == pattern(2, 50)));
  const Joined joined = harness.start(fresh, stale);
  CHECK(harness.ended(joined).reason == EndReason::Reset);
  for (const EventType type : {EventType::Read, EventType::Flushed, EventType::Released}) {
    CHECK_FALSE(harness.inbox.has(type));
  }
}

TEST_CASE("pitfall 16, pitfall 17: keep-alive, TCP_USER_TIMEOUT and TCP_NOTSENT_LOWAT are set, however a socket came") {
  Harness harness;
  Listening listening;
  REQUIRE(harness.engine.listen(harness.client(), {.address = loopback()}, listening) == 0);
  const EndpointId dialed = harness.engine.dial(harness.client(), loopback(listening.local.port), 10'000);
  CHECK(harness.expect(EventType::Dialed, dialed).record.code == 0);
  const EndpointId accepted = harness.expect(EventType::Accepted).id();
  Fd far;
  const EndpointId adopted = harness.adopt_one(far);
  for (const EndpointId id : {dialed, accepted, adopted}) {
    harness.engine.release(id);
    const Fd fd(static_cast<int>(harness.expect(EventType::Released, id).record.values[0]));
    CHECK(get_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE) == 60);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL) == 15);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_KEEPCNT) == 3);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT) == 105'000);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_NODELAY) == 1);
    CHECK(get_option(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 128 << 10);
  }
}

TEST_CASE("pitfall 17: a sink may hold more unsent while its direction is spliced, and only then") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  SocketPair left = connect_pair(Family::Tcp, 0);
  SocketPair right = connect_pair(Family::Tcp, 0);
  const int to_right = right.near.get();
  const int to_left = left.near.get();
  // A worker that hears of an endpoint before it hears of its join doesn't wait for that.
  harness.hold();
  const EndpointId a = harness.adopt(std::move(left.near));
  const auto begun = std::chrono::steady_clock::now();
  const Joined joined = harness.start(a, harness.adopt(std::move(right.near)));
  harness.proceed();
  const auto unsent = [](int fd) { return get_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT); };
  // A round trip, so that the join has begun.
  REQUIRE(send_all(left.far.get(), pattern(1, 100)));
  CHECK(receive(right.far.get(), 100).bytes.size() == 100);
  // Not before the join has shown that it lasts, which on a slow machine it may have by now.
  const int kept_alive = get_option(to_right, SOL_SOCKET, SO_KEEPALIVE);
  if (std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(Join::kOptionsAfter - 100)) CHECK(kept_alive == 0);
  CHECK(eventually([&] { return unsent(to_right) == 128 << 10 && unsent(to_left) == 128 << 10; }));
  CHECK(get_option(to_right, SOL_SOCKET, SO_KEEPALIVE) == 1);
  const Bytes flow = pattern(2, 8 << 20);
  std::thread source([&] { send_all(left.far.get(), flow); });
  Received got;
  while (got.bytes.size() < flow.size()) {
    const Received part = receive(right.far.get(), std::min<size_t>(1 << 16, flow.size() - got.bytes.size()));
    if (part.bytes.empty()) break;
    got.bytes.insert(got.bytes.end(), part.bytes.begin(), part.bytes.end());
  }
  source.join();
  CHECK((got.bytes == flow));
  REQUIRE(joined.cell->spliced_a_to_b > 0);
  CHECK(unsent(to_right) == 1 << 20);
  CHECK(unsent(to_left) == 128 << 10);
  // Small messages demote the direction.
  for (int i = 0; i < 8; ++i) {
    REQUIRE(send_all(left.far.get(), pattern(3, 10)));
    CHECK(receive(right.far.get(), 10).bytes.size() == 10);
  }
  CHECK(unsent(to_right) == 128 << 10);
  finish(left.far.get());
  finish(right.far.get());
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

}  // namespace millrace::test
