#include "stage.h"

#include <algorithm>

namespace millrace::fuzz {

namespace {

// Turns in a row that change nothing although nobody sleeps: more is a busy loop.
constexpr int kMostIdleTurns = 32;
constexpr int kMostTurns = 20'000;
constexpr size_t kRecords = 32;

}  // namespace

Stage::Stage(uint32_t worker_count) : workers(worker_count), records_(kRecords), arena_(Endpoint::kMaxRead) {
  client = std::make_shared<Client>([this] { rung_ = true; }, Kernel::table());
  engine = std::make_unique<Engine>(EngineOptions{.sys = &Kernel::table(), .workers = workers, .threads = false});
  if (engine->start() != 0) kernel.violation("the engine does not start");
}

Stage::~Stage() = default;

void Stage::turn(uint32_t worker) {
  for (const auto& connection : kernel.connections) connection->consumed_this_turn = 0;
  kernel.calls_this_turn = 0;
  engine->turn(worker);
  after_turn();
}

bool Stage::asleep() {
  for (uint32_t i = 0; i < workers; ++i) {
    if (!kernel.slept(i) || kernel.has_events(i)) return false;
  }
  return true;
}

void Stage::settle() {
  int idle = 0;
  int quiet = 0;
  for (int i = 0; quiet < 2; ++i) {
    const uint64_t before = kernel.progress;
    for (uint32_t worker = 0; worker < workers; ++worker) turn(worker);
    quiet = asleep() ? quiet + 1 : 0;
    idle = kernel.progress == before && quiet == 0 ? idle + 1 : 0;
    if (rung_) drain();
    if (idle > kMostIdleTurns || i > kMostTurns) return kernel.violation("the engine turns and does nothing");
    if (!kernel.broken.empty()) return;
  }
  in_quiet();
}

void Stage::pass(uint64_t milliseconds) {
  const uint64_t until = kernel.now + milliseconds;
  settle();
  for (int i = 0; kernel.now < until && kernel.broken.empty() && i < kMostTurns; ++i) {
    uint64_t next = until;
    for (uint32_t worker = 0; worker < workers; ++worker) {
      if (kernel.timeout(worker) >= 0) next = std::min(next, kernel.now + static_cast<uint64_t>(std::max(kernel.timeout(worker), 1)));
    }
    kernel.now = next;
    settle();
  }
}

void Stage::drain() {
  for (;;) {
    const size_t count = client->drain(records_.data(), records_.size(), arena_.data(), arena_.size());
    const uint8_t* payload = arena_.data();
    for (size_t i = 0; i < count; ++i) take(records_[i], payload);
    if (client->backlog() == 0) break;
    if (count == 0) return kernel.violation("an event can't be taken");
  }
  rung_ = false;
}

void Stage::relent() {
  kernel.between_calls = nullptr;
  kernel.asleep = nullptr;
  kernel.faults = {};
  for (const auto& connection : kernel.connections) {
    connection->held = false;
    connection->reading = true;
    connection->resize(256 << 10, 256 << 10, connection->peer_rcvbuf);
    connection->peer_read(UINT64_MAX);
  }
}

void Stage::end_by_detaching() {
  kernel.between_calls = nullptr;
  kernel.asleep = nullptr;
  // An endpoint on its way between two workers arrives in the next turns.
  engine->detach(*client);
  rung_ = false;
  for (int i = 0; i < 3; ++i) {
    for (uint32_t worker = 0; worker < workers; ++worker) engine->turn(worker);
  }
  if (rung_) kernel.violation("the doorbell rings after the client's end");
  expect_nothing_left();
  end_at_once();
}

void Stage::expect_nothing_left() {
  const EngineStats stats = engine->stats();
  if (stats.endpoints != 0) kernel.violation("endpoints are left");
  if (stats.joins != 0) kernel.violation("joins are left");
  if (stats.listeners != 0) kernel.violation("listeners are left");
  if (static_cast<size_t>(stats.pipes) != kernel.pipes()) kernel.violation("pipes are miscounted");
  if (kernel.filled_pipes() > 0) kernel.violation("a pipe is kept that is not empty");
  if (kernel.open_descriptors() != 2 * workers + 2 * kernel.pipes()) kernel.violation("descriptors are left");
}

void Stage::end_at_once() {
  kernel.between_calls = nullptr;
  kernel.asleep = nullptr;
  // As a client's end does: nobody is told any more.
  client->close();
  engine.reset();
  if (kernel.open_descriptors() != 0) kernel.violation("descriptors outlive the engine");
}

}  // namespace millrace::fuzz
