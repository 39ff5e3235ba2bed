#include "fault_world.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

namespace millrace::test {

namespace {

// On the fake clock: far beyond every limit of a scenario.
constexpr Millis kLongest = 120'000;
// Turns of all workers in one scenario. A scenario of single bytes needs a tenth; a loop makes that in a second.
constexpr uint64_t kMostTurns = 100'000;
// Naps of half a millisecond before a world is given up in which no timer runs, and for as long as a peer, or the engine,
// waits for an acknowledgement: the kernel's own timers run on real time.
constexpr int kLastNaps = 20;
constexpr int kKernelNaps = 400;
constexpr int kEngineNaps = 100;

void nap() { std::this_thread::sleep_for(std::chrono::microseconds(500)); }

}  // namespace

void Peer::say(const Bytes& bytes, size_t size, Exit exit) {
  out_ = &bytes;
  to_send_ = size;
  exit_ = exit;
}

void Peer::expect(const Bytes& bytes, size_t size) {
  in_ = &bytes;
  expected_ = size;
}

bool Peer::pump() {
  if (!connected()) return false;
  const uint64_t before = wire_ ? wire_->moved() : 0;
  const bool read = read_some();
  return send_some() || read || (wire_ && wire_->moved() != before);
}

ssize_t Peer::receive(std::span<uint8_t> bytes) {
  return wire_ ? wire_->recv(fd_.get(), bytes) : ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
}

ssize_t Peer::send(std::span<const uint8_t> bytes) {
  return wire_ ? wire_->send(fd_.get(), bytes) : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool Peer::read_some() {
  static uint8_t buffer[64 << 10];
  bool moved = false;
  while (reads_ && !over()) {
    const ssize_t n = receive(buffer);
    if (n < 0 && errno == EAGAIN) return moved;
    wrong_ = wrong_ || (n < 0 && errno == EPROTO);
    moved = true;
    if (n > 0) {
      const auto size = static_cast<size_t>(n);
      const bool right = in_ && heard_ + size <= expected_ &&
                         std::equal(buffer, buffer + size, in_->begin() + static_cast<std::ptrdiff_t>(heard_));
      wrong_ = wrong_ || !right;
      heard_ += size;
    } else {
      // Whoever was told by a failed send gets no more than a FIN from recv.
      end_ = n == 0 && !broken_ ? End::Fin : End::Reset;
    }
  }
  return moved;
}

bool Peer::send_some() {
  bool moved = false;
  while (sent_ < to_send_ && !broken_) {
    const ssize_t n = send(std::span(*out_).subspan(sent_, to_send_ - sent_));
    if (n < 0 && errno == EAGAIN) return moved;
    moved = true;
    if (n < 0) broken_ = true;
    else sent_ += static_cast<size_t>(n);
  }
  if (wire_ && !broken_ && !wire_->flush(fd_.get()) && errno != EAGAIN) broken_ = true;
  if (exited_ || broken_ || exit_ == Exit::Stay || !said_all() || (wire_ && !wire_->shaken())) return moved;
  if (exit_ == Exit::Reset) {
    int unsent = 0;
    ::ioctl(fd_.get(), SIOCOUTQ, &unsent);
    if (unsent > 0) return moved;
    reset(fd_);
  } else if (!leave_in_order()) {
    return moved;
  }
  exited_ = true;
  return true;
}

bool Peer::leave_in_order() {
  if (wire_ && exit_ == Exit::Fin && !wire_->close(fd_.get())) {
    broken_ = errno != EAGAIN;
    return false;
  }
  finish(fd_.get());
  return true;
}

World::World(uint32_t workers)
    : engine({.sys = &faulty_syscalls(), .workers = workers, .threads = false}),
      client(std::make_shared<Client>([] {})),
      workers_(workers),
      arena_(Endpoint::kMaxRead) {
  // Workers with threads of their own block it.
  ::signal(SIGPIPE, SIG_IGN);
}

int World::start() { return engine.start(); }

void World::secure(EndpointId id, std::unique_ptr<SecureSpec> spec, Millis timeout) {
  handshakes_[id];
  engine.secure(id, std::move(spec), timeout);
}

void World::note(const EventRecord& record) {
  const auto found = handshakes_.find(static_cast<EndpointId>(record.id));
  if (found == handshakes_.end()) return;
  Handshake& handshake = found->second;
  if (record.type == EventType::Gone) ++handshake.gone;
  if (record.type != EventType::Secured) return;
  ++handshake.secured;
  handshake.refused = handshake.refused || record.code != 0;
}

World::~World() { engine.detach(*client); }

bool World::pump() {
  bool moved = a.pump();
  moved = b.pump() || moved;
  EventRecord records[16];
  const size_t count = client->drain(records, std::size(records), arena_.data(), arena_.size());
  size_t used = 0;
  for (size_t i = 0; i < count; ++i) {
    WorldEvent event{records[i], {}};
    note(event.record);
    if (has_payload(event.record.type)) {
      const auto from = arena_.begin() + static_cast<std::ptrdiff_t>(used);
      event.payload.assign(from, from + static_cast<std::ptrdiff_t>(event.record.values[0]));
      used += event.payload.size();
    }
    events_.push_back(std::move(event));
  }
  return moved || count > 0;
}

bool World::round() {
  const bool moved = pump();
  for (uint32_t i = 0; i < workers_; ++i) engine.turn(i);
  if (FakeClock::instance().waits() > kMostTurns) trouble_ = "a busy loop";
  return moved || !FakeClock::instance().asleep();
}

void World::settle() {
  // The last worker's turn may be news for the first, and for the peers.
  for (int quiet = 0; quiet < 3 && trouble_.empty();) quiet = round() ? 0 : quiet + 1;
}

bool World::drive(const std::function<bool()>& done) {
  FakeClock& clock = FakeClock::instance();
  const Millis last = clock.now() + kLongest;
  int quiet = 0;
  int naps = 0;
  int engine_naps = 0;
  for (; !done(); ++quiet) {
    if (!trouble_.empty() || clock.now() > last) return false;
    if (round()) quiet = naps = 0;
    if (quiet < 2) continue;
    const Millis due = clock.next_due();
    const bool waits = (a.waits_for_kernel() || b.waits_for_kernel()) && naps < kKernelNaps;
    if (due != kNever && !waits) {
      if (faults().unacknowledged.exchange(0) > 0 && ++engine_naps <= kEngineNaps) nap();
      clock.jump_to(std::max(due, clock.now()));
      continue;
    }
    if (++naps > kLastNaps && !waits) return false;
    nap();
  }
  return true;
}

std::optional<WorldEvent> World::take(EventType type, double id) {
  const auto found = std::find_if(events_.begin(), events_.end(), [&](const WorldEvent& event) {
    return event.record.type == type && (id == 0 || event.record.id == id);
  });
  if (found == events_.end()) return std::nullopt;
  WorldEvent event = std::move(*found);
  events_.erase(found);
  return event;
}

std::optional<WorldEvent> World::await(EventType type, double id) {
  std::optional<WorldEvent> event;
  drive([&] { return (event = take(type, id)).has_value(); });
  return event;
}

size_t World::count(EventType type) const {
  return static_cast<size_t>(std::count_if(events_.begin(), events_.end(),
                                           [type](const WorldEvent& event) { return event.record.type == type; }));
}

}  // namespace millrace::test
