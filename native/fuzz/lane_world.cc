#include "lane_world.h"

#include <algorithm>

#include "lane_oracle.h"
#include "trace.h"

namespace millrace::fuzz {

namespace {

// A join that dials names itself by its port: this and its number. What is sent ahead has a stream of its own then.
constexpr uint32_t kJoinPorts = 20'000;
constexpr uint32_t kHeadStreams = 2 * kClientStreams;
constexpr uint64_t kForEver = UINT64_MAX / 2;
constexpr uint64_t kPacket = 16 << 10;

}  // namespace

LaneWorld::LaneWorld(uint32_t worker_count) : Stage(worker_count) {
  kernel.connecting = [this](Connection& connection, uint32_t target) { connecting(connection, target); };
}

void LaneWorld::after_turn() { LaneOracle(*this).after_turn(); }

void LaneWorld::in_quiet() { LaneOracle(*this).in_quiet(); }

Party* LaneWorld::adopt(bool tcp) {
  if (parties.size() >= kMostParties) return nullptr;
  const auto connection = kernel.create(tcp);
  connection->state = Connection::State::Connected;
  int error = 0;
  const EndpointId id = engine->adopt(client, kernel.open(connection), error);
  if (id == 0) return nullptr;
  ++posted;
  parties.push_back({.connection = connection, .id = id});
  return &parties.back();
}

Party* LaneWorld::connect(LaneRole role, uint64_t written, int suite) {
  if (lanes.size() >= kMostLanes) return nullptr;
  Party* const party = adopt(true);
  if (!party) return nullptr;
  lanes.push_back(parties.size() - 1);
  Connection& connection = *party->connection;
  connection.lane = std::make_unique<LaneActor>(role, streams_);
  if (suite >= 0) {
    connection.speak_tls({.client = role == LaneRole::Opens, .suite = static_cast<Suite>(suite)});
    connection.tls->begin();
    connection.send_wire(kPacket);
    auto spec = std::make_unique<SecureSpec>();
    spec->context = suited(connection.tls->kind.suite, connection.tls->kind.client, false);
    if (!connection.tls->kind.client) spec->name = "localhost";
    party->securing = true;
    connection.encrypt_behind(0);
    engine->secure(party->id, std::move(spec), kNever);
    settle();
    if (!party->secured) return nullptr;
  }
  if (written > 0) {
    const uint32_t stream = connection.stream + kClientStreams;
    connection.lane->preface.push_back({stream, 0, written});
    const uint8_t* const bytes = pattern(stream, 0);
    engine->write(party->id, {bytes, bytes + written});
  }
  return party;
}

void LaneWorld::make_lane(Party& party, size_t head) {
  if (!party.usable() || !party.is_lane() || party.phase != Party::Phase::Raw || party.reading) return;
  const std::vector<uint8_t>& wire = party.connection->lane->wire();
  // What the client has read already.
  head = std::min<size_t>(head, party.read);
  if (head < party.read) return;
  trace("  lane %zu, %s, head %zu", static_cast<size_t>(party.id), party.actor()->role == LaneRole::Opens ? "opens" : "accepts", head);
  party.phase = Party::Phase::Free;
  party.read = 0;
  ++posted;
  engine->lane(party.id, party.actor()->role, {wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(head)});
}

// Of a join that has taken nothing of its visitor, nothing will come to him either.
void LaneWorld::keep_visitor(LaneJoin& join) {
  Party& visitor = parties[join.a];
  const LaneActor& actor = *parties[join.b].actor();
  const LaneDirection& direction = join.b_to_a;
  const uint32_t own = client_stream(visitor);
  const uint32_t stream = join.visit_b < actor.visits.size() ? actor.visits[join.visit_b].stream : 0;
  std::erase_if(visitor.connection->expected, [&](const Span& span) {
    return span.stream == stream || (direction.ahead() > 0 && span.stream == own && span.position == direction.written_before);
  });
  visitor.phase = Party::Phase::Raw;
  visitor.join = -1;
}

std::unique_ptr<JoinSpec> LaneWorld::spec_of(const LaneJoin& plan) {
  auto spec = std::make_unique<JoinSpec>();
  spec->token = static_cast<double>(joins.size());
  spec->client = client;
  spec->cell = plan.cell.get();
  spec->a = parties[plan.a].id;
  spec->mode = plan.mode;
  spec->limits = plan.limits;
  for (const bool a_to_b : {true, false}) {
    const LaneDirection& direction = plan.from(a_to_b);
    DirectionSpec& out = a_to_b ? spec->a_to_b : spec->b_to_a;
    out.max_bytes = direction.most;
    out.caller_driven = direction.caller;
    if (direction.rate > 0) out.rate = std::make_shared<TokenBucket>(direction.rate, direction.burst);
  }
  return spec;
}

// What the client itself writes to it is a stream of its own, another for each visit.
uint32_t LaneWorld::client_stream(const Party& party) const {
  return party.is_lane() ? party.now()->stream + 1 : party.connection->stream + kClientStreams;
}

void LaneWorld::expect(Party& to, Span span) { (to.is_lane() ? to.now()->expected : to.connection->expected).push_back(span); }

bool LaneWorld::can_join(const Party& party, const LaneDirection& from) const {
  if (!party.usable() || party.told_gone || (party.reading && !from.caller)) return false;
  if (!party.is_lane()) return party.phase == Party::Phase::Raw;
  return party.phase == Party::Phase::Opened || (party.actor()->role == LaneRole::Opens && party.phase == Party::Phase::Free);
}

void LaneWorld::join(LaneJoin plan, std::vector<uint8_t> open) {
  if (joins.size() >= kMostJoins || plan.a == plan.b) return;
  Party& a = parties[plan.a];
  Party& b = parties[plan.b];
  if (!plan.wrong && (!can_join(a, plan.a_to_b) || !can_join(b, plan.b_to_a))) return;
  plan.cell = std::make_unique<CounterCell>();
  plan.started = kernel.now;
  const auto number = static_cast<int>(joins.size());
  trace("  join %d: %zu and %zu, mode %d, caller %d %d, most %lu %lu%s", number, plan.a, plan.b, static_cast<int>(plan.mode),
        plan.a_to_b.caller, plan.b_to_a.caller, plan.a_to_b.most, plan.b_to_a.most, plan.wrong ? ", wrong" : "");
  auto spec = spec_of(plan);
  spec->b = b.id;
  if (!plan.wrong) {
    bool opens = false;
    for (Party* party : {&a, &b}) {
      if (!party->is_lane() || party->phase != Party::Phase::Free) continue;
      party->visit = party->actor()->plan(open).index;
      party->read = party->written = 0;
      opens = true;
    }
    // Which of two lanes is to open one can't be said.
    for (Party* party : {&a, &b}) {
      if (opens && party->is_lane() && party->phase == Party::Phase::Opened && party->actor()->role == LaneRole::Opens) return;
    }
    if (opens) spec->open = std::move(open);
    plan.opens = opens && !a.is_lane();
    plan.visit_a = a.visit;
    plan.visit_b = b.visit;
    const auto prepare = [&](Party& from, Party& to, LaneDirection& direction, DirectionSpec& out) {
      direction.written_before = to.written;
      direction.read_before = from.read;
      const uint64_t head = direction.ahead();
      const uint8_t* const bytes = pattern(client_stream(to), to.written);
      out.head.assign(bytes, bytes + direction.head);
      if (head > 0) expect(to, {client_stream(to), to.written, head});
      to.written += head;
      if (!direction.caller) expect(to, {from.is_lane() ? from.now()->stream : from.connection->stream, from.read, kForEver});
    };
    prepare(a, b, plan.a_to_b, spec->a_to_b);
    prepare(b, a, plan.b_to_a, spec->b_to_a);
    for (Party* party : {&a, &b}) {
      party->join = number;
      party->phase = Party::Phase::Joined;
    }
  } else {
    spec->open = std::move(open);
  }
  joins.push_back(std::move(plan));
  ++posted;
  engine->join(std::move(spec));
}

void LaneWorld::join_to(LaneJoin plan, bool tcp, uint64_t timeout) {
  if (joins.size() >= kMostJoins || parties.size() >= kMostParties) return;
  Party& a = parties[plan.a];
  // Nothing that its client would have to say, or has to give.
  plan.a_to_b.caller = plan.b_to_a.caller = false;
  plan.b_to_a.head = 0;
  if (!can_join(a, plan.a_to_b) || (a.is_lane() && a.actor()->role == LaneRole::Opens)) return;
  const size_t number = joins.size();
  plan.cell = std::make_unique<CounterCell>();
  plan.started = kernel.now;
  plan.dials = plan.dialing = true;
  plan.dial_deadline = kernel.now + timeout;
  plan.b = parties.size();
  plan.visit_a = a.visit;
  plan.a_to_b.read_before = a.read;
  plan.b_to_a.written_before = a.written;
  trace("  join %zu: %zu dials, mode %d, most %lu %lu", number, plan.a, static_cast<int>(plan.mode), plan.a_to_b.most, plan.b_to_a.most);
  // Until the engine connects there is none: this one stands for it, and nothing ever happens to it.
  parties.push_back({.connection = std::make_shared<Connection>(kernel, 0, tcp), .phase = Party::Phase::Joined, .hidden = true,
                     .join = static_cast<int>(number)});
  a.join = static_cast<int>(number);
  a.phase = Party::Phase::Joined;
  auto spec = spec_of(plan);
  const uint8_t* const head = pattern(kHeadStreams + static_cast<uint32_t>(number), 0);
  spec->a_to_b.head.assign(head, head + plan.a_to_b.head);
  SocketAddress address;
  if (tcp) address.set_inet("192.0.2.1", static_cast<uint16_t>(kJoinPorts + number));
  else address.set_unix("/simulated" + std::to_string(kJoinPorts + number));
  const size_t b = plan.b;
  joins.push_back(std::move(plan));
  ++posted;
  const JoinSpec& posted_spec = *spec;
  engine->join_to(std::move(spec), address, timeout);
  // It waits for its worker, who has not had a turn.
  parties[b].id = posted_spec.b;
}

// The connection of a join that dials is there: from now on it is known what either side may be sent.
void LaneWorld::connecting(Connection& connection, uint32_t target) {
  if (target < kJoinPorts || target >= kJoinPorts + joins.size()) return;
  const size_t number = target - kJoinPorts;
  const LaneJoin& join = joins[number];
  Party& a = parties[join.a];
  Party& b = parties[join.b];
  if (!join.dials || b.connection->stream != 0) return kernel.violation("a join dials twice");
  b.connection = kernel.connections.at(connection.stream);
  const uint64_t head = join.a_to_b.ahead();
  if (head > 0) connection.expected.push_back({kHeadStreams + static_cast<uint32_t>(number), 0, head});
  connection.expected.push_back({a.is_lane() ? a.now()->stream : a.connection->stream, a.read, kForEver});
  expect(a, {connection.stream, 0, kForEver});
}

void LaneWorld::abort(LaneJoin& join) {
  if (join.ended || join.wrong) return;
  join.aborted = true;
  engine->abort(parties[join.a].id);
}

void LaneWorld::finish(LaneJoin& join, bool a_to_b, bool fin) {
  LaneDirection& direction = join.from(a_to_b);
  if (join.ended || join.wrong || !direction.caller || direction.finished) return;
  direction.finished = true;
  direction.finished_with_fin = fin;
  engine->finish(parties[join.a].id, a_to_b, fin);
}

LaneDirection* LaneWorld::direction_from(const Party& party) {
  if (party.phase != Party::Phase::Joined || party.join < 0) return nullptr;
  LaneJoin& join = joins[static_cast<size_t>(party.join)];
  return &join.from(&party == &parties[join.a]);
}

LaneDirection* LaneWorld::direction_to(const Party& party) {
  if (party.phase != Party::Phase::Joined || party.join < 0) return nullptr;
  LaneJoin& join = joins[static_cast<size_t>(party.join)];
  return &join.from(&party != &parties[join.a]);
}

void LaneWorld::read(Party& party, size_t most, Millis deadline) {
  if (!party.usable() || party.reading) return;
  if (party.phase == Party::Phase::Joined) {
    const LaneDirection* const from = direction_from(party);
    if (!from->caller || from->finished) return;
  } else if (party.phase != Party::Phase::Opened && party.phase != Party::Phase::Raw) {
    return;
  }
  party.reading = true;
  party.read_deadline = deadline != kNever;
  engine->read(party.id, most, deadline);
}

void LaneWorld::write(Party& party, uint64_t length) {
  constexpr uint64_t kMostWritten = 1 << 20;
  if (!party.usable() || length == 0 || party.written + length > kMostWritten) return;
  if (party.phase == Party::Phase::Joined) {
    const LaneDirection* const to = direction_to(party);
    if (!to->caller || to->finished) return;
  } else if (party.phase != (party.is_lane() ? Party::Phase::Opened : Party::Phase::Raw)) {
    return;
  }
  const uint32_t stream = client_stream(party);
  const uint8_t* const bytes = pattern(stream, party.written);
  expect(party, {stream, party.written, length});
  party.written += length;
  engine->write(party.id, {bytes, bytes + length});
}

void LaneWorld::flush(Party& party) {
  if (!party.usable() || party.flushing || party.phase == Party::Phase::Left || party.phase == Party::Phase::Gone) return;
  party.flushing = true;
  party.flush_of = party.written;
  engine->flush(party.id);
}

void LaneWorld::open(Party& party, std::vector<uint8_t> start, uint64_t length) {
  if (!party.usable() || !party.is_lane() || party.phase != Party::Phase::Free || party.actor()->role != LaneRole::Opens) return;
  LaneVisit& visit = party.actor()->plan(start);
  trace("  open %zu: %zu with %lu", static_cast<size_t>(party.id), visit.index, length);
  party.phase = Party::Phase::Opened;
  party.visit = visit.index;
  party.read = 0;
  party.written = length;
  const uint32_t stream = client_stream(party);
  const uint8_t* const bytes = pattern(stream, 0);
  if (length > 0) expect(party, {stream, 0, length});
  ++posted;
  engine->open(party.id, std::move(start), {bytes, bytes + length});
}

void LaneWorld::leave(Party& party, bool reset) {
  if (!party.usable() || !party.is_lane()) return;
  if (party.held) {
    party.held = false;
    engine->leave(party.id, reset);
  }
  if (party.phase != Party::Phase::Opened) return;
  trace("  leave %zu%s", static_cast<size_t>(party.id), reset ? ", reset" : "");
  party.phase = Party::Phase::Left;
  party.left_orderly = !reset;
  party.left_after = kernel.now;
  party.left_at = 0;
  party.forget_asked();
  engine->leave(party.id, reset);
}

void LaneWorld::destroy(Party& party, bool reset) {
  if (party.hidden || party.phase == Party::Phase::Gone) return;
  party.destroyed = true;
  engine->destroy(party.id, reset);
}

void LaneWorld::jump(uint64_t milliseconds) {
  kernel.now += milliseconds;
  // What comes in steps begins its last one late.
  for (Party& party : parties) party.left_at = 0;
}

void LaneWorld::wrong_call(Party& party, uint8_t what) {
  settle();
  if (!broken().empty() || !party.usable() || party.told_gone) return;
  // Whatever is asked of one whose join dials waits for that.
  if (party.phase == Party::Phase::Joined && joins[static_cast<size_t>(party.join)].dialing) return;
  const bool lane = party.is_lane() && party.phase != Party::Phase::Raw;
  const bool joined = party.phase == Party::Phase::Joined;
  trace("  wrong call %d of %zu", what % 8, static_cast<size_t>(party.id));
  switch (what % 8) {
    case 0:
    case 1: {  // a join that can't begin
      LaneJoin plan;
      plan.wrong = true;
      for (size_t i = 0; i < parties.size(); ++i) {
        if (&parties[i] == &party) plan.a = i;
      }
      // Whatever it has then to open a visit with, one that has one is none that can begin another.
      if (!lane || (party.phase == Party::Phase::Opened && party.actor()->role == LaneRole::Accepts)) return;
      if (!adopt(true)) return;
      plan.b = parties.size() - 1;
      // With the visitor first it might be kept.
      std::swap(plan.a, plan.b);
      if (what & 8 || party.actor()->role == LaneRole::Opens) std::swap(plan.a, plan.b);
      const bool opens = party.actor()->role == LaneRole::Opens;
      // One that opens visits needs something to open them with.
      std::vector<uint8_t> open(opens && party.phase == Party::Phase::Free ? 0 : 5, 'x');
      // Whoever is on another worker is fetched, and must be free to go.
      party.wronged = true;
      parties.back().destroyed = true;
      join(std::move(plan), std::move(open));
      return settle();
    }
    case 2:  // written between visits
      if (!lane || party.phase == Party::Phase::Opened || joined) return;
      {
        const uint8_t* const bytes = pattern(LaneActor::kPoison, 77);
        engine->write(party.id, {bytes, bytes + 1000});
      }
      return settle();
    case 3:
      if (lane && party.phase != Party::Phase::Opened && !joined) engine->read(party.id, 1000, kNever);
      return settle();
    case 4:
      if (party.phase != Party::Phase::Opened && !party.held) engine->leave(party.id, (what & 8) != 0);
      return settle();
    case 5:
      if (!lane && !joined) return;
      party.destroyed = true;
      engine->lane(party.id, what & 8 ? LaneRole::Opens : LaneRole::Accepts, {});
      return settle();
    case 6:
      if (!lane) return;
      party.destroyed = party.phase == Party::Phase::Opened || party.phase == Party::Phase::Free;
      engine->release(party.id);
      return settle();
    default: {
      if (!lane) return;
      auto spec = std::make_unique<SecureSpec>();
      spec->context = suited(Suite::Aes13, true, false);
      party.destroyed = true;
      engine->secure(party.id, std::move(spec), 1000);
      return settle();
    }
  }
}

// Far ends say what they still owe.
void LaneWorld::react() {
  for (const size_t index : lanes) {
    Connection& connection = *parties[index].connection;
    if (!connection.lane->slow) connection.lane->see();
    if (!connection.holds_frames) connection.send_frames(kPacket);
  }
}

void LaneWorld::end_in_order() {
  relent();
  for (const auto& connection : kernel.connections) {
    if (!connection->lane) {
      connection->peer_finish();
      continue;
    }
    LaneActor& far = *connection->lane;
    far.slow = far.stubborn = connection->holds_frames = false;
    far.polite = true;
    far.see();
    far.end();
    connection->send_frames(kPacket);
  }
  settle();
  // Those that were dialed or opened only now.
  for (const auto& connection : kernel.connections) {
    if (connection->lane) connection->lane->end(), connection->send_frames(kPacket);
    else connection->peer_finish();
  }
  for (LaneJoin& join : joins) {
    finish(join, true, true);
    finish(join, false, true);
    if (!join.ended && join.dialing) abort(join);
  }
  settle();
  // A far end may have been in a hurry with its next visit.
  for (int i = 0; i < 3; ++i) {
    for (Party& party : parties) leave(party, false);
    settle();
  }
  pass(6000);
  for (LaneJoin& join : joins) {
    if (!join.ended && (join.a_to_b.rate > 0 || join.b_to_a.rate > 0)) abort(join);
  }
  pass(100);
  for (Party& party : parties) leave(party, false);
  settle();
  for (const LaneJoin& join : joins) {
    if (!join.ended) kernel.violation("a join does not end although both peers have");
  }
  // One that was lost to somebody's fault is another matter; the others must be as good as new.
  for (const size_t index : lanes) {
    const Party& lane = parties[index];
    const Connection& connection = *lane.connection;
    if (!lane.usable() || lane.phase == Party::Phase::Raw || lane.told_gone || connection.fin_sent || connection.touched) continue;
    if (lane.actor()->spoiled() || lane.wronged || connection.faulted) continue;
    if (lane.phase != Party::Phase::Free) kernel.violation("a lane is not free although nobody is on it");
  }
  for (Party& party : parties) destroy(party, false);
  pass(13'000);
  for (const Party& party : parties) {
    if (!party.told_gone && !(party.phase == Party::Phase::Gone)) kernel.violation("an endpoint is not gone long after its destruction");
  }
  expect_nothing_left();
  end_at_once();
}

}  // namespace millrace::fuzz
