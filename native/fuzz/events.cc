// What the engine tells its client, checked against what the client knows.
#include <algorithm>
#include <cstring>

#include "oracle.h"
#include "trace.h"
#include "world.h"

namespace millrace::fuzz {

Side* World::find(double id) {
  const auto found = std::find_if(sides.begin(), sides.end(), [id](const Side& side) { return static_cast<double>(side.id) == id; });
  return found == sides.end() ? nullptr : &*found;
}

void World::take(const EventRecord& record, const uint8_t*& payload) {
  trace("  event %u of %.0f: code %u, %lu %lu", static_cast<unsigned>(record.type), record.id, record.code, record.values[0], record.values[1]);
  if (record.type == EventType::JoinEnded) {
    if (record.id >= static_cast<double>(joins.size())) return kernel.violation("a join ends that never was");
    JoinModel& join = joins[static_cast<size_t>(record.id)];
    Oracle(*this).join_ended(join, record);
    // Of the endpoints nothing more needs to be said, though of one that lingers it may.
    sides[join.a].gone = sides[join.b].gone = true;
    return;
  }
  if (record.type == EventType::ListenerClosed) {
    const auto closed = std::find(listening.begin(), listening.end(), static_cast<ListenerId>(record.id));
    if (closed == listening.end()) return kernel.violation("a listener closes that never was, or twice");
    *closed = 0;
    return;
  }
  Side* side = find(record.id);
  if (record.type == EventType::Accepted) {
    if (side) return kernel.violation("an endpoint is accepted twice");
    sides.push_back({.connection = kernel.connections.at(record.remote.port), .id = static_cast<EndpointId>(record.id)});
    return;
  }
  if (!side) return kernel.violation("an event of an endpoint that never was");
  if (record.type == EventType::Gone) {
    if (side->told_gone) kernel.violation("an endpoint goes twice");
    side->told_gone = side->gone = true;
    side->securing = false;
    if (side->connection && !side->connection->closed) kernel.violation("an endpoint is gone and its socket is not");
    return;
  }
  if (side->told_gone) return kernel.violation("an event of an endpoint that is gone");
  switch (record.type) {
    case EventType::Dialed:
      if (!side->dialing) kernel.violation("a dial is answered twice");
      side->dialing = false;
      if (record.code != 0) side->gone = side->told_gone = true;
      else if (record.remote.family == 0) destroy(*side, true);  // unix: which connection it is can't be told
      else side->connection = kernel.connections.at(record.remote.port);
      return;
    case EventType::Secured:
      return take_secured(*side, record, payload);
    case EventType::Read:
      return take_read(*side, record, payload);
    case EventType::Flushed:
      if (!side->flushing) kernel.violation("a flush is answered that nobody asked for");
      if (record.code == 0 && side->connection->accepted < side->flush_of && side->join < 0) {
        kernel.violation("a flush is answered too early");
      }
      side->flushing = false;
      return;
    case EventType::PeerEnded:
      if (!side->connection) return;
      if (record.code == 0 && !side->connection->fin_sent && !side->connection->touched) kernel.violation("an end is reported that no peer made");
      if (record.code != 0 && !side->connection->touched && !side->connection->faulted && !side->connection->peer_gone &&
          !side->connection->doubtful()) {
        kernel.violation("an error is reported that nobody made");
      }
      return;
    case EventType::Released: {
      const int fd = static_cast<int>(record.values[0]);
      if (!side->release_asked) kernel.violation("a descriptor is released that nobody asked for");
      if (kernel.connection(fd) != side->connection.get()) kernel.violation("another descriptor is released");
      if (kernel.watched(fd)) kernel.violation("a released descriptor is still watched");
      side->gone = side->told_gone = true;
      Kernel::table().close(fd);
      return;
    }
    default:
      return kernel.violation("an event of no known kind");
  }
}

void World::take_secured(Side& side, const EventRecord& record, const uint8_t*& payload) {
  if (!side.securing) kernel.violation("a handshake is answered that nobody asked for, or twice");
  side.securing = false;
  payload += record.values[0];
  if (record.code == 0) {
    side.secured = side.connection->secured = true;
    return;
  }
  // What becomes of it still is told by Gone.
  const Connection& connection = *side.connection;
  const bool disturbed = connection.touched || connection.faulted || connection.fin_sent || connection.peer_gone ||
                         connection.doubtful() || connection.tls->mute();
  if (!disturbed && kernel.now < side.secure_deadline) kernel.violation("a handshake fails that nobody has disturbed");
  if (record.values[0] == 0) kernel.violation("a handshake fails without a reason");
  side.refused = true;
}

void World::take_read(Side& side, const EventRecord& record, const uint8_t*& payload) {
  if (!side.reading) kernel.violation("a read is answered that nobody asked for");
  side.reading = false;
  if (!side.connection) return;
  const Connection& connection = *side.connection;
  const DirectionModel* direction = direction_from(side);
  // Behind the end of a direction bytes are thrown away.
  const bool over = direction && (direction->finished || joins[static_cast<size_t>(side.join)].ended);
  switch (static_cast<ReadStatus>(record.code)) {
    case ReadStatus::Data: {
      const uint64_t length = record.values[0];
      if (length == 0 || length > Endpoint::kMaxRead) return kernel.violation("a read of an impossible length");
      if (side.undecided()) {
        const size_t before = side.head.size();
        side.head.insert(side.head.end(), payload, payload + length);
        if (!std::equal(side.head.begin() + static_cast<std::ptrdiff_t>(before), side.head.end(),
                        connection.tls->wire().begin() + static_cast<std::ptrdiff_t>(before))) {
          kernel.violation("wrong bytes are read before a handshake");
        }
        payload += length;
        return;
      }
      if (!over && std::memcmp(payload, pattern(connection.stream, side.read), length) != 0) kernel.violation("wrong bytes are read");
      payload += length;
      side.read += length;
      return;
    }
    case ReadStatus::Ended:
      if (!connection.fin_sent && !connection.touched && !connection.notified()) {
        kernel.violation("a read ends although the peer has not");
      }
      if (side.secured && side.cut_is_reset && !connection.notified()) kernel.violation("a cut connection ends as if it were whole");
      if (!over && !connection.touched && !side.undecided() && side.read != connection.sent) kernel.violation("a read ends before the last byte");
      return;
    case ReadStatus::TimedOut:
      if (!side.read_deadline) kernel.violation("a read without a deadline times out");
      return;
    case ReadStatus::Reset:
      if (!connection.touched && !connection.faulted && !connection.doubtful() &&
          !(side.cut_is_reset && connection.truncated())) {
        kernel.violation("a read is reset that nobody reset");
      }
      return;
  }
  kernel.violation("a read of no known status");
}

}  // namespace millrace::fuzz
