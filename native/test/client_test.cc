#include "client.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <thread>

#include "support.h"

namespace millrace::test {

namespace {

EventRecord record(EventType type, double id, uint64_t value = 0) {
  EventRecord made{};
  made.type = type;
  made.id = id;
  made.values[0] = value;
  return made;
}

}  // namespace

TEST_CASE("client: the doorbell rings once for each time the queue turns from drained to not empty") {
  int rung = 0;
  Client client([&] { ++rung; });
  EventRecord records[8];
  client.ring();
  CHECK(rung == 0);
  client.push(record(EventType::Gone, 1));
  client.ring();
  client.push(record(EventType::Gone, 2));
  client.ring();
  CHECK(rung == 1);
  CHECK(client.backlog() == 2);
  // Not drained: whoever took a part comes again by himself.
  CHECK(client.drain(records, 1, nullptr, 0) == 1);
  client.push(record(EventType::Gone, 3));
  client.ring();
  CHECK(rung == 1);
  CHECK(client.drain(records, 8, nullptr, 0) == 2);
  CHECK(records[1].id == 3);
  CHECK(client.backlog() == 0);
  client.push(record(EventType::Gone, 4));
  client.ring();
  CHECK(rung == 2);
}

TEST_CASE("client: payloads come in the order of their events, and only as many as fit") {
  Client client([] {});
  for (uint8_t i = 1; i <= 3; ++i) {
    client.push(record(EventType::Read, i, 4), Bytes(4, i));
    client.push(record(EventType::Gone, i));
    // A read that brought none, as at the end of a stream.
    client.push(record(EventType::Read, 10 + i, 0));
  }
  EventRecord records[16];
  uint8_t arena[9];
  CHECK(client.drain(records, 16, arena, sizeof arena) == 6);
  CHECK(arena[0] == 1);
  CHECK(arena[4] == 2);
  CHECK(records[3].id == 2);
  CHECK(client.drain(records, 16, arena, sizeof arena) == 3);
  CHECK(arena[0] == 3);
  CHECK(client.drain(records, 16, arena, sizeof arena) == 0);
}

TEST_CASE("client: closed, it is silent and owns nothing") {
  const size_t before = open_descriptors();
  int rung = 0;
  Client client([&] { ++rung; });
  const int queued = ::dup(0);
  const int late = ::dup(0);
  REQUIRE(late >= 0);
  client.push(record(EventType::Released, 1, static_cast<uint64_t>(queued)));
  client.push(record(EventType::Read, 1, 3), Bytes(3));
  client.close();
  CHECK(client.closed());
  // A descriptor on its way to nobody is closed.
  client.push(record(EventType::Released, 2, static_cast<uint64_t>(late)));
  client.ring();
  CHECK(rung == 0);
  EventRecord records[4];
  uint8_t arena[8];
  CHECK(client.drain(records, 4, arena, sizeof arena) == 0);
  CHECK(open_descriptors() == before);
  client.close();
}

TEST_CASE("client: many threads push, one drains, nothing is lost") {
  std::atomic<int> rung{0};
  Client client([&] { ++rung; });
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        client.push(record(EventType::Read, t, 1), Bytes(1, static_cast<uint8_t>(t)));
        client.ring();
      }
    });
  }
  int seen = 0;
  EventRecord records[100];
  uint8_t arena[64];
  while (seen < kThreads * kEach) {
    const size_t count = client.drain(records, 100, arena, sizeof arena);
    for (size_t i = 0; i < count; ++i) REQUIRE(arena[i] == records[i].id);
    seen += static_cast<int>(count);
    if (count == 0) std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(rung >= 1);
  CHECK(rung <= kThreads * kEach);
}

}  // namespace millrace::test
