#include "world.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "oracle.h"
#include "trace.h"

namespace millrace::fuzz {

namespace {

// A join that dials names itself by its port: this and its number.
constexpr uint32_t kJoinPorts = 20'000;
// What is written ahead of the bytes of a join that dials.
constexpr uint32_t kHeadStreams = 2 * kClientStreams;

}  // namespace

World::World(uint32_t worker_count) : Stage(worker_count) {
  kernel.connecting = [this](Connection& connection, uint32_t target) { connecting(connection, target); };
}

void World::after_turn() { Oracle(*this).after_turn(); }

void World::in_quiet() { Oracle(*this).in_quiet(); }

void World::use_descriptors_from(int lowest) {
  Stage::use_descriptors_from(lowest);
  reserve_touched = reserve_touched || lowest > 3;
}

void World::adopt(bool tcp) {
  if (sides.size() >= kMostSides) return;
  const auto connection = kernel.create(tcp);
  connection->state = Connection::State::Connected;
  int error = 0;
  const EndpointId id = engine->adopt(client, kernel.open(connection), error);
  if (id == 0) return;
  ++posted;
  sides.push_back({.connection = connection, .id = id});
}

void World::dial(bool tcp, uint64_t timeout) {
  if (sides.size() >= kMostSides) return;
  SocketAddress address;
  if (tcp) address.set_inet("192.0.2.1", 80);
  else address.set_unix("/simulated");
  if (const EndpointId id = engine->dial(client, address, timeout)) {
    ++posted;
    sides.push_back({.id = id, .dialing = true});
  }
}

void World::listen(uint64_t most) {
  if (listeners.size() >= 2) return;
  ListenRequest request;
  request.address.set_inet("127.0.0.1", 0);
  request.max_endpoints = static_cast<int64_t>(most);
  Listening made;
  int fd = kernel.lowest_fd;
  while (kernel.is_open(fd)) ++fd;
  if (engine->listen(client, request, made) != 0) return;
  listeners.push_back(fd);
  listening.push_back(made.id);
}

void World::unlisten(size_t listener) {
  if (listening[listener] == 0) return;
  ++posted;
  engine->unlisten(listening[listener]);
}

std::unique_ptr<JoinSpec> World::spec_of(const JoinModel& plan) {
  auto spec = std::make_unique<JoinSpec>();
  spec->token = static_cast<double>(joins.size());
  spec->client = client;
  spec->cell = plan.cell;
  spec->a = sides[plan.a].id;
  spec->mode = plan.mode;
  spec->limits = plan.limits;
  for (const bool a_to_b : {true, false}) {
    const DirectionModel& direction = a_to_b ? plan.a_to_b : plan.b_to_a;
    DirectionSpec& out = a_to_b ? spec->a_to_b : spec->b_to_a;
    out.max_bytes = direction.most;
    out.caller_driven = direction.caller;
    if (direction.rate > 0) out.rate = std::make_shared<TokenBucket>(direction.rate, direction.burst);
  }
  return spec;
}

void World::join(JoinModel plan) {
  if (joins.size() >= kMostJoins) return;
  Side& a = sides[plan.a];
  Side& b = sides[plan.b];
  const auto ready = [](const Side& side, const DirectionModel& from) {
    return side.usable() && side.join < 0 && !side.undecided() && (!side.reading || from.caller);
  };
  if (&a == &b || !ready(a, plan.a_to_b) || !ready(b, plan.b_to_a)) return;
  plan.cell = &cells_[joins.size()];
  plan.started = kernel.now;
  trace("  join %zu: %zu and %zu, mode %d, caller %d %d, most %lu %lu", joins.size(), plan.a, plan.b, static_cast<int>(plan.mode),
        plan.a_to_b.caller, plan.b_to_a.caller, plan.a_to_b.most, plan.b_to_a.most);
  auto spec = spec_of(plan);
  spec->b = b.id;
  const auto prepare = [&](Side& from, Side& to, DirectionModel& direction, DirectionSpec& out) {
    direction.written_before = to.written;
    direction.read_before = from.read;
    const uint32_t stream = to.connection->stream + kClientStreams;
    const uint64_t head = std::min(direction.head, direction.most);
    const uint8_t* bytes = pattern(stream, to.written);
    out.head.assign(bytes, bytes + direction.head);
    if (head > 0) to.connection->expected.push_back({stream, to.written, head});
    to.written += head;
    if (!direction.caller) to.connection->expected.push_back({from.connection->stream, from.read, UINT64_MAX / 2});
  };
  prepare(a, b, plan.a_to_b, spec->a_to_b);
  prepare(b, a, plan.b_to_a, spec->b_to_a);
  a.join = b.join = static_cast<int>(joins.size());
  joins.push_back(plan);
  ++posted;
  engine->join(std::move(spec));
}

void World::join_to(JoinModel plan, bool tcp, uint64_t timeout) {
  if (joins.size() >= kMostJoins || sides.size() >= kMostSides) return;
  if (const Side& a = sides[plan.a]; !a.usable() || a.join >= 0 || a.reading || a.undecided()) return;
  const size_t number = joins.size();
  // Nothing that its client would have to say, or has to give.
  plan.a_to_b.caller = plan.b_to_a.caller = false;
  plan.b_to_a.head = 0;
  plan.cell = &cells_[number];
  plan.started = kernel.now;
  plan.dials = plan.dialing = true;
  plan.dial_deadline = kernel.now + timeout;
  plan.b = sides.size();
  plan.a_to_b.read_before = sides[plan.a].read;
  plan.b_to_a.written_before = sides[plan.a].written;
  trace("  join %zu: %zu dials, mode %d, most %lu %lu", number, plan.a, static_cast<int>(plan.mode), plan.a_to_b.most,
        plan.b_to_a.most);
  // Until the engine connects there is none: this one stands for it, and nothing ever happens to it.
  sides.push_back({.connection = std::make_shared<Connection>(kernel, 0, tcp), .join = static_cast<int>(number), .hidden = true});
  sides[plan.a].join = static_cast<int>(number);
  auto spec = spec_of(plan);
  const uint8_t* head = pattern(kHeadStreams + static_cast<uint32_t>(number), 0);
  spec->a_to_b.head.assign(head, head + plan.a_to_b.head);
  SocketAddress address;
  if (tcp) address.set_inet("192.0.2.1", static_cast<uint16_t>(kJoinPorts + number));
  else address.set_unix("/simulated" + std::to_string(kJoinPorts + number));
  joins.push_back(plan);
  ++posted;
  const JoinSpec& posted_spec = *spec;
  engine->join_to(std::move(spec), address, timeout);
  // It waits for its worker, who has not had a turn.
  sides[plan.b].id = posted_spec.b;
}

// The connection of a join that dials is there: from now on it is known what either side may be sent.
void World::connecting(Connection& connection, uint32_t target) {
  if (target < kJoinPorts || target >= kJoinPorts + joins.size()) return;
  const size_t number = target - kJoinPorts;
  const JoinModel& join = joins[number];
  Side& a = sides[join.a];
  Side& b = sides[join.b];
  if (!join.dials || b.connection->stream != 0) return kernel.violation("a join dials twice");
  b.connection = kernel.connections.at(connection.stream);
  const uint64_t head = std::min(join.a_to_b.head, join.a_to_b.most);
  if (head > 0) connection.expected.push_back({kHeadStreams + static_cast<uint32_t>(number), 0, head});
  connection.expected.push_back({a.connection->stream, a.read, UINT64_MAX / 2});
  a.connection->expected.push_back({connection.stream, 0, UINT64_MAX / 2});
}

void World::abort(JoinModel& join) {
  join.aborted = true;
  engine->abort(sides[join.a].id);
}

void World::finish(JoinModel& join, bool a_to_b, bool fin) {
  DirectionModel& direction = a_to_b ? join.a_to_b : join.b_to_a;
  if (join.ended || !direction.caller || direction.finished) return;
  direction.finished = true;
  engine->finish(sides[join.a].id, a_to_b, fin);
}

// The direction of its join that this side feeds; null while it has none.
const DirectionModel* World::direction_from(const Side& side) const {
  if (side.join < 0) return nullptr;
  const JoinModel& join = joins[static_cast<size_t>(side.join)];
  return &side == &sides[join.a] ? &join.a_to_b : &join.b_to_a;
}

void World::read(Side& side, size_t most, Millis deadline) {
  if (side.hidden || !side.usable() || side.reading) return;
  if (side.join >= 0) {
    const DirectionModel* from = direction_from(side);
    if (!from->caller || from->finished) return;
  }
  side.reading = true;
  side.read_deadline = deadline != kNever;
  engine->read(side.id, most, deadline);
}

void World::write(Side& side, uint64_t length) {
  constexpr uint64_t kMostWritten = 3 << 20;
  if (side.hidden || !side.usable() || length == 0 || side.written + length > kMostWritten) return;
  if (side.join >= 0) {
    const JoinModel& join = joins[static_cast<size_t>(side.join)];
    const DirectionModel& direction = &side == &sides[join.b] ? join.a_to_b : join.b_to_a;
    if (!direction.caller || direction.finished) return;
  }
  const uint32_t stream = side.connection->stream + kClientStreams;
  const uint8_t* bytes = pattern(stream, side.written);
  side.connection->expected.push_back({stream, side.written, length});
  side.written += length;
  engine->write(side.id, {bytes, bytes + length});
}

void World::flush(Side& side) {
  if (side.hidden || !side.usable() || side.flushing) return;
  side.flushing = true;
  side.flush_of = side.written;
  engine->flush(side.id);
}

void World::destroy(Side& side, bool reset) {
  if (side.hidden || side.gone) return;
  side.destroyed = true;
  engine->destroy(side.id, reset);
}

void World::release(Side& side) {
  if (side.hidden || !side.usable() || side.join >= 0) return;
  side.release_asked = true;
  engine->release(side.id);
}

void World::speak_tls(Side& side, const TlsActor::Kind& kind) {
  if (!side.usable() || side.hidden || side.join >= 0 || side.reading) return;
  Connection& connection = *side.connection;
  const bool fresh = !connection.tls && connection.sent == side.read && connection.consumed == side.read;
  if (!fresh || connection.state != Connection::State::Connected || connection.fin_sent || connection.peer_gone) return;
  connection.speak_tls(kind);
  connection.tls->begin();
  connection.send_wire(16 << 10);
}

void World::secure(Side& side, bool cut_is_reset, Millis timeout) {
  if (!side.usable() || !side.undecided() || side.join >= 0 || side.reading || side.flushing) return;
  const TlsActor::Kind& kind = side.connection->tls->kind;
  auto spec = std::make_unique<SecureSpec>();
  spec->context = suited(kind.suite, kind.client, kind.restless);
  if (!kind.client) spec->name = "localhost";
  spec->head = std::move(side.head);
  spec->reset_when_truncated = side.cut_is_reset = cut_is_reset;
  trace("  secure %zu as %s, suite %d, %zu bytes of head", static_cast<size_t>(&side - sides.data()),
        kind.client ? "server" : "client", static_cast<int>(kind.suite), spec->head.size());
  side.securing = true;
  side.secure_deadline = timeout >= kNever / 2 ? kNever : kernel.now + timeout;
  side.connection->encrypt_behind(side.written);
  engine->secure(side.id, std::move(spec), timeout);
}

void World::end_in_order() {
  relent();
  for (const auto& connection : kernel.connections) {
    if (connection->tls) connection->tls->notify();
    if (connection->tls) connection->send_wire(16 << 10);
    connection->peer_finish();
  }
  settle();
  // Those that were dialed only now.
  for (const auto& connection : kernel.connections) connection->peer_finish();
  for (JoinModel& join : joins) {
    finish(join, true, true);
    finish(join, false, true);
    if (!join.ended && join.dialing) abort(join);
  }
  pass(6000);
  for (JoinModel& join : joins) {
    if (!join.ended && (join.a_to_b.rate > 0 || join.b_to_a.rate > 0)) abort(join);
  }
  pass(100);
  for (JoinModel& join : joins) {
    if (!join.ended) kernel.violation("a join does not end although both peers have");
  }
  for (Side& side : sides) destroy(side, false);
  for (size_t i = 0; i < listening.size(); ++i) unlisten(i);
  pass(8000);
  for (const Side& side : sides) {
    if (!side.gone) kernel.violation("an endpoint is not gone long after its destruction");
  }
  for (const ListenerId id : listening) {
    if (id != 0) kernel.violation("a listener that was closed has not said so");
  }
  expect_nothing_left();
  end_at_once();
}

}  // namespace millrace::fuzz
