#include "lane_oracle.h"

#include <algorithm>
#include <cerrno>

namespace millrace::fuzz {

namespace {

// What a timer may be late by: its tick, and the turn that notices it.
constexpr uint64_t kSlack = 30;
// What the reader of a lane may have taken beyond what its direction has.
constexpr uint64_t kReadAhead = 320 << 10;

}  // namespace

uint64_t LaneOracle::Port::taken() const {
  return visit ? actor->payload_before(*visit, connection->consumed_plain()) : connection->consumed_plain();
}

uint64_t LaneOracle::Port::given() const { return visit ? visit->heard_bytes : connection->accepted; }

bool LaneOracle::Port::ended() const {
  if (!visit) return connection->at_end();
  return visit->said == LaneEnd::End && visit->end_at <= connection->consumed_plain();
}

bool LaneOracle::Port::told_end() const { return visit ? visit->heard == LaneEnd::End : connection->shut; }

bool LaneOracle::Port::disturbed() const {
  const Connection& c = *connection;
  if (c.touched || c.faulted || c.peer_gone || c.doubtful() || party->destroyed || party->told_gone || party->wronged) return true;
  if (!visit) return false;
  return visit->reset_at <= c.consumed_plain() || actor->spoiled_at() <= c.consumed_plain() || actor->hasty() || c.fin_sent;
}

bool LaneOracle::Port::broken() const {
  const Connection& c = *connection;
  if (c.touched || c.faulted || c.closed) return true;
  return visit && (visit->reset_at <= c.consumed_plain() || actor->spoiled() || actor->hasty() || c.fin_arrived);
}

LaneOracle::Port LaneOracle::port(const LaneJoin& join, bool first) const {
  const Party& party = world_.parties[join.party(first)];
  const LaneActor* const actor = party.actor();
  const bool has = actor && join.visit(first) < actor->visits.size();
  return {&party, party.connection.get(), actor, has ? &actor->visits[join.visit(first)] : nullptr};
}

uint64_t LaneOracle::delivered(const LaneJoin& join, bool a_to_b) const {
  const uint64_t given = port(join, !a_to_b).given();
  return given - std::min(given, join.from(a_to_b).written_before);
}

uint64_t LaneOracle::taken(const LaneJoin& join, bool a_to_b) const {
  const LaneDirection& direction = join.from(a_to_b);
  const uint64_t all = port(join, a_to_b).taken();
  return all - std::min(all, direction.read_before) + direction.ahead();
}

// All that the direction is to deliver has been delivered.
bool LaneOracle::complete(const LaneJoin& join, bool a_to_b) const {
  const LaneDirection& direction = join.from(a_to_b);
  if (direction.caller) return direction.finished;
  if (port(join, !a_to_b).given() < direction.written_before) return false;
  if (delivered(join, a_to_b) == direction.most) return true;
  return port(join, a_to_b).ended() && delivered(join, a_to_b) == taken(join, a_to_b);
}

bool LaneOracle::broken(const LaneJoin& join) const { return port(join, true).broken() || port(join, false).broken(); }

void LaneOracle::after_turn() {
  // The client may have to hear of a join's end.
  const bool ends_wait = world_.client->backlog() > 0;
  for (LaneJoin& join : world_.joins) {
    if (join.ended || join.wrong) continue;
    for (const bool a_to_b : {true, false}) {
      LaneDirection& direction = join.from(a_to_b);
      const uint64_t count = (a_to_b ? join.cell->a_to_b : join.cell->b_to_a).load(std::memory_order_relaxed);
      const uint64_t spliced = (a_to_b ? join.cell->spliced_a_to_b : join.cell->spliced_b_to_a).load(std::memory_order_relaxed);
      if (count < direction.counted) kernel_.violation("a counter shrinks");
      direction.counted = count;
      const Port to = port(join, !a_to_b);
      // Where the visit is given up, what the lane owes is counted at once, and leaves afterwards.
      const bool owes = to.visit && (ends_wait || to.broken());
      if (!owes && !to.connection->deaf() && count != delivered(join, a_to_b)) kernel_.violation("a counter is not what the sink's kernel took");
      if (spliced > count) kernel_.violation("more is spliced than delivered");
      const uint64_t most = std::max(Direction::kBudget, direction.head) + (port(join, a_to_b).visit ? kReadAhead : 0);
      if (!direction.caller && !ends_wait && count < direction.most && taken(join, a_to_b) > count + most) {
        kernel_.violation("a direction holds more than a buffer");
      }
    }
  }
  for (const size_t index : world_.lanes) check_end_frames(world_.parties[index]);
}

// Whatever the engine has said of a visit, its END is only for one whose bytes are all there.
void LaneOracle::check_end_frames(const Party& lane) {
  const LaneVisit* const visit = lane.now();
  if (!visit || visit->heard != LaneEnd::End) return;
  if (lane.phase == Party::Phase::Left && lane.join < 0) {
    if (!lane.left_orderly) kernel_.violation("a visit that is given up ends in order");
    const bool was_reset = visit->reset_at <= lane.connection->consumed_plain();
    if (visit->heard_bytes < lane.written && !was_reset) kernel_.violation("a visit ends before all that was written to it");
    return;
  }
  if (lane.join < 0 || lane.phase == Party::Phase::Free || lane.phase == Party::Phase::Opened) return;
  const LaneJoin& join = world_.joins[static_cast<size_t>(lane.join)];
  const bool lane_is_b = &lane == &world_.parties[join.b];
  const Port from = port(join, lane_is_b);
  // One whose bytes went another way is complete as well.
  if (!complete(join, lane_is_b) && !from.connection->deaf()) kernel_.violation("a visit ends in order, and its bytes are not all there");
}

void LaneOracle::in_quiet() {
  for (LaneJoin& join : world_.joins) quiet_join(join);
  for (Party& party : world_.parties) {
    if (party.is_lane() && party.phase == Party::Phase::Left && party.left_at == 0) party.left_at = kernel_.now;
    if (party.is_lane()) quiet_lane(party);
    quiet_party(party);
    check_shut(party);
  }
  size_t holding = 0;
  for (const LaneJoin& join : world_.joins) holding += join.ended ? 0 : 2;
  if (kernel_.filled_pipes() > holding) kernel_.violation("a pipe holds bytes of no join");
  if (world_.client->backlog() > 0 && !world_.rung()) kernel_.violation("events wait and the doorbell was not rung");
}

// A visitor, or a service, hears an orderly end only behind one, and behind all of its bytes.
void LaneOracle::check_shut(const Party& party) {
  const Connection& connection = *party.connection;
  if (party.is_lane() || party.join < 0 || !connection.shut || connection.saw_reset) return;
  // A unix socket's end says nothing of how it came.
  if (!connection.tcp && connection.closed) return;
  if (connection.touched || connection.faulted || connection.peer_gone || party.destroyed) return;
  const LaneJoin& join = world_.joins[static_cast<size_t>(party.join)];
  const bool is_b = &party == &world_.parties[join.b];
  if (!complete(join, is_b)) kernel_.violation("an orderly end is made up");
}

void LaneOracle::quiet_join(LaneJoin& join) {
  if (join.wrong && !join.ended) kernel_.violation("a join that can't begin does not end");
  if (join.ended || join.wrong) return;
  const uint64_t now = kernel_.now;
  if (join.dialing) {
    const Connection& dialed = *port(join, false).connection;
    if (dialed.state != Connection::State::Connected) {
      if (dialed.touched || dialed.faulted) kernel_.violation("a dial has failed and its join does not end");
      if (now > join.dial_deadline + kSlack) kernel_.violation("a dial outlives its time-out");
      return;
    }
    join.dialing = false;
  }
  if (broken(join)) {
    const bool noticed = [&] {
      // A lane's end, or what makes no sense there, is found when it is read.
      for (const bool a_to_b : {true, false}) {
        const LaneDirection& direction = join.from(a_to_b);
        const Port from = port(join, a_to_b);
        if (!from.visit || from.actor->spoiled_at() > from.connection->consumed_plain() || direction.caller || direction.rate > 0) continue;
        if (taken(join, a_to_b) == delivered(join, a_to_b) && delivered(join, a_to_b) < direction.most) return true;
      }
      for (const bool first : {true, false}) {
        const Port one = port(join, first);
        if (one.connection->touched || one.connection->faulted || one.connection->closed) return true;
      }
      return false;
    }();
    if (!noticed) return;
    if (join.failed_at == 0) join.failed_at = now;
    if (now > join.failed_at + Join::kResetFlush + kSlack) kernel_.violation("a broken join does not end");
    return;
  }
  for (const bool a_to_b : {true, false}) quiet_direction(join, a_to_b);
  if (complete(join, true) && complete(join, false)) {
    const auto out = [&](bool a_to_b) {
      const LaneDirection& direction = join.from(a_to_b);
      const Port to = port(join, !a_to_b);
      if (to.visit && !to.connection->writable()) return false;
      return direction.caller ? (to.visit ? to.visit->expected.empty() : to.connection->expected.empty()) : direction.rate == 0;
    };
    if (out(true) && out(false)) kernel_.violation("both directions have ended and the join has not");
  }
  if (join.begun_at == 0) join.begun_at = now;
  if (join.limits.duration > 0 && join.limits.duration < kNever / 2 && now > join.begun_at + join.limits.duration + kSlack) {
    kernel_.violation("a join outlives its limit");
  }
}

void LaneOracle::quiet_direction(const LaneJoin& join, bool a_to_b) {
  const LaneDirection& direction = join.from(a_to_b);
  const Port from = port(join, a_to_b);
  const Port to = port(join, !a_to_b);
  if (to.connection->deaf()) return;
  const bool over = !direction.caller && delivered(join, a_to_b) == direction.most;
  const bool waiting = direction.caller ? (to.visit ? !to.visit->expected.empty() : !to.connection->expected.empty())
                                        : to.given() < direction.written_before || taken(join, a_to_b) > delivered(join, a_to_b);
  if (over || direction.rate > 0) return;
  if (waiting) {
    if (to.connection->writable()) kernel_.violation("bytes wait although the sink has room");
    return;
  }
  if (direction.caller) return;
  if (from.ended()) {
    if (!to.told_end() && to.connection->writable()) kernel_.violation("an end is not passed on");
    return;
  }
  // What a lane says before its visitor's bytes has to be out first.
  if (to.visit && !to.connection->writable()) return;
  if (!from.connection->doubtful() && from.connection->readable_bytes()) kernel_.violation("readable bytes are left lying");
}

void LaneOracle::quiet_lane(const Party& lane) {
  const Connection& connection = *lane.connection;
  if (lane.told_gone || lane.phase == Party::Phase::Raw || lane.destroyed || lane.refused || connection.closed) return;
  if (connection.faulted) return;
  const LaneActor& actor = *lane.actor();
  const LaneVisit* const visit = lane.now();
  if (lane.phase == Party::Phase::Free) {
    if (connection.touched) return kernel_.violation("an idle lane outlives its connection");
    if (connection.readable_bytes()) return kernel_.violation("a lane that is free is not read");
    if (connection.fin_arrived) return kernel_.violation("an idle lane outlives its far end");
    if (actor.spoiled_at() <= connection.consumed_plain()) return kernel_.violation("a lane outlives a frame that doesn't fit");
    if (actor.role == LaneRole::Accepts && lane.told < actor.visits.size() &&
        actor.visits[lane.told].begun_at <= connection.consumed_plain()) {
      kernel_.violation("a visit that was opened is not told of");
    }
    return;
  }
  if (lane.phase != Party::Phase::Left || !visit || lane.wronged) return;
  if (connection.touched) return kernel_.violation("a lane that settles outlives its connection");
  const bool ended = visit->end_at <= connection.consumed_plain();
  if (!ended && connection.readable_bytes()) return kernel_.violation("what comes to a visit that was left is not read");
  if (!ended && connection.fin_arrived) return kernel_.violation("a lane that settles outlives its far end");
  if (connection.writable() && !visit->planned) {
    if (visit->heard == LaneEnd::None && !(ended && actor.role == LaneRole::Opens)) return kernel_.violation("a visit that was left is not ended");
    if (ended && !actor.hasty() && !lane.held) return kernel_.violation("a visit is over and its lane is not free");
  }
  if (ended && lane.held) return;
  const uint64_t most = Endpoint::kLingerFlush + Endpoint::kLingerDrain + Endpoint::kLaneSettle + 4 * kSlack;
  if (lane.left_at > 0 && kernel_.now > lane.left_at + most) kernel_.violation("a lane settles for ever");
}

void LaneOracle::quiet_party(const Party& party) {
  const Connection& connection = *party.connection;
  if (!party.usable() || party.told_gone || connection.closed || connection.touched || connection.faulted || connection.doubtful()) return;
  const bool lane = party.is_lane() && party.phase != Party::Phase::Raw;
  if (party.phase == Party::Phase::Joined || party.phase == Party::Phase::Left || (lane && party.actor()->hasty())) return;
  const LaneVisit* const visit = lane ? party.now() : nullptr;
  if (party.reading) {
    const uint64_t there = lane ? party.actor()->payload_before(*visit, connection.consumed_plain()) : connection.consumed_plain();
    const bool ended = lane ? visit->end_at <= connection.consumed_plain() : connection.at_end();
    if (connection.readable_bytes() || there > party.read || ended) kernel_.violation("a read is not answered");
  }
  if (lane && party.phase == Party::Phase::Free) {
    // Until the END that waits for the next visit has left.
    const bool waits = visit && party.actor()->role == LaneRole::Opens && visit->heard == LaneEnd::None;
    if (party.flushing && !waits && connection.writable()) kernel_.violation("a flush is not answered");
    return;
  }
  const auto& expected = lane ? visit->expected : connection.expected;
  // The far end has reset: nobody takes it any more.
  if (lane && (visit->reset_at != LaneVisit::kNowhere || connection.fin_arrived || party.actor()->spoiled())) return;
  if (party.is_lane() && !lane) return;
  if (!expected.empty() && connection.writable()) kernel_.violation("written bytes wait although there is room");
  if (party.flushing && expected.empty() && connection.writable()) kernel_.violation("a flush is not answered");
}

void LaneOracle::join_ended(LaneJoin& join, const EventRecord& record) {
  if (join.ended) return kernel_.violation("a join ends twice");
  const auto reason = static_cast<EndReason>(record.code & 0xff);
  const int error = static_cast<int>(record.code >> 8);
  join.ended = true;
  join.reason = reason;
  if (join.wrong) {
    const bool keeps = reason == EndReason::Unreachable && !port(join, true).actor;
    if ((reason != EndReason::Reset && !keeps) || error != ECONNRESET) kernel_.violation("a join that can't begin ends for another reason");
    return;
  }
  for (const bool a_to_b : {true, false}) {
    const uint64_t count = record.values[a_to_b ? 0 : 1];
    const Port to = port(join, !a_to_b);
    join.counts[a_to_b ? 0 : 1] = count;
    if (count < join.from(a_to_b).counted) kernel_.violation("the last count is below an earlier one");
    if (record.values[a_to_b ? 2 : 3] > count) kernel_.violation("more is spliced than delivered, at the end");
    if ((a_to_b ? join.cell->a_to_b : join.cell->b_to_a).load(std::memory_order_relaxed) != count) {
      kernel_.violation("the cell and the last count differ");
    }
    // What a lane still owes is counted, and leaves behind the join's end.
    if (!to.visit && !to.connection->deaf() && count != delivered(join, a_to_b)) kernel_.violation("the last count is not what the sink's kernel took");
  }
  check_reason(join, error);
  if (reason == EndReason::Unreachable && join.opens) check_kept(join);
  else if (reason != EndReason::Eof) check_cut(join);
  if (reason == EndReason::Reset || reason == EndReason::Error) check_lost(join);
}

void LaneOracle::check_reason(const LaneJoin& join, int error) {
  const Port a = port(join, true);
  const Port b = port(join, false);
  const bool disturbed = a.disturbed() || b.disturbed();
  const uint64_t now = kernel_.now;
  bool fits = false;
  switch (join.reason) {
    case EndReason::Eof:
      fits = complete(join, true) && complete(join, false);
      break;
    case EndReason::Reset:
    case EndReason::Error:
      fits = error != 0 && (disturbed || a.party->written > Endpoint::kMaxQueued || b.party->written > Endpoint::kMaxQueued);
      break;
    case EndReason::Idle:
      fits = join.limits.idle > 0 && now >= join.started + join.limits.idle;
      break;
    case EndReason::HalfClosedIdle:
      fits = join.limits.half_closed_idle > 0 && now >= join.started + join.limits.half_closed_idle &&
             (a.ended() || b.ended() || a.connection->fin_arrived || b.connection->fin_arrived);
      break;
    case EndReason::Limit:
      fits = join.limits.duration > 0 && now >= join.started + join.limits.duration;
      break;
    case EndReason::Stalled:
      fits = join.limits.stalled > 0 && now >= join.started + join.limits.stalled;
      break;
    case EndReason::Aborted:
      fits = join.aborted || a.party->destroyed || b.party->destroyed || a.party->wronged || b.party->wronged;
      break;
    case EndReason::Unreachable: {
      const Connection& dialed = *b.connection;
      if (join.dials) fits = error != 0 && dialed.took == 0 && dialed.consumed == 0;
      else fits = error != 0 && join.opens && b.disturbed() && (join.a_to_b.caller || a.taken() == join.a_to_b.read_before) && delivered(join, false) == 0;
      break;
    }
    default:
      break;
  }
  if (a.connection->deaf() || b.connection->deaf()) return;
  if (!fits) kernel_.violation("a join ends for reason " + std::to_string(static_cast<int>(join.reason)) + ", which nothing gave");
}

// Nothing was taken of the visitor: it must be as it was.
void LaneOracle::check_kept(const LaneJoin& join) {
  const Port visitor = port(join, true);
  if (visitor.connection->closed && !visitor.disturbed()) kernel_.violation("a visitor that is kept is closed");
  if (visitor.connection->shut) kernel_.violation("a visitor that is kept hears an end");
}

// A visitor is lost with its lane only when something was taken of it, or it was lost itself.
void LaneOracle::check_lost(const LaneJoin& join) {
  const Port visitor = port(join, true);
  const Port lane = port(join, false);
  if (!join.opens || visitor.disturbed() || join.a_to_b.caller || join.b_to_a.caller) return;
  const bool lost = lane.connection->touched || lane.connection->fin_arrived || lane.actor->spoiled();
  const bool was_reset = lane.visit && lane.visit->reset_at <= lane.connection->consumed_plain();
  if (!lost || was_reset || lane.connection->faulted || lane.actor->hasty()) return;
  const bool untouched = visitor.taken() == join.a_to_b.read_before && join.counts[0] == 0 && join.counts[1] == 0;
  if (untouched && join.a_to_b.head == 0 && join.b_to_a.head == 0) kernel_.violation("a visitor of which nothing was taken is lost with its lane");
}

// Every end but a clean one resets whoever has not broken the connection itself, and what came before a reset is
// delivered first. That lanes hear of it is seen when they become free.
void LaneOracle::check_cut(const LaneJoin& join) {
  for (const bool a_to_b : {true, false}) {
    const Port from = port(join, a_to_b);
    const Port to = port(join, !a_to_b);
    const Connection& sink = *to.connection;
    if (to.disturbed()) continue;
    // A dial that came to nothing has no peer that could be misled.
    if (join.dials && a_to_b && !sink.established) continue;
    if (!to.visit) {
      if (!sink.closed) kernel_.violation("a side of a cut join is not closed");
      if (sink.tcp && sink.closed && !sink.saw_reset) kernel_.violation("a cut connection looks whole");
    }
    const LaneDirection& direction = join.from(a_to_b);
    if (join.reason != EndReason::Reset || direction.caller || direction.rate > 0 || join.dialing || from.connection->faulted || sink.deaf()) continue;
    if (from.party->destroyed || from.party->wronged) continue;
    uint64_t whole = 0;
    uint64_t since = 0;
    if (from.visit) {
      if (from.visit->reset_at == LaneVisit::kNowhere || from.connection->touched || from.connection->fin_sent) continue;
      if (from.actor->spoiled() || from.actor->hasty()) continue;
      whole = from.visit->said_bytes;
      since = from.visit->reset_time;
    } else {
      if (!from.connection->touched) continue;
      whole = from.connection->arrived;
      since = from.connection->reset_at;
    }
    if (kernel_.now >= since + Join::kResetFlush) continue;
    whole = whole - direction.read_before + direction.ahead();
    const uint64_t count = join.counts[a_to_b ? 0 : 1];
    if (count < std::min(whole, direction.most)) kernel_.violation("bytes from before a reset are not delivered");
  }
}

void LaneOracle::freed(const Party& lane, uint8_t number) {
  const LaneActor& actor = *lane.actor();
  const Connection& connection = *lane.connection;
  const LaneVisit* const visit = lane.now();
  if (!visit || visit->planned) {
    // Nothing came of it.
    const size_t before = visit ? visit->index : actor.visits.size();
    if (number != static_cast<uint8_t>(before)) kernel_.violation("a lane is free of another visit");
    return;
  }
  if (number != visit->number) kernel_.violation("a lane is free of another visit");
  // END may wait for the OPEN of the next visit, to leave with it.
  const bool waits = actor.role == LaneRole::Opens && visit->heard == LaneEnd::None;
  if (visit->heard == LaneEnd::None && !waits && !connection.deaf()) kernel_.violation("a lane is free before its visit is ended");
  if (visit->end_at > connection.consumed_plain()) kernel_.violation("a lane is free before its far end has ended the visit");
  if (connection.deaf() || actor.hasty()) return;
  if (!actor.between_frames()) kernel_.violation("a lane is free in the middle of a frame");
  if (lane.join < 0) {
    if (!lane.left_orderly && visit->heard != LaneEnd::Reset && visit->heard != LaneEnd::End) kernel_.violation("a visit that is given up is not reset");
    return;
  }
  const LaneJoin& join = world_.joins[static_cast<size_t>(lane.join)];
  const bool is_b = &lane == &world_.parties[join.b];
  const uint64_t count = join.counts[is_b ? 0 : 1];
  const uint64_t got = delivered(join, is_b);
  const bool exact = !connection.tls && !join.from(is_b).caller;
  if (got < count || (exact && got != count)) kernel_.violation("the last count is not what a visit's far end got");
  if (join.reason == EndReason::Eof && visit->heard != LaneEnd::End && !waits) kernel_.violation("a visit that has ended in order is reset");
}

void LaneOracle::lane_gone(const Party& lane, int error) {
  const Connection& connection = *lane.connection;
  const LaneActor& actor = *lane.actor();
  if (connection.touched || connection.faulted || connection.fin_sent || connection.peer_gone || connection.doubtful()) return;
  if (lane.destroyed || lane.wronged || actor.hasty() || actor.spoiled_at() <= connection.consumed_plain()) return;
  // Its far end, or the network, has let the time pass.
  const bool late = lane.phase == Party::Phase::Left && error == ETIMEDOUT &&
                    (lane.join >= 0 || kernel_.now >= lane.left_after + Endpoint::kLaneSettle);
  const bool overrun = error == ENOBUFS && lane.written > Endpoint::kMaxQueued;
  if (!late && !overrun) kernel_.violation("a lane is lost that nobody has disturbed");
}

}  // namespace millrace::fuzz
