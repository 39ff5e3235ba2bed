// Named regressions of mistakes that other relays have made, part one: splice, pipes and ends. The numbers are only
// names, kept so that commits and reports can cite them.
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

uint64_t fallbacks(Harness& harness, Fallback reason) {
  return harness.engine.stats().fallbacks[static_cast<size_t>(reason)];
}

// Sends `size` bytes through, checks them, ends both sides; how the join ended.
JoinEnd pass(Harness& harness, const Joined& joined, size_t size) {
  const Bytes bytes = pattern(size, size);
  std::thread sender([&] {
    send_all(joined.a.get(), bytes);
    finish(joined.a.get());
  });
  const Received at_b = receive_all(joined.b.get());
  sender.join();
  CHECK(at_b.bytes.size() == bytes.size());
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Fin);
  finish(joined.b.get());
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Eof);
  CHECK(end.a_to_b == bytes.size());
  return end;
}

// Sends until nothing has been taken for a while; how many bytes.
size_t send_until_full(int fd) {
  const Bytes block = pattern(1, 1000);
  size_t sent = 0;
  for (int misses = 0; misses < 20;) {
    const ssize_t n = ::send(fd, block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      misses = 0;
    } else {
      ++misses;
      pause_ms(5);
    }
  }
  return sent;
}

}  // namespace

TEST_CASE("pitfall 1: a budget per visit and edge triggering: what is left wakes nobody, and moves all the same") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    // Several budgets' worth lies in the kernel before the engine looks, and no edge comes after that.
    SocketPair a = connect_pair(Family::Tcp);
    SocketPair b = connect_pair(Family::Tcp);
    for (const Fd* fd : {&a.near, &b.far}) set_option(fd->get(), SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
    for (const Fd* fd : {&a.far, &b.near}) set_option(fd->get(), SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20);
    const EndpointId left = harness.adopt(std::move(a.near));
    const EndpointId right = harness.adopt(std::move(b.near));
    const Joined joined = harness.start(left, right, {.mode = mode});
    REQUIRE(send_all(a.far.get(), pattern(1, 1)));
    REQUIRE(receive(b.far.get(), 1).bytes.size() == 1);
    harness.hold();
    const Bytes bytes = pattern(2, 3 * Direction::kBudget);
    REQUIRE(send_all(a.far.get(), bytes));
    await_receipt(a.far.get());
    harness.proceed();
    CHECK((receive(b.far.get(), bytes.size()).bytes == bytes));
    finish(a.far.get());
    finish(b.far.get());
    CHECK(harness.ended(joined).a_to_b == bytes.size() + 1);
  });
}

TEST_CASE("pitfall 2: half-drained slots: a pipe is emptied to the last byte before it is filled again") {
  const FaultScope scope;
  faults().send_at_most(700);
  Harness harness(faulty_syscalls());
  const Joined joined = harness.start({.mode = Mode::Splice});
  // Small segments: each takes a slot of the pipe.
  Bytes all;
  std::thread sender([&] {
    Random random(4);
    for (uint64_t i = 0; i < 400; ++i) {
      const Bytes part = pattern(i, random.between(1, 1500));
      all.insert(all.end(), part.begin(), part.end());
      if (!send_all(joined.a.get(), part)) return;
    }
    finish(joined.a.get());
  });
  const Received at_b = receive_all(joined.b.get());
  sender.join();
  CHECK((at_b.bytes == all));
  finish(joined.b.get());
  CHECK(harness.ended(joined).spliced_a_to_b > 0);
}

TEST_CASE("pitfall 3: F_SETPIPE_SZ refused") {
  const FaultScope scope;
  {
    // 64 KiB, the default, are enough.
    faults().set(Call::SetPipeSize, {.error = EPERM});
    Harness harness(faulty_syscalls());
    CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 2 << 20).spliced_a_to_b > 1 << 20);
    CHECK(fallbacks(harness, Fallback::SmallPipe) == 0);
  }
  {
    // Two slots, as past the user's limit, are not.
    faults().two_slot_pipes();
    const size_t before = open_descriptors();
    Harness harness(faulty_syscalls());
    for (const Mode mode : {Mode::Splice, Mode::Adaptive}) {
      const JoinEnd end = pass(harness, harness.start({.mode = mode}), 2 << 20);
      CHECK(end.spliced_a_to_b == 0);
    }
    CHECK(fallbacks(harness, Fallback::SmallPipe) > 0);
    CHECK(harness.engine.stats().pipes == 0);
    CHECK(harness.quiet());
    CHECK(open_descriptors() == before + 2 * harness.workers);
  }
}

TEST_CASE("pitfall 3: no pipe at all, for a while and for good") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  faults().set(Call::Pipe2, {.error = EMFILE});
  CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 1 << 20).spliced_a_to_b == 0);
  CHECK(fallbacks(harness, Fallback::NoPipe) > 0);
  faults().set(Call::Pipe2, {.error = EMFILE, .times = 3});
  CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 2 << 20).spliced_a_to_b > 0);
}

TEST_CASE("pitfall 4: splice unsupported from the start") {
  const FaultScope scope;
  for (const int error : {ENOSYS, EINVAL, EPERM}) {
    for (const Call call : {Call::Fill, Call::Flush}) faults().set(call, {.error = error});
    Harness harness(faulty_syscalls());
    CHECK_FALSE(harness.engine.stats().splice_works);
    CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 1 << 20).spliced_a_to_b == 0);
    CHECK(harness.engine.stats().pipes == 0);
  }
}

TEST_CASE("pitfall 4: splice unsupported on a source, at once and later") {
  const FaultScope scope;
  for (const uint64_t after : {0, 1, 5}) {
    CAPTURE(after);
    Harness harness(faulty_syscalls());
    faults().set(Call::Fill, {.error = EINVAL, .skip = after});
    const JoinEnd end = pass(harness, harness.start({.mode = Mode::Splice}), 4 << 20);
    CHECK((end.spliced_a_to_b > 0) == (after > 0));
    CHECK(fallbacks(harness, Fallback::Unsupported) >= 1);
    faults().clear();
  }
}

TEST_CASE("pitfall 5: bytes in the pipe when splice to the sink turns out not to work") {
  const FaultScope scope;
  for (const uint64_t after : {0, 1, 5}) {
    for (const uint32_t interrupt : {0, 3}) {
      CAPTURE(after);
      CAPTURE(interrupt);
      const size_t before = open_descriptors();
      {
        Harness harness(faulty_syscalls());
        faults().set(Call::Flush, {.error = EINVAL, .skip = after});
        faults().interrupt_every(interrupt);
        const JoinEnd end = pass(harness, harness.start({.mode = Mode::Splice}), 4 << 20);
        CHECK((end.spliced_a_to_b > 0) == (after > 0));
        CHECK(fallbacks(harness, Fallback::Unsupported) >= 1);
        faults().clear();
      }
      CHECK(open_descriptors() == before);
    }
  }
}

TEST_CASE("pitfall 6: FIN before the last bytes: never, however little the sink takes") {
  const FaultScope scope;
  for_each_mode([&](Mode mode) {
    faults().send_at_most(100);
    Harness harness(faulty_syscalls());
    const Joined joined = harness.start({.mode = mode, .buffers = 8192});
    const Bytes bytes = pattern(1, 150'000);
    std::thread sender([&] {
      send_all(joined.a.get(), bytes);
      joined.a.get();
      finish(joined.a.get());
    });
    pause_ms(30);
    const Received at_b = receive_all(joined.b.get());
    sender.join();
    CHECK((at_b.bytes == bytes));
    CHECK(at_b.end == End::Fin);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("pitfall 7: half-close leak: one side ends, the other never does") {
  Harness harness;
  for (const Family family : {Family::Tcp, Family::Unix}) {
    const Joined joined = harness.start({.a = family, .b = family, .limits = {.half_closed_idle = 200}});
    finish(joined.a.get());
    CHECK(receive_all(joined.b.get()).end == End::Fin);
    // Not closed on the first EOF: the other direction still works.
    REQUIRE(send_all(joined.b.get(), pattern(1, 10)));
    CHECK(receive(joined.a.get(), 10).bytes.size() == 10);
    CHECK(harness.ended(joined).reason == EndReason::HalfClosedIdle);
  }
  CHECK(harness.quiet());
}

TEST_CASE("pitfall 8: RST is passed on only once the other kernel has everything") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode});
    faults().set(Call::Outq, {.effect = Effect::Short});
    const Bytes bytes = pattern(1, 100'000);
    REQUIRE(send_all(joined.a.get(), bytes));
    REQUIRE(await_receipt(joined.a.get()));
    reset(joined.a);
    CHECK((receive(joined.b.get(), bytes.size()).bytes == bytes));
    pause_ms(100);
    CHECK_FALSE(harness.inbox.has(EventType::JoinEnded));
    faults().clear(Call::Outq);
    CHECK(receive_all(joined.b.get()).end == End::Reset);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  });
}

TEST_CASE("pitfall 8: … but no longer than five seconds") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  // Of these one has a sink that never acknowledges, the other one that never reads.
  Joined unacknowledged = harness.start({.mode = Mode::Splice});
  faults().set(Call::Outq, {.effect = Effect::Short});
  Joined stalled = harness.start({.mode = Mode::Copy, .buffers = 16'384});
  REQUIRE(send_all(unacknowledged.a.get(), pattern(1, 100)));
  REQUIRE(receive(unacknowledged.b.get(), 100).bytes.size() == 100);
  const size_t sent = send_until_full(stalled.a.get());
  reset(unacknowledged.a);
  reset(stalled.a);
  const JoinEnd first = harness.ended(unacknowledged);
  const JoinEnd second = harness.ended(stalled);
  CHECK(first.reason == EndReason::Reset);
  CHECK(second.reason == EndReason::Reset);
  CHECK(first.ms >= Join::kResetFlush);
  CHECK(second.ms >= Join::kResetFlush);
  CHECK(receive_all(unacknowledged.b.get()).end == End::Reset);
  CHECK(second.a_to_b < sent);
  CHECK(receive_all(stalled.b.get()).end == End::Reset);
}

TEST_CASE("pitfall 9: closing with unread data would destroy our last words") {
  Harness harness;
  for (const bool joined_before : {false, true}) {
    CAPTURE(joined_before);
    Fd far;
    const EndpointId id = harness.adopt_one(far);
    const Bytes refusal = pattern(1, 20'000);
    // More than is read of it before the refusal.
    REQUIRE(send_all(far.get(), pattern(2, 30'000)));
    if (joined_before) {
      // A join that ends by byte counts while the source still sends.
      Fd other;
      const EndpointId sink = harness.adopt_one(other);
      Plan plan;
      plan.a_to_b.max_bytes = 100;
      plan.b_to_a.head = refusal;
      const Joined joined = harness.start(id, sink, plan);
      finish(other.get());
      CHECK(receive(other.get(), 100).bytes.size() == 100);
      CHECK(harness.ended(joined).reason == EndReason::Eof);
    } else {
      harness.engine.read(id, 100, kNever);
      harness.expect(EventType::Read, id);
      harness.engine.write(id, refusal);
      harness.engine.destroy(id, false);
    }
    // The peer is still busy sending before it reads.
    REQUIRE(send_all(far.get(), pattern(3, 10'000)));
    const Received received = receive_all(far.get());
    CHECK((received.bytes == refusal));
    CHECK(received.end == End::Fin);
    far.close();
    CHECK(harness.quiet());
  }
}

TEST_CASE("pitfall 9: whoever never stops sending is cut off, and whoever never closes as well") {
  Harness harness;
  Fd busy;
  Fd silent;
  const EndpointId first = harness.adopt_one(busy);
  const EndpointId second = harness.adopt_one(silent);
  harness.engine.destroy(first, false);
  harness.engine.destroy(second, false);
  std::thread sender([&] {
    const Bytes block = pattern(1, 10'000);
    while (send_all(busy.get(), block)) {
    }
  });
  harness.expect(EventType::Gone, first);
  sender.join();
  harness.expect(EventType::Gone, second);
  CHECK(receive_all(silent.get()).end == End::Fin);
}

TEST_CASE("pitfall 10: RST after FIN gives no readable edge") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode});
    finish(joined.a.get());
    CHECK(receive_all(joined.b.get()).end == End::Fin);
    reset(joined.a);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
    // Behind a FIN a reset shows in the socket's error only.
    CHECK(eventually([&] { return get_option(joined.b.get(), SOL_SOCKET, SO_ERROR) != 0; }));
  });
}

TEST_CASE("pitfall 18: readable, yet splice says EAGAIN, or 0") {
  const FaultScope scope;
  for (const bool end_of_file : {false, true}) {
    CAPTURE(end_of_file);
    Harness harness(faulty_syscalls());
    const Rule lie{.effect = end_of_file ? Effect::End : Effect::Fail, .error = EAGAIN};
    faults().set(Call::Fill, lie);
    CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 1 << 20).spliced_a_to_b == 0);
    CHECK(fallbacks(harness, Fallback::Unreliable) >= 1);
    // Once in a while is no reason to stop splicing for good; a false end is.
    faults().set(Call::Fill, {.error = EAGAIN, .times = 1});
    CHECK(pass(harness, harness.start({.mode = Mode::Splice}), 4 << 20).spliced_a_to_b > 0);
    faults().clear();
  }
}

}  // namespace millrace::test
