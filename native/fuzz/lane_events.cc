// What the engine tells its client of lanes and their visits, checked against what the client knows.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lane_oracle.h"
#include "trace.h"

namespace millrace::fuzz {

Party* LaneWorld::find(double id) {
  const auto found = std::find_if(parties.begin(), parties.end(), [id](const Party& party) { return static_cast<double>(party.id) == id; });
  return found == parties.end() ? nullptr : &*found;
}

void LaneWorld::take(const EventRecord& record, const uint8_t*& payload) {
  trace("  event %u of %.0f: code %u, %lu %lu", static_cast<unsigned>(record.type), record.id, record.code, record.values[0], record.values[1]);
  if (record.type == EventType::JoinEnded) return take_join_ended(record);
  Party* const party = find(record.id);
  if (!party) return kernel.violation("an event of an endpoint that never was");
  if (party->told_gone) return kernel.violation("an event of an endpoint that is gone");
  switch (record.type) {
    case EventType::Gone:
      return take_gone(*party, record);
    case EventType::LaneOpened:
      return take_opened(*party, record, payload);
    case EventType::LaneFree:
      return take_free(*party, record);
    case EventType::Read:
      return take_read(*party, record, payload);
    case EventType::Secured:
      if (!party->securing) kernel.violation("a handshake is answered that nobody asked for, or twice");
      party->securing = false;
      payload += record.values[0];
      if (record.code == 0) party->secured = party->connection->secured = true;
      else party->refused = true;
      return;
    case EventType::Flushed:
      if (!party->flushing && !party->stale_flush) kernel.violation("a flush is answered that nobody asked for");
      (party->stale_flush ? party->stale_flush : party->flushing) = false;
      return;
    case EventType::PeerEnded: {
      const Connection& connection = *party->connection;
      const LaneVisit* const visit = party->now();
      const bool was_reset = visit && visit->reset_at <= connection.consumed_plain();
      // Of a visit, its own end is told.
      if (record.code == 0 && visit && !visit->planned && (visit->said != LaneEnd::End || visit->end_at > connection.consumed_plain())) {
        kernel.violation("a visit's end is reported that its far end did not make");
      }
      const bool spoiled = party->is_lane() && party->actor()->spoiled_at() <= connection.consumed_plain();
      if (record.code == 0 && (!visit || visit->planned) && !connection.fin_sent && !connection.touched) kernel.violation("an end is reported that no peer made");
      const bool disturbed = connection.touched || connection.faulted || connection.peer_gone || connection.doubtful() || was_reset ||
                             spoiled || connection.fin_sent || (party->is_lane() && party->actor()->hasty());
      if (record.code != 0 && !disturbed) kernel.violation("an error is reported that nobody made");
      return;
    }
    case EventType::Released:
      return kernel.violation("a lane's descriptor is given away");
    default:
      return kernel.violation("an event of no known kind");
  }
}

void LaneWorld::take_opened(Party& party, const EventRecord& record, const uint8_t*& payload) {
  const std::vector<uint8_t> open(payload, payload + record.values[0]);
  payload += record.values[0];
  LaneActor* const actor = party.actor();
  if (!actor || actor->role != LaneRole::Accepts) return kernel.violation("a visit begins where none can");
  if (party.phase != Party::Phase::Free) return kernel.violation("a visit begins on a lane that is not free");
  const size_t wanted = party.told++;
  if (wanted >= actor->visits.size()) return kernel.violation("a visit begins that nobody has opened");
  const LaneVisit& visit = actor->visits[wanted];
  if (record.values[1] != visit.number) kernel.violation("a visit begins out of its order");
  if (visit.begun_at > party.connection->consumed_plain()) kernel.violation("a visit begins before it is opened");
  if (open != visit.open) kernel.violation("a visit begins with another's OPEN");
  party.visit = wanted;
  party.phase = Party::Phase::Opened;
  party.read = party.written = 0;
  party.reading = false;
}

void LaneWorld::take_free(Party& party, const EventRecord& record) {
  if (!party.is_lane()) return kernel.violation("what is no lane becomes free");
  if (party.phase == Party::Phase::Free && party.wronged) return;
  if (party.phase != Party::Phase::Left) return kernel.violation("a lane becomes free that nobody has left");
  const bool begun = party.now() && !party.now()->planned;
  if (party.held && begun) kernel.violation("a lane becomes free while its client has a part in it");
  party.held = false;
  LaneOracle(*this).freed(party, static_cast<uint8_t>(record.values[1]));
  party.phase = Party::Phase::Free;
  party.reading = false;
  party.join = -1;
  party.stale_read = false;
  party.read = party.written = 0;
}

void LaneWorld::take_gone(Party& party, const EventRecord& record) {
  if (party.is_lane() && party.phase != Party::Phase::Raw) LaneOracle(*this).lane_gone(party, static_cast<int>(record.code));
  if (party.is_lane() && party.phase == Party::Phase::Joined && joins[static_cast<size_t>(party.join)].begun_at != 0) {
    kernel.violation("a lane is gone before its join has ended");
  }
  party.told_gone = true;
  party.phase = Party::Phase::Gone;
  party.securing = false;
  if (!party.connection->closed) kernel.violation("an endpoint is gone and its socket is not");
}

void LaneWorld::take_join_ended(const EventRecord& record) {
  if (record.id >= static_cast<double>(joins.size())) return kernel.violation("a join ends that never was");
  LaneJoin& join = joins[static_cast<size_t>(record.id)];
  LaneOracle(*this).join_ended(join, record);
  if (join.wrong) {
    for (const bool first : {true, false}) {
      Party& party = parties[join.party(first)];
      if (!party.is_lane()) party.phase = join.reason == EndReason::Unreachable ? Party::Phase::Raw : Party::Phase::Gone;
      else if (party.phase == Party::Phase::Opened) {
        party.forget_asked();
        party.phase = Party::Phase::Left;
      }
      // Where nothing was on it, it says so again.
      else if (party.phase == Party::Phase::Free) party.wronged = true;
    }
    return;
  }
  const bool kept = join.opens && join.reason == EndReason::Unreachable;
  if (kept) keep_visitor(join);
  for (const bool first : {true, false}) {
    Party& party = parties[join.party(first)];
    if (party.told_gone || (first && kept)) continue;
    party.forget_asked();
    if (!party.is_lane()) {
      // Of it nothing more needs to be said, though of one that lingers it may.
      party.phase = Party::Phase::Gone;
    } else {
      party.phase = Party::Phase::Left;
      party.left_orderly = false;
      party.left_at = 0;
      party.held = join.a_to_b.caller || join.b_to_a.caller;
    }
  }
}

void LaneWorld::take_read(Party& party, const EventRecord& record, const uint8_t*& payload) {
  const bool asked = party.reading;
  if (!asked && !party.stale_read) kernel.violation("a read is answered that nobody asked for");
  party.reading = false;
  const Connection& connection = *party.connection;
  const LaneDirection* const direction = direction_from(party);
  // Behind the end of a direction bytes are thrown away.
  const bool over = !asked || (direction && direction->finished);
  const LaneVisit* const visit = party.phase == Party::Phase::Raw ? nullptr : party.now();
  switch (static_cast<ReadStatus>(record.code)) {
    case ReadStatus::Data: {
      const uint64_t length = record.values[0];
      if (length == 0 || length > Endpoint::kMaxRead) return kernel.violation("a read of an impossible length");
      if (party.is_lane() && !visit) {
        const std::vector<uint8_t>& wire = party.actor()->wire();
        if (party.read + length > wire.size() || std::memcmp(payload, wire.data() + party.read, length) != 0) {
          kernel.violation("wrong bytes are read of what is to become a lane");
        }
      } else if (std::memcmp(payload, pattern(visit ? visit->stream : connection.stream, party.read), length) != 0) {
        kernel.violation("wrong bytes are read");
      }
      if (visit && party.read + length > visit->said_bytes) kernel.violation("more is read than was said in the visit");
      payload += length;
      party.read += length;
      return;
    }
    case ReadStatus::Ended:
      if (visit) {
        if (visit->said != LaneEnd::End || visit->end_at > connection.consumed_plain()) kernel.violation("a visit's read ends although its far end has not");
        if (!over && party.read != visit->said_bytes) kernel.violation("a visit's read ends before the last byte");
      } else if (!connection.fin_sent && !connection.touched && !connection.notified()) {
        kernel.violation("a read ends although the peer has not");
      }
      return;
    case ReadStatus::TimedOut:
      if (!party.read_deadline) kernel.violation("a read without a deadline times out");
      return;
    case ReadStatus::Reset: {
      const bool lane = visit && (visit->reset_at <= connection.consumed_plain() || party.actor()->spoiled() || party.actor()->hasty() || connection.fin_sent);
      if (!connection.touched && !connection.faulted && !connection.doubtful() && !lane) {
        kernel.violation("a read is reset that nobody reset");
      }
      return;
    }
  }
  kernel.violation("a read of no known status");
}

}  // namespace millrace::fuzz
