// Named regressions of what the kernel does. The numbers are only names, kept so that commits and reports can cite them.
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

bool send_urgent(int fd, uint8_t byte) { return ::send(fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL) == 1; }

void append(Bytes& all, const Bytes& more) { all.insert(all.end(), more.begin(), more.end()); }

uint64_t fallbacks(Harness& harness, Fallback reason) {
  return harness.engine.stats().fallbacks[static_cast<size_t>(reason)];
}

}  // namespace

TEST_CASE("fact 1: splices out are exactly as long as what the pipe holds, and fill only empty pipes") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  // Messages of 16 buffers and of one, and a sink that takes less than it is given.
  for (const size_t size : {size_t{4096 * 16}, size_t{1}, size_t{100'000}}) {
    if (size == 100'000) faults().send_at_most(3333);
    const Joined joined = harness.start({.mode = Mode::Splice});
    for (uint64_t i = 0; i < 20; ++i) {
      const Bytes message = pattern(i, size);
      REQUIRE(send_all(joined.a.get(), message));
      REQUIRE((receive(joined.b.get(), size).bytes == message));
    }
    finish(joined.a.get());
    finish(joined.b.get());
    CHECK(harness.ended(joined).spliced_a_to_b > 0);
  }
  CHECK(faults().calls(Call::Flush) > 0);
  // The scope's end checks the rules.
}

TEST_CASE("fact 7: a splice to a broken connection raises no signal") {
  Harness harness;
  // The default action would end this process.
  ::signal(SIGPIPE, SIG_DFL);
  for (const Family family : {Family::Tcp, Family::Unix}) {
    Joined joined = harness.start({.a = Family::Tcp, .b = family, .mode = Mode::Splice, .buffers = 16'384});
    bool told = false;
    std::thread sender([&] { told = !send_all(joined.a.get(), pattern(1, 4 << 20)); });
    REQUIRE(receive(joined.b.get(), 5000).bytes.size() == 5000);
    reset(joined.b);
    sender.join();
    CHECK(told);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  }
}

TEST_CASE("fact 15: a short read and the FIN in one event") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_plan([&](const Plan& plan) {
    const Joined joined = harness.start(plan);
    // Both directions have blocked once: from here on only an edge wakes them.
    REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
    REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
    harness.hold();
    REQUIRE(send_all(joined.a.get(), pattern(2, 777)));
    finish(joined.a.get());
    pause_ms(5);
    harness.proceed();
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == pattern(2, 777)));
    CHECK(at_b.end == End::Fin);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("fact 15: a short read and the RST in one event") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode});
    REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
    REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
    harness.hold();
    REQUIRE(send_all(joined.a.get(), pattern(2, 777)));
    REQUIRE(await_receipt(joined.a.get()));
    reset(joined.a);
    pause_ms(5);
    harness.proceed();
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == pattern(2, 777)));
    CHECK(at_b.end == End::Reset);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  });
}

TEST_CASE("fact 15: forty one-byte segments in one event") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_plan([&](const Plan& plan) {
    for (const bool fin : {false, true}) {
      CAPTURE(fin);
      const Joined joined = harness.start(plan);
      REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
      REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
      harness.hold();
      const Bytes bytes = pattern(3, 40);
      for (const uint8_t byte : bytes) REQUIRE(send_all(joined.a.get(), {&byte, 1}));
      if (fin) finish(joined.a.get());
      pause_ms(5);
      harness.proceed();
      const Received at_b = receive(joined.b.get(), bytes.size());
      CHECK((at_b.bytes == bytes));
      if (!fin) finish(joined.a.get());
      CHECK(receive_all(joined.b.get()).end == End::Fin);
      finish(joined.b.get());
      CHECK(harness.ended(joined).reason == EndReason::Eof);
    }
  });
}

TEST_CASE("fact 15: MSG_OOB in mid-stream") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    // At once in one event, and byte by byte as it comes.
    for (const bool together : {true, false}) {
      CAPTURE(together);
      const Joined joined = harness.start({.mode = mode});
      REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
      REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
      if (together) harness.hold();
      Bytes expected;
      for (uint64_t i = 0; i < 3; ++i) {
        const Bytes part = pattern(10 + i, together ? 5000 : 300'000);
        std::thread sender;
        if (together) REQUIRE(send_all(joined.a.get(), part));
        else sender = std::thread([&] { send_all(joined.a.get(), part); });
        append(expected, part);
        if (!together) {
          CHECK((receive(joined.b.get(), part.size()).bytes == part));
          sender.join();
          expected.clear();
        }
        REQUIRE(send_urgent(joined.a.get(), '!'));
      }
      const Bytes tail = pattern(20, 2000);
      REQUIRE(send_all(joined.a.get(), tail));
      append(expected, tail);
      if (together) pause_ms(5);
      if (together) harness.proceed();
      // The last urgent byte is out of band; the ones before it became part of the stream when the next mark came
      // before they were read, which depends on when the engine read. Only that nothing else is lost can be said.
      const size_t most = expected.size() + 2;
      finish(joined.a.get());
      const Received at_b = receive_all(joined.b.get());
      CHECK(at_b.end == End::Fin);
      CHECK(at_b.bytes.size() >= expected.size());
      CHECK(at_b.bytes.size() <= most);
      CHECK(std::equal(tail.rbegin(), tail.rend(), at_b.bytes.rbegin()));
      // The answer still passes.
      REQUIRE(send_all(joined.b.get(), pattern(30, 100)));
      CHECK(receive(joined.a.get(), 100).bytes.size() == 100);
      finish(joined.b.get());
      const JoinEnd end = harness.ended(joined);
      CHECK(end.reason == EndReason::Eof);
    }
  });
}

TEST_CASE("fact 15: MSG_OOB alone, then bytes") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode});
    for (uint64_t i = 0; i < 3; ++i) {
      REQUIRE(send_urgent(joined.a.get(), '!'));
      pause_ms(5);
      const Bytes bytes = pattern(i, 100'000);
      std::thread sender([&] { send_all(joined.a.get(), bytes); });
      CHECK((receive(joined.b.get(), bytes.size()).bytes == bytes));
      sender.join();
    }
    finish(joined.a.get());
    CHECK(receive_all(joined.b.get()).end == End::Fin);
    finish(joined.b.get());
    CHECK(harness.ended(joined).a_to_b == 300'000);
    if (mode == Mode::Splice) CHECK(fallbacks(harness, Fallback::Urgent) > 0);
  });
}

TEST_CASE("fact 15: MSG_OOB followed by FIN, with bytes before and behind it") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    for (int shape = 0; shape < 4; ++shape) {
      CAPTURE(shape);
      const Joined joined = harness.start({.mode = mode});
      REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
      REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
      harness.hold();
      const Bytes before = shape & 1 ? pattern(5, 3000) : Bytes{};
      const Bytes behind = shape & 2 ? pattern(6, 4000) : Bytes{};
      REQUIRE(send_all(joined.a.get(), before));
      REQUIRE(send_urgent(joined.a.get(), '!'));
      REQUIRE(send_all(joined.a.get(), behind));
      finish(joined.a.get());
      pause_ms(5);
      harness.proceed();
      Bytes expected = before;
      append(expected, behind);
      const Received at_b = receive_all(joined.b.get());
      CHECK((at_b.bytes == expected));
      CHECK(at_b.end == End::Fin);
      finish(joined.b.get());
      CHECK(harness.ended(joined).a_to_b == expected.size() + 10);
    }
  });
}

TEST_CASE("fact 15: MSG_OOB on a unix socket, where the kernel has it") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.a = Family::Unix, .b = Family::Tcp, .mode = mode});
    REQUIRE(send_all(joined.a.get(), pattern(1, 10)));
    REQUIRE(receive(joined.b.get(), 10).bytes.size() == 10);
    harness.hold();
    REQUIRE(send_all(joined.a.get(), pattern(2, 3000)));
    if (!send_urgent(joined.a.get(), '!')) MESSAGE("none here (errno ", errno, "): only the rest is tested");
    REQUIRE(send_all(joined.a.get(), pattern(3, 4000)));
    finish(joined.a.get());
    harness.proceed();
    Bytes expected = pattern(2, 3000);
    append(expected, pattern(3, 4000));
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == expected));
    CHECK(at_b.end == End::Fin);
    finish(joined.b.get());
    CHECK(harness.ended(joined).reason == EndReason::Eof);
  });
}

TEST_CASE("fact 16: a reset behind megabytes destroys none of them") {
  Harness harness;
  for_each_mode([&](Mode mode) {
    Joined joined = harness.start({.mode = mode});
    // What the engine has taken and the reader has not: far more than linger 0 would let through.
    const Bytes bytes = pattern(1, 3 << 20);
    std::thread sender([&] {
      send_all(joined.a.get(), bytes);
      await_receipt(joined.a.get());
      reset(joined.a);
    });
    Bytes got;
    Received part;
    while ((part = receive(joined.b.get(), 50'000)).end == End::Open) {
      append(got, part.bytes);
      if (got.size() % 500'000 == 0) pause_ms(5);
    }
    append(got, part.bytes);
    sender.join();
    CHECK((got == bytes));
    CHECK(part.end == End::Reset);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Reset);
    CHECK(end.a_to_b == bytes.size());
  });
}

}  // namespace millrace::test
