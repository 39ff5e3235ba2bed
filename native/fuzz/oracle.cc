#include "oracle.h"

#include <algorithm>
#include <cerrno>

#include "direction.h"
#include "join.h"

namespace millrace::fuzz {

namespace {

// What a timer may be late by: its tick, and the turn that notices it.
constexpr uint64_t kSlack = 30;
// What a direction may discard behind its end in one visit.
constexpr uint64_t kDiscarded = 128 << 10;

const DirectionModel& model(const JoinModel& join, bool a_to_b) { return a_to_b ? join.a_to_b : join.b_to_a; }
DirectionModel& model(JoinModel& join, bool a_to_b) { return a_to_b ? join.a_to_b : join.b_to_a; }

}  // namespace

Connection& Oracle::source(const JoinModel& join, bool a_to_b) {
  return *world_.sides[a_to_b ? join.a : join.b].connection;
}

uint64_t Oracle::delivered(const JoinModel& join, bool a_to_b) {
  const uint64_t accepted = sink(join, a_to_b).accepted;
  return accepted - std::min(accepted, model(join, a_to_b).written_before);
}

uint64_t Oracle::taken(const JoinModel& join, bool a_to_b) {
  const DirectionModel& direction = model(join, a_to_b);
  return source(join, a_to_b).consumed_plain() - direction.read_before + std::min(direction.head, direction.most);
}

// All that the direction is to deliver has been delivered.
bool Oracle::complete(const JoinModel& join, bool a_to_b) {
  const DirectionModel& direction = model(join, a_to_b);
  if (direction.caller) return direction.finished;
  // What the client wrote before the join goes first.
  if (sink(join, a_to_b).accepted < direction.written_before) return false;
  if (delivered(join, a_to_b) == direction.most) return true;
  return source(join, a_to_b).at_end() && delivered(join, a_to_b) == taken(join, a_to_b);
}

bool Oracle::cut_is_reset(const JoinModel& join, bool a_to_b) {
  const Side& side = world_.sides[a_to_b ? join.a : join.b];
  return side.cut_is_reset && side.connection->truncated();
}

// Its end is one without close_notify; behind a bound, or a client's, that may go unseen.
bool Oracle::ends_cut(const JoinModel& join, bool a_to_b) {
  const DirectionModel& direction = model(join, a_to_b);
  return !direction.caller && delivered(join, a_to_b) != direction.most && source(join, a_to_b).truncated();
}

// The direction has come to where its source's TLS ends as it must not.
bool Oracle::noticed(const JoinModel& join, bool a_to_b) {
  const DirectionModel& direction = model(join, a_to_b);
  if (direction.caller || direction.rate > 0 || delivered(join, a_to_b) == direction.most) return false;
  const bool bad = source(join, a_to_b).spoiled() || cut_is_reset(join, a_to_b);
  return bad && delivered(join, a_to_b) == taken(join, a_to_b);
}

bool Oracle::broken(const JoinModel& join) {
  for (const bool side : {true, false}) {
    const Connection& connection = source(join, side);
    if (connection.touched || connection.faulted || connection.closed || noticed(join, side)) return true;
  }
  return false;
}

void Oracle::after_turn() {
  for (JoinModel& join : world_.joins) {
    if (join.ended) continue;
    for (const bool a_to_b : {true, false}) {
      DirectionModel& direction = model(join, a_to_b);
      const uint64_t count = (a_to_b ? join.cell->a_to_b : join.cell->b_to_a).load(std::memory_order_relaxed);
      const uint64_t spliced = (a_to_b ? join.cell->spliced_a_to_b : join.cell->spliced_b_to_a).load(std::memory_order_relaxed);
      if (count < direction.counted) kernel_.violation("a counter shrinks");
      direction.counted = count;
      if (!sink(join, a_to_b).deaf() && count != delivered(join, a_to_b)) {
        kernel_.violation("a counter is not what the sink's kernel took");
      }
      if (spliced > count) kernel_.violation("more is spliced than delivered");
      const Connection& from = source(join, a_to_b);
      if (!direction.caller && count < direction.most &&
          taken(join, a_to_b) - count > std::max(Direction::kBudget, direction.head)) {
        kernel_.violation("a direction holds more than a buffer");
      }
      const uint64_t share = (broken(join) ? 2 : 1) * Direction::kBudget + kDiscarded;
      if (from.consumed_this_turn > share) kernel_.violation("a visit takes more than its share");
    }
  }
}

void Oracle::in_quiet() {
  for (JoinModel& join : world_.joins) quiet_join(join);
  for (const Side& side : world_.sides) quiet_side(side);
  size_t holding = 0;
  for (const JoinModel& join : world_.joins) holding += join.ended ? 0 : 2;
  if (kernel_.filled_pipes() > holding) kernel_.violation("a pipe holds bytes of no join");
  if (world_.client->backlog() > 0 && !world_.rung()) kernel_.violation("events wait and the doorbell was not rung");
}

void Oracle::quiet_join(JoinModel& join) {
  if (join.ended) return;
  if (join.dialing) {
    quiet_dial(join);
    if (join.dialing) return;
  }
  const uint64_t now = kernel_.now;
  if (join.begun_at == 0) join.begun_at = now;
  if (broken(join)) {
    if (join.failed_at == 0) join.failed_at = now;
    if (now > join.failed_at + Join::kResetFlush + kSlack) kernel_.violation("a broken join does not end");
    return;
  }
  for (const bool a_to_b : {true, false}) quiet_direction(join, a_to_b);
  if (complete(join, true) && complete(join, false)) {
    // Driven by the caller, it is over once what was written is out; with a rate limit, when the end may be asked for.
    const auto out = [&](bool a_to_b) {
      const DirectionModel& direction = model(join, a_to_b);
      return direction.caller ? sink(join, a_to_b).expected.empty() : direction.rate == 0;
    };
    if (out(true) && out(false)) kernel_.violation("both directions have ended and the join has not");
  }
  const JoinLimits& limits = join.limits;
  const uint64_t last = std::max({join.begun_at, source(join, true).accepted_at, source(join, false).accepted_at});
  const auto overdue = [now](uint64_t since, Millis limit) {
    return limit > 0 && limit != kNever && since > 0 && now > since + limit + kSlack;
  };
  if (overdue(join.begun_at, limits.duration)) kernel_.violation("a join outlives its limit");
  if (overdue(last, limits.idle)) kernel_.violation("a join outlives its idle limit");
  if (join.half_closed_at > 0 && overdue(std::max(last, join.half_closed_at), limits.half_closed_idle)) {
    kernel_.violation("a join outlives its half-closed limit");
  }
  if (overdue(join.a_to_b.stuck_at, limits.stalled) || overdue(join.b_to_a.stuck_at, limits.stalled)) {
    kernel_.violation("a join outlives its stalled limit");
  }
}

void Oracle::quiet_dial(JoinModel& join) {
  const Connection& visitor = source(join, true);
  const Connection& dialed = sink(join, true);
  if (dialed.state == Connection::State::Connected) {
    join.dialing = false;
    return;
  }
  if (dialed.touched || dialed.faulted) kernel_.violation("a dial has failed and its join does not end");
  if (visitor.tcp && visitor.reset_by_peer) kernel_.violation("a dial goes on although the visitor has reset");
  if (kernel_.now > join.dial_deadline + kSlack) kernel_.violation("a dial outlives its time-out");
}

void Oracle::quiet_direction(JoinModel& join, bool a_to_b) {
  DirectionModel& direction = model(join, a_to_b);
  const Connection& from = source(join, a_to_b);
  const Connection& to = sink(join, a_to_b);
  if (to.deaf()) return;
  const bool waiting = direction.caller ? !to.expected.empty()
                                        : to.accepted < direction.written_before || taken(join, a_to_b) > delivered(join, a_to_b);
  const bool over = !direction.caller && delivered(join, a_to_b) == direction.most;
  // What has been decrypted may have to wait for the rate, as a record can't be taken by halves.
  const bool held_back = direction.rate > 0 && from.tls && to.accepted >= direction.written_before;
  if (waiting && !over && !held_back) {
    if (to.writable()) kernel_.violation("bytes wait although the sink has room");
    if (direction.stuck_at == 0 || direction.stuck_with != to.took) {
      direction.stuck_at = kernel_.now;
      direction.stuck_with = to.took;
    }
    return;
  }
  direction.stuck_at = 0;
  if (direction.caller || over) return;
  if (direction.rate > 0) {
    const double most = direction.burst + direction.rate * static_cast<double>(kernel_.now - join.started) / 1000;
    if (static_cast<double>(delivered(join, a_to_b)) > most + static_cast<double>(direction.head) + 1) {
      kernel_.violation("more passes than the rate limit lets");
    }
    return;
  }
  if (from.at_end()) {
    if (join.half_closed_at == 0) join.half_closed_at = kernel_.now;
    if (!to.shut) kernel_.violation("an end is not passed on");
    return;
  }
  if (!from.doubtful() && from.readable_bytes()) kernel_.violation("readable bytes are left lying");
}

void Oracle::quiet_side(const Side& side) {
  if (!side.connection || side.gone || side.connection->closed || side.join >= 0) return;
  const Connection& connection = *side.connection;
  if (connection.touched || connection.faulted || connection.doubtful()) return;
  if (side.securing) quiet_handshake(side);
  if (!side.usable()) return;
  if (side.reading && (connection.readable_bytes() || connection.fin_arrived)) kernel_.violation("a read is not answered");
  const bool notified = side.secured && (connection.notified() || connection.consumed_plain() > side.read);
  if (side.reading && notified) kernel_.violation("a read of TLS is not answered");
  if (!connection.expected.empty() && connection.writable() && !connection.deaf()) kernel_.violation("written bytes wait although there is room");
  if (side.flushing && connection.expected.empty()) kernel_.violation("a flush is not answered");
}

// Who has heard and said all that is there must have come to an end, and the engine may keep nothing back.
void Oracle::quiet_handshake(const Side& side) {
  const Connection& connection = *side.connection;
  if (side.secure_deadline != kNever && kernel_.now > side.secure_deadline + kSlack) {
    kernel_.violation("a handshake outlives its deadline");
  }
  if (connection.peer_gone || connection.at_end()) return kernel_.violation("a handshake outlives its peer");
  const bool all_said = connection.consumed == connection.tls->end() && connection.writable();
  if (all_said && !connection.tls->mute()) kernel_.violation("a handshake stands still");
}

void Oracle::join_ended(JoinModel& join, const EventRecord& record) {
  if (join.ended) return kernel_.violation("a join ends twice");
  const auto reason = static_cast<EndReason>(record.code & 0xff);
  const int error = static_cast<int>(record.code >> 8);
  join.reason = reason;
  for (const bool a_to_b : {true, false}) {
    const uint64_t count = record.values[a_to_b ? 0 : 1];
    if (!sink(join, a_to_b).deaf() && count != delivered(join, a_to_b)) kernel_.violation("the last count is not what the sink's kernel took");
    if (count < model(join, a_to_b).counted) kernel_.violation("the last count is below an earlier one");
    if (record.values[a_to_b ? 2 : 3] > count) kernel_.violation("more is spliced than delivered, at the end");
    if ((a_to_b ? join.cell->a_to_b : join.cell->b_to_a).load(std::memory_order_relaxed) != count) {
      kernel_.violation("the cell and the last count differ");
    }
  }
  check_reason(join, error);
  const bool orderly = reason == EndReason::Eof || (reason == EndReason::Truncated && !cut(join));
  if (orderly) check_close(join);
  else check_cut(join);
  join.ended = true;
}

void Oracle::check_reason(const JoinModel& join, int error) {
  const Side& a = world_.sides[join.a];
  const Side& b = world_.sides[join.b];
  const auto either = [&](auto test) { return test(a) || test(b); };
  const uint64_t now = kernel_.now;
  uint64_t last = join.started;
  if (join.a_to_b.written_before == 0 && join.b_to_a.written_before == 0) {
    last = std::max({last, a.connection->accepted_at, b.connection->accepted_at});
  }
  bool fits = false;
  switch (join.reason) {
    case EndReason::Eof:
      fits = complete(join, true) && complete(join, false) && !ends_cut(join, true) && !ends_cut(join, false);
      break;
    case EndReason::Truncated:
      fits = truncated(join) && (cut(join) || (complete(join, true) && complete(join, false)));
      break;
    case EndReason::Reset:
      fits = error != 0 && either([](const Side& side) {
               const Connection& c = *side.connection;
               return c.touched || c.faulted || c.peer_gone || c.doubtful() || side.gone || side.destroyed || side.release_asked;
             });
      break;
    case EndReason::Idle:
      fits = join.limits.idle > 0 && now >= last + join.limits.idle;
      break;
    case EndReason::HalfClosedIdle:
      fits = join.limits.half_closed_idle > 0 && now >= last + join.limits.half_closed_idle &&
             either([](const Side& side) { return side.connection->fin_arrived || side.connection->notified(); });
      break;
    case EndReason::Limit:
      fits = join.limits.duration > 0 && now >= join.started + join.limits.duration;
      break;
    case EndReason::Stalled:
      fits = join.limits.stalled > 0 && now >= join.started + join.limits.stalled;
      break;
    case EndReason::Aborted:
      fits = join.aborted || a.destroyed || b.destroyed;
      break;
    case EndReason::Error:
      fits = error != 0 && either([](const Side& side) {
               return side.connection->faulted || side.connection->doubtful() || side.written > Endpoint::kMaxQueued;
             });
      break;
    case EndReason::Unreachable:
      fits = fits_unreachable(join, error);
      break;
    default:
      break;
  }
  if (a.connection->deaf() || b.connection->deaf()) return;
  if (!fits) kernel_.violation("a join ends for reason " + std::to_string(static_cast<int>(join.reason)) + ", which nothing gave");
}

bool Oracle::fits_unreachable(const JoinModel& join, int error) {
  const Connection& dialed = sink(join, true);
  if (!join.dialing || error == 0 || dialed.took > 0 || dialed.consumed > 0) return false;
  if (error == ETIMEDOUT && kernel_.now >= join.dial_deadline) return true;
  if (dialed.faulted || (dialed.died_of != 0 && error == dialed.died_of)) return true;
  // Never came to connect().
  return dialed.stream == 0 && (kernel_.sockets_refused > 0 || world_.reserve_touched);
}

// Whoever speaks TLS hears that nothing follows.
void Oracle::check_close(const JoinModel& join) {
  for (const size_t index : {join.a, join.b}) {
    const Side& side = world_.sides[index];
    const Connection& connection = *side.connection;
    if (!side.secured || !connection.closed || connection.touched || connection.faulted || connection.deaf()) continue;
    if (!connection.tls->heard_notify()) kernel_.violation("a whole connection looks cut");
  }
}

// Every end but a clean one resets whoever has not broken the connection itself, and what came before a reset is
// delivered first.
void Oracle::check_cut(const JoinModel& join) {
  for (const bool a_to_b : {true, false}) {
    const Side& from_side = world_.sides[a_to_b ? join.a : join.b];
    const Side& to_side = world_.sides[a_to_b ? join.b : join.a];
    const Connection& from = *from_side.connection;
    const Connection& to = *to_side.connection;
    const auto clear = [](const Side& side) {
      const Connection& c = *side.connection;
      return !c.touched && !c.faulted && !c.peer_gone && !c.doubtful() && !side.destroyed && !side.release_asked && !side.gone;
    };
    if (!clear(to_side)) continue;
    // A dial that came to nothing has no peer that could be misled.
    if (join.dials && a_to_b && !to.established) continue;
    if (!to.closed) kernel_.violation("a side of a cut join is not closed");
    if (to.tcp && to.closed && !to.saw_reset) kernel_.violation("a cut connection looks whole");
    const DirectionModel& direction = model(join, a_to_b);
    if (direction.caller || direction.rate > 0 || join.dialing || from.faulted || to.deaf()) continue;
    const bool told = (join.reason == EndReason::Reset && from.touched) || (join.reason == EndReason::Truncated && from.truncated()) ||
                      ((join.reason == EndReason::Error || join.reason == EndReason::Reset) && from.spoiled());
    if (!told || from.tls_storms()) continue;
    const uint64_t since = from.touched ? from.reset_at : join.failed_at != 0 ? join.failed_at : kernel_.now;
    if (from_side.destroyed || from_side.release_asked || kernel_.now >= since + Join::kResetFlush) continue;
    const uint64_t whole = from.arrived_plain() - direction.read_before + std::min(direction.head, direction.most);
    if (delivered(join, a_to_b) != std::min(whole, direction.most)) {
      kernel_.violation("bytes from before a reset are not delivered");
    }
    if (to.tcp && to.unsent_at_close > 0) kernel_.violation("a reset overtakes bytes that the peer has not got");
  }
}

}  // namespace millrace::fuzz
