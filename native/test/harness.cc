#include "harness.h"

#include <algorithm>
#include <cstdlib>

namespace millrace::test {

namespace {

std::string name(EventType type) {
  static const char* const names[] = {"?",         "Accepted", "Dialed",         "Read", "Flushed",
                                      "PeerEnded", "JoinEnded", "Released", "ListenerClosed", "Gone",
                                      "Secured",   "LaneOpened", "LaneFree"};
  return names[std::min<size_t>(static_cast<size_t>(type), std::size(names) - 1)];
}

std::string name(Family family) { return family == Family::Tcp ? "tcp" : "unix"; }

}  // namespace

uint32_t worker_count() {
  const char* const text = std::getenv("MILLRACE_WORKERS");
  const int count = text ? std::atoi(text) : 1;
  return static_cast<uint32_t>(std::clamp(count, 1, 64));
}

Inbox::Inbox()
    : client_(std::make_shared<Client>([this] {
        const std::lock_guard lock(mutex_);
        ++rings_;
        changed_.notify_all();
      })) {}

void Inbox::drain() {
  static thread_local Bytes arena(Endpoint::kMaxRead);
  EventRecord records[64];
  for (;;) {
    const size_t count = client_->drain(records, std::size(records), arena.data(), arena.size());
    if (count == 0) return;
    // It may be another thread that waits for one of them.
    ++rings_;
    changed_.notify_all();
    size_t used = 0;
    for (size_t i = 0; i < count; ++i) {
      Event event{records[i], {}};
      if (has_payload(event.record.type)) {
        const auto from = arena.begin() + static_cast<std::ptrdiff_t>(used);
        event.payload.assign(from, from + static_cast<std::ptrdiff_t>(event.record.values[0]));
        used += event.payload.size();
      }
      events_.push_back(std::move(event));
    }
  }
}

std::deque<Event>::iterator Inbox::find(EventType type, double id) {
  return std::find_if(events_.begin(), events_.end(), [&](const Event& event) {
    return event.record.type == type && (id == 0 || event.record.id == id);
  });
}

Event Inbox::expect(EventType type, double id) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::unique_lock lock(mutex_);
  for (;;) {
    drain();
    const uint64_t seen_rings = rings_;
    if (const auto found = find(type, id); found != events_.end()) {
      Event event = std::move(*found);
      events_.erase(found);
      return event;
    }
    if (!changed_.wait_until(lock, deadline, [&] { return rings_ != seen_rings; })) {
      std::string seen;
      for (const Event& event : events_) seen += " " + name(event.record.type);
      FAIL("no ", name(type), " event; there are:", seen);
    }
  }
}

bool Inbox::has(EventType type, double id) {
  const std::lock_guard lock(mutex_);
  drain();
  return find(type, id) != events_.end();
}

size_t Inbox::count(EventType type) {
  const std::lock_guard lock(mutex_);
  drain();
  return static_cast<size_t>(
      std::count_if(events_.begin(), events_.end(), [type](const Event& event) { return event.record.type == type; }));
}

Harness::Harness(const Syscalls& sys, uint32_t count) : engine({.sys = &sys, .workers = count}), workers(count) {
  REQUIRE(engine.start() == 0);
}

Harness::~Harness() {
  Gate::instance().open();
  engine.detach(*client());
}

EndpointId Harness::adopt(Fd fd) {
  int error = 0;
  const EndpointId id = engine.adopt(client(), fd.take(), error);
  REQUIRE_MESSAGE(id != 0, "adopt: errno ", error);
  return id;
}

EndpointId Harness::adopt_one(Fd& far, Family family, int buffers) {
  SocketPair pair = connect_pair(family, buffers);
  far = std::move(pair.far);
  return adopt(std::move(pair.near));
}

std::unique_ptr<JoinSpec> Harness::make_spec(Joined& joined, Plan plan) {
  CounterCell& cell = cells_.emplace_back();
  joined.cell = &cell;
  joined.token = static_cast<double>(cells_.size());
  auto spec = std::make_unique<JoinSpec>();
  spec->token = joined.token;
  spec->client = client();
  spec->cell = &cell;
  spec->a = joined.left;
  spec->b = joined.right;
  spec->mode = plan.mode;
  spec->limits = plan.limits;
  spec->a_to_b = std::move(plan.a_to_b);
  spec->b_to_a = std::move(plan.b_to_a);
  spec->open = std::move(plan.open);
  return spec;
}

Joined Harness::start(EndpointId a, EndpointId b, Plan plan) {
  Joined joined;
  joined.left = a;
  joined.right = b;
  engine.join(make_spec(joined, std::move(plan)));
  return joined;
}

Joined Harness::start_to(EndpointId a, const SocketAddress& address, Plan plan, Millis timeout) {
  Joined joined;
  joined.left = a;
  engine.join_to(make_spec(joined, std::move(plan)), address, timeout);
  return joined;
}

Joined Harness::start(Plan plan) {
  Fd a;
  Fd b;
  const EndpointId left = adopt_one(a, plan.a, plan.buffers);
  const EndpointId right = adopt_one(b, plan.b, plan.buffers);
  Joined joined = start(left, right, std::move(plan));
  joined.a = std::move(a);
  joined.b = std::move(b);
  return joined;
}

JoinEnd Harness::ended(const Joined& joined) {
  const EventRecord record = inbox.expect(EventType::JoinEnded, joined.token).record;
  const JoinEnd end{static_cast<EndReason>(record.code & 0xff), static_cast<int>(record.code >> 8),
                    record.values[0], record.values[1], record.values[2], record.values[3], record.values[4]};
  CHECK(joined.cell->a_to_b == end.a_to_b);
  CHECK(joined.cell->b_to_a == end.b_to_a);
  CHECK(joined.cell->spliced_a_to_b == end.spliced_a_to_b);
  CHECK(joined.cell->spliced_b_to_a == end.spliced_b_to_a);
  return end;
}

bool Harness::quiet() {
  return eventually([this] {
    const EngineStats stats = engine.stats();
    return stats.endpoints == 0 && stats.joins == 0;
  });
}

void Harness::hold() {
  Gate::instance().close();
  // A command for nobody: it wakes every worker.
  engine.unlisten(0);
  REQUIRE(Gate::instance().await(workers));
}

void Harness::step() {
  engine.unlisten(0);
  REQUIRE(Gate::instance().step(workers));
}

void for_each_mode(const std::function<void(Mode)>& test) {
  for (const Mode mode : {Mode::Adaptive, Mode::Copy, Mode::Splice}) {
    INFO("mode ", name(mode));
    test(mode);
  }
}

void for_each_plan(const std::function<void(Plan)>& test) {
  for (const Family a : {Family::Tcp, Family::Unix}) {
    for (const Family b : {Family::Tcp, Family::Unix}) {
      INFO(name(a), " to ", name(b));
      for_each_mode([&](Mode mode) { test({.a = a, .b = b, .mode = mode}); });
    }
  }
}

std::string name(Mode mode) {
  static const char* const names[] = {"adaptive", "copy", "splice"};
  return names[static_cast<size_t>(mode)];
}

std::string name(EndReason reason) {
  static const char* const names[] = {"eof",     "reset",   "idle",      "half-closed-idle", "limit",
                                      "stalled", "aborted", "truncated", "error"};
  return names[static_cast<size_t>(reason)];
}

}  // namespace millrace::test
