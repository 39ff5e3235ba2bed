// What the workers publish about themselves: exact, in time, and at no price for those who sleep.
#include <netinet/in.h>

#include <atomic>
#include <memory>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

// Rows for the workers of a harness, which they outlive.
class Rows {
 public:
  explicit Rows(uint32_t workers)
      : workers_(workers), words_(std::make_unique<std::atomic<uint64_t>[]>(workers * kStatsRow)) {}

  std::atomic<uint64_t>* words() { return words_.get(); }
  uint64_t operator[](Stat stat) const {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < workers_; ++i) sum += words_[i * kStatsRow + static_cast<size_t>(stat)];
    return sum;
  }
  // The words between the rows are nobody's.
  bool margins_untouched() const {
    for (size_t i = 0; i < workers_ * kStatsRow; ++i) {
      if (i % kStatsRow >= kStats && words_[i] != 0) return false;
    }
    return true;
  }

 private:
  uint32_t workers_;
  std::unique_ptr<std::atomic<uint64_t>[]> words_;
};

uint64_t bytes(const Rows& rows) { return rows[Stat::BytesSplice] + rows[Stat::BytesCopy]; }

// `size` bytes from a to b and 3 the other way, then both end.
JoinEnd transfer(Harness& harness, const Plan& plan, size_t size) {
  Joined joined = harness.start(plan);
  std::thread sender([&] {
    send_all(joined.a.get(), pattern(1, size));
    finish(joined.a.get());
  });
  REQUIRE(receive_all(joined.b.get()).bytes.size() == size);
  sender.join();
  send_all(joined.b.get(), pattern(2, 3));
  finish(joined.b.get());
  return harness.ended(joined);
}

}  // namespace

TEST_CASE("stats: whoever hears of a join's end reads exact numbers of it") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  uint64_t sent = 0;
  uint64_t spliced = 0;
  uint64_t joins = 0;
  for_each_mode([&](Mode mode) {
    const size_t size = 3'000'000;
    const JoinEnd end = transfer(harness, {.mode = mode}, size);
    CHECK(end.reason == EndReason::Eof);
    sent += size + 3;
    spliced += end.spliced_a_to_b + end.spliced_b_to_a;
    ++joins;
    CHECK(bytes(rows) == sent);
    CHECK(rows[Stat::BytesSplice] == spliced);
    CHECK(rows[Stat::JoinsBegun] == joins);
    CHECK(rows[Stat::EndedEof] == joins);
    CHECK(rows[Stat::JoinsNow] == 0);
  });
  CHECK(harness.quiet());
  CHECK(eventually([&] { return rows[Stat::EndpointsNow] == 0; }));
  CHECK(rows[Stat::EndpointsBorn] == 2 * joins);
  CHECK(rows[Stat::PipesLeased] == 0);
  CHECK(rows[Stat::PipesLeases] >= rows[Stat::PipesCreated]);
  CHECK(static_cast<int64_t>(rows[Stat::PipesPooled]) == harness.engine.stats().pipes);
  CHECK(rows[Stat::Visits] > 0);
  CHECK(rows[Stat::Events] > 0);
  CHECK(rows[Stat::Doorbells] <= rows[Stat::Records]);
  CHECK(rows[Stat::Sleeps] <= rows[Stat::Turns]);
  CHECK(rows[Stat::BytesTls] == 0);
  CHECK(rows.margins_untouched());
}

TEST_CASE("stats: a direction that streams is promoted once, and demoted when it no longer does") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  Joined joined = harness.start();
  const Bytes bulk = pattern(1, 8 << 20);
  std::thread sender([&] { send_all(joined.a.get(), bulk); });
  REQUIRE(receive(joined.b.get(), bulk.size()).bytes.size() == bulk.size());
  sender.join();
  CHECK(eventually([&] { return rows[Stat::Promotions] > 0; }));
  for (uint64_t i = 0; i < 20; ++i) {
    REQUIRE(send_all(joined.a.get(), pattern(i, 1)));
    REQUIRE(receive(joined.b.get(), 1).bytes.size() == 1);
  }
  CHECK(eventually([&] { return rows[Stat::Promotions] == rows[Stat::Demotions]; }));
  CHECK(eventually([&] { return bytes(rows) == bulk.size() + 20; }));
  harness.engine.abort(joined.left);
  harness.ended(joined);
  CHECK(rows[Stat::EndedAborted] == 1);
}

TEST_CASE("stats: budgets that were used up and rates that held back are counted") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  CHECK(eventually([&] {
    transfer(harness, {.mode = Mode::Copy}, 16 << 20);
    return rows[Stat::BudgetsExhausted] > 0;
  }));
  CHECK(rows[Stat::RateWaits] == 0);
  transfer(harness, {.a_to_b = {.rate = std::make_shared<TokenBucket>(1e6, 1000)}}, 20'000);
  CHECK(rows[Stat::RateWaits] > 0);
}

TEST_CASE("stats: accepted, refused, dialed and failed") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  Listening listening;
  REQUIRE(harness.engine.listen(harness.client(), {.address = loopback(), .max_endpoints = 2}, listening) == 0);
  const uint16_t port = listening.local.port;
  std::vector<Fd> visitors;
  for (int i = 0; i < 3; ++i) visitors.push_back(connect_to(port));
  CHECK(eventually([&] { return rows[Stat::Accepted] == 2 && rows[Stat::AcceptsRefused] == 1; }));
  harness.engine.dial(harness.client(), loopback(closed_port()), 5000);
  CHECK(harness.expect(EventType::Dialed).record.code == ECONNREFUSED);
  CHECK(rows[Stat::Dials] == 1);
  CHECK(rows[Stat::DialsFailed] == 1);
  CHECK(eventually([&] { return rows[Stat::EndpointsNow] == 2; }));
  CHECK(eventually([&] { return rows[Stat::Commands] >= 2 * harness.workers; }));
}

TEST_CASE("stats: a join whose sides are gone begins and ends at once") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  Fd far_a;
  Fd far_b;
  const EndpointId a = harness.adopt_one(far_a);
  const EndpointId b = harness.adopt_one(far_b);
  harness.engine.destroy(b, true);
  harness.expect(EventType::Gone, b);
  const Joined joined = harness.start(a, b);
  const EventRecord record = harness.expect(EventType::JoinEnded, static_cast<EndpointId>(joined.token)).record;
  CHECK(record.values[5] == 0);
  harness.expect(EventType::Gone, a);
  CHECK(rows[Stat::JoinsBegun] == 1);
  CHECK(rows[Stat::EndedReset] == 1);
  CHECK(rows[Stat::JoinsNow] == 0);
}

TEST_CASE("stats: the end of a join says how many endpoints closed with it, and Gone tells of the others") {
  Harness harness;
  Joined whole = harness.start();
  finish(whole.a.get());
  finish(whole.b.get());
  CHECK(harness.expect(EventType::JoinEnded, static_cast<EndpointId>(whole.token)).record.values[5] == 2);
  Joined cut = harness.start();
  reset(cut.a);
  CHECK(harness.expect(EventType::JoinEnded, static_cast<EndpointId>(cut.token)).record.values[5] == 2);
  // Both directions end by their limits: both sides may still be sending, and linger.
  Joined counted = harness.start({.a_to_b = {.max_bytes = 1}, .b_to_a = {.max_bytes = 1}});
  send_all(counted.a.get(), pattern(1, 1));
  send_all(counted.b.get(), pattern(1, 1));
  CHECK(harness.expect(EventType::JoinEnded, static_cast<EndpointId>(counted.token)).record.values[5] == 0);
  counted.a.close();
  counted.b.close();
  harness.expect(EventType::Gone, counted.left);
  harness.expect(EventType::Gone, counted.right);
  CHECK(harness.quiet());
  CHECK(harness.inbox.count(EventType::Gone) == 0);
}

TEST_CASE("stats: idle workers don't wake up, and their rows are exact") {
  Rows rows(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), rows.words());
  std::vector<Joined> joins;
  for (int i = 0; i < 10; ++i) joins.push_back(harness.start());
  for (const Joined& joined : joins) {
    send_all(joined.a.get(), pattern(1, 1000));
    REQUIRE(receive(joined.b.get(), 1000).bytes.size() == 1000);
  }
  CHECK(eventually([&] { return bytes(rows) == 10'000 && rows[Stat::JoinsNow] == 10; }));
  pause_ms(50);
  const uint64_t turns = rows[Stat::Turns];
  pause_ms(300);
  CHECK(rows[Stat::Turns] == turns);
  CHECK(rows[Stat::PipesLeased] == 0);
}

TEST_CASE("stats: every client has rows of its own, and none is written once it is detached") {
  Rows first(worker_count());
  Rows second(worker_count());
  Harness harness;
  harness.engine.publish(*harness.client(), first.words());
  {
    Inbox other;
    harness.engine.publish(*other.client(), second.words());
    transfer(harness, {}, 1000);
    CHECK(eventually([&] { return bytes(second) == 1003; }));
    harness.engine.detach(*other.client());
  }
  const uint64_t turns = second[Stat::Turns];
  transfer(harness, {}, 1000);
  CHECK(bytes(first) == 2006);
  CHECK(bytes(second) == 1003);
  CHECK(second[Stat::Turns] == turns);
}

}  // namespace millrace::test
