#include "token_bucket.h"

#include <doctest/doctest.h>

#include <limits>
#include <thread>
#include <vector>

#include "support.h"

namespace millrace::test {

TEST_CASE("token bucket: a burst at once, then the rate") {
  const Millis start = now_ms();
  TokenBucket bucket(1000, 500);
  CHECK(bucket.take(10'000, start) == 500);
  CHECK(bucket.take(10'000, start) == 0);
  CHECK(bucket.take(10'000, start + 100) == doctest::Approx(100).epsilon(0.2));
  CHECK(bucket.take(10'000, start + 100'000) == 500);
}

TEST_CASE("token bucket: what isn't used comes back, up to the burst") {
  const Millis start = now_ms();
  TokenBucket bucket(1000, 500);
  CHECK(bucket.take(400, start) == 400);
  bucket.give_back(300);
  CHECK(bucket.take(1000, start) == 400);
  bucket.give_back(100'000);
  CHECK(bucket.take(1000, start) == 500);
}

TEST_CASE("token bucket: ready_at is when a worthwhile number is there") {
  const Millis start = now_ms() + 10;
  TokenBucket bucket(100'000, 100'000);
  CHECK(bucket.ready_at(start) == start);
  CHECK(bucket.take(100'000, start) == 100'000);
  const Millis ready = bucket.ready_at(start);
  CHECK(ready > start);
  CHECK(ready <= start + 25);
  CHECK(bucket.take(100'000, ready) >= 2000);
}

TEST_CASE("token bucket: one byte a second gets there as well") {
  const Millis start = now_ms() + 10;
  TokenBucket bucket(1, 1);
  CHECK(bucket.take(5, start) == 1);
  const Millis ready = bucket.ready_at(start);
  CHECK(ready >= start + 1000);
  CHECK(ready <= start + 1010);
  CHECK(bucket.take(5, ready) == 1);
}

TEST_CASE("token bucket: a clock that stands or goes back a little gives nothing away") {
  const Millis start = now_ms() + 1000;
  TokenBucket bucket(1000, 1000);
  bucket.take(1000, start);
  CHECK(bucket.take(1000, start - 500) == 0);
  CHECK(bucket.take(1000, start) == 0);
}

TEST_CASE("token bucket: shared by threads it never grants more than rate and burst") {
  const Millis start = now_ms();
  TokenBucket bucket(1'000'000, 1000);
  std::vector<std::thread> threads;
  std::atomic<uint64_t> granted{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Random random(static_cast<uint64_t>(i));
      for (int step = 0; step < 2000; ++step) {
        const uint64_t taken = bucket.take(random.between(1, 300), start + static_cast<Millis>(step) / 20);
        const uint64_t used = taken / 2;
        bucket.give_back(taken - used);
        granted += used;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(granted <= 1000 + 100 * 1000);
}

}  // namespace millrace::test
