// Every byte once, in order, both ways, on every path and pairing.
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

// Writes `bytes` in chunks of random sizes with random pauses, then FIN.
void send_in_pieces(int fd, const Bytes& bytes, uint64_t seed) {
  Random random(seed);
  std::span<const uint8_t> rest(bytes);
  while (!rest.empty()) {
    const size_t most = random.below(3) == 0 ? 200'000 : random.below(2) == 0 ? 5000 : 40;
    const size_t size = std::min<size_t>(rest.size(), random.between(1, most));
    if (!send_all(fd, rest.first(size))) return;
    rest = rest.subspan(size);
    if (random.below(16) == 0) pause_ms(1);
  }
  finish(fd);
}

Received receive_in_pieces(int fd, uint64_t seed) {
  Random random(seed);
  Received all;
  while (all.end == End::Open) {
    Received part = receive(fd, random.between(1, 300'000));
    all.bytes.insert(all.bytes.end(), part.bytes.begin(), part.bytes.end());
    all.end = part.end;
    if (random.below(32) == 0) pause_ms(1);
  }
  return all;
}

struct Exchanged {
  Received at_a;
  Received at_b;
};

Exchanged exchange(const Joined& joined, const Bytes& from_a, const Bytes& from_b, uint64_t seed) {
  Exchanged result;
  std::thread senders[] = {std::thread([&] { send_in_pieces(joined.a.get(), from_a, seed); }),
                           std::thread([&] { send_in_pieces(joined.b.get(), from_b, seed + 1); }),
                           std::thread([&] { result.at_b = receive_in_pieces(joined.b.get(), seed + 2); })};
  result.at_a = receive_in_pieces(joined.a.get(), seed + 3);
  for (std::thread& thread : senders) thread.join();
  return result;
}

void check_exchange(Harness& harness, const Plan& plan, uint64_t seed, size_t size_a, size_t size_b) {
  CAPTURE(seed);
  const Joined joined = harness.start(plan);
  const Bytes from_a = pattern(seed, size_a);
  const Bytes from_b = pattern(seed + 1000, size_b);
  const Exchanged got = exchange(joined, from_a, from_b, seed);
  CHECK(got.at_b.bytes.size() == from_a.size());
  CHECK(got.at_a.bytes.size() == from_b.size());
  CHECK((got.at_b.bytes == from_a));
  CHECK((got.at_a.bytes == from_b));
  CHECK(got.at_a.end == End::Fin);
  CHECK(got.at_b.end == End::Fin);
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Eof);
  CHECK(end.error == 0);
  CHECK(end.a_to_b == from_a.size());
  CHECK(end.b_to_a == from_b.size());
}

}  // namespace

TEST_CASE("transfer: random chunks both ways at once, then FIN both ways") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  uint64_t seed = 1;
  for_each_plan([&](Plan plan) { check_exchange(harness, plan, seed += 10, 1'500'000, 900'000); });
  CHECK(harness.quiet());
}

TEST_CASE("transfer: the same with the smallest buffers") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  uint64_t seed = 500;
  for_each_plan([&](Plan plan) {
    plan.buffers = 4096;
    check_exchange(harness, plan, seed += 10, 150'000, 100'000);
  });
}

TEST_CASE("transfer: short counts and interruptions change nothing") {
  const FaultScope scope;
  faults().send_at_most(1777);
  faults().add(Call::Fill, {.effect = Effect::Short, .most = 5001});
  faults().interrupt_every(7);
  Harness harness(faulty_syscalls());
  uint64_t seed = 2000;
  for_each_plan([&](Plan plan) { check_exchange(harness, plan, seed += 10, 400'000, 300'000); });
}

TEST_CASE("transfer: nothing at all, one byte, one side silent") {
  Harness harness;
  for_each_plan([&](const Plan& plan) {
    check_exchange(harness, plan, 1, 0, 0);
    check_exchange(harness, plan, 2, 1, 0);
    check_exchange(harness, plan, 3, 0, 100'000);
  });
}

TEST_CASE("transfer: the path follows the traffic, and the counters say how much was spliced") {
  Harness harness;
  const Bytes bytes = pattern(5, 8 << 20);
  for_each_mode([&](Mode mode) {
    const Joined joined = harness.start({.mode = mode});
    std::thread sender([&] { send_all(joined.a.get(), bytes); });
    const Received received = receive(joined.b.get(), bytes.size());
    sender.join();
    CHECK((received.bytes == bytes));
    CHECK(eventually([&] { return joined.cell->a_to_b == bytes.size(); }));
    const uint64_t spliced = joined.cell->spliced_a_to_b;
    if (mode == Mode::Copy) {
      CHECK(spliced == 0);
      CHECK(joined.cell->paths == 0);
    } else {
      CHECK(spliced > bytes.size() / 2);
      CHECK((joined.cell->paths & 1) == 1);
    }
    CHECK(joined.cell->spliced_b_to_a == 0);
    finish(joined.a.get());
    finish(joined.b.get());
    CHECK(harness.ended(joined).spliced_a_to_b == spliced);
  });
}

TEST_CASE("transfer: adaptive copies small messages") {
  Harness harness;
  const Joined joined = harness.start();
  const Bytes ping = pattern(3, 64);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(send_all(joined.a.get(), ping));
    REQUIRE((receive(joined.b.get(), ping.size()).bytes == ping));
    REQUIRE(send_all(joined.b.get(), ping));
    REQUIRE((receive(joined.a.get(), ping.size()).bytes == ping));
  }
  CHECK(joined.cell->paths == 0);
  finish(joined.a.get());
  finish(joined.b.get());
  const JoinEnd end = harness.ended(joined);
  CHECK(end.a_to_b == 200 * ping.size());
  CHECK(end.spliced_a_to_b + end.spliced_b_to_a == 0);
}

TEST_CASE("transfer: heads come first and count") {
  Harness harness;
  for_each_plan([&](Plan plan) {
    const Bytes head_a = pattern(1, 3000);
    const Bytes head_b = pattern(2, 200'000);
    plan.a_to_b.head = head_a;
    plan.b_to_a.head = head_b;
    plan.buffers = 8192;
    const Joined joined = harness.start(plan);
    REQUIRE(send_all(joined.a.get(), pattern(3, 1000)));
    finish(joined.a.get());
    Bytes expected = head_a;
    const Bytes more = pattern(3, 1000);
    expected.insert(expected.end(), more.begin(), more.end());
    const Received at_b = receive_all(joined.b.get());
    CHECK((at_b.bytes == expected));
    CHECK(at_b.end == End::Fin);
    finish(joined.b.get());
    const Received at_a = receive_all(joined.a.get());
    CHECK((at_a.bytes == head_b));
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == expected.size());
    CHECK(end.b_to_a == head_b.size());
  });
}

TEST_CASE("transfer: what was written before the join leaves first and doesn't count") {
  Harness harness;
  for_each_plan([&](const Plan& plan) {
    Fd a;
    Fd b;
    const EndpointId left = harness.adopt_one(a, plan.a, 8192);
    const EndpointId right = harness.adopt_one(b, plan.b, 8192);
    const Bytes preface = pattern(11, 500'000);
    harness.engine.write(right, preface);
    const Joined joined = harness.start(left, right, plan);
    const Bytes bytes = pattern(12, 10'000);
    REQUIRE(send_all(a.get(), bytes));
    finish(a.get());
    finish(b.get());
    const Received received = receive_all(b.get());
    Bytes expected = preface;
    expected.insert(expected.end(), bytes.begin(), bytes.end());
    CHECK((received.bytes == expected));
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == bytes.size());
  });
}

TEST_CASE("transfer: a hot join doesn't keep a quiet one waiting for its end") {
  Harness harness;
  const Joined hot = harness.start();
  const Joined quiet = harness.start();
  std::atomic<bool> enough{false};
  const Bytes block = pattern(1, 1 << 20);
  std::thread source([&] {
    while (!enough && send_all(hot.a.get(), block)) {
    }
    finish(hot.a.get());
  });
  uint64_t drained = 0;
  std::thread sink([&] {
    for (;;) {
      const Received part = receive(hot.b.get(), 1 << 20);
      drained += part.bytes.size();
      if (part.end != End::Open) return;
    }
  });
  const Bytes ping = pattern(2, 100);
  for (int i = 0; i < 100; ++i) {
    CHECK(send_all(quiet.a.get(), ping));
    CHECK((receive(quiet.b.get(), ping.size()).bytes == ping));
  }
  enough = true;
  source.join();
  sink.join();
  finish(hot.b.get());
  CHECK(harness.ended(hot).a_to_b == drained);
}

}  // namespace millrace::test
