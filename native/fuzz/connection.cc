#include "connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel.h"

namespace millrace::fuzz {

namespace {

long fail(int error) {
  errno = error;
  return -1;
}

}  // namespace

uint32_t Connection::poll() {
  if (state == State::Fresh) return EPOLLHUP | EPOLLOUT;
  if (state == State::Connecting) return 0;
  uint32_t mask = 0;
  const bool dead = state == State::Dead;
  const bool ended = fin_arrived || dead;
  if (dead || (ended && shut) || (!tcp && peer_gone)) mask |= EPOLLHUP;
  if (ended) mask |= EPOLLIN | EPOLLRDHUP;
  if (rx_bytes >= (at_mark() ? 2u : 1u)) mask |= EPOLLIN;
  if (shut || dead || (!tcp && peer_gone) || writable()) mask |= EPOLLOUT;
  else no_space_ = true;
  if (urgent_) mask |= EPOLLPRI;
  if (error_ != 0) mask |= EPOLLERR;
  return mask;
}

bool Connection::readable_bytes() const {
  uint64_t left = rx_bytes;
  if (at_mark()) --left;
  return left > 0;
}

int Connection::take_error() {
  const int error = error_;
  error_ = 0;
  return error;
}

void Connection::consume(uint64_t length) {
  rx_bytes -= length;
  consumed += length;
  consumed_this_turn += length;
  while (length > 0) {
    Packet& first = rx_.front();
    const uint64_t part = std::min(first.length, length);
    first.length -= part;
    length -= part;
    if (first.length == 0) rx_.pop_front();
  }
  ++kernel.progress;
  carry();
}

long Connection::recv(uint8_t* buffer, size_t length) {
  if (state == State::Fresh || state == State::Connecting) return fail(state == State::Fresh ? ENOTCONN : EAGAIN);
  // At the mark the urgent byte is stepped over, as SO_OOBINLINE is off.
  if (at_mark()) {
    rx_.pop_front();
    --rx_bytes;
    urgent_ = false;
  }
  uint64_t there = 0;
  for (const Packet& packet : rx_) {
    if (packet.urgent || there >= length) break;
    there += packet.length;
  }
  const uint64_t taken = std::min<uint64_t>(there, length);
  if (taken > 0) {
    if (tls && consumed >= tls->from) std::memcpy(buffer, tls->wire().data() + (consumed - tls->from), taken);
    else if (lane) std::memcpy(buffer, lane->wire().data() + consumed, taken);
    else std::memcpy(buffer, pattern(stream, consumed), taken);
    consume(taken);
    return static_cast<long>(taken);
  }
  if (fin_arrived && tcp) return 0;  // SOCK_DONE is asked before the error
  if (error_ != 0) return fail(take_error());
  if (fin_arrived || state == State::Dead) return 0;
  return fail(EAGAIN);
}

long Connection::splice_to(PipeObject& pipe, size_t length) {
  if (state == State::Fresh || state == State::Connecting) return fail(state == State::Fresh ? ENOTCONN : EAGAIN);
  uint64_t moved = 0;
  if (plain_until != kAll) kernel.violation("a TLS connection is spliced");
  // One slot of the pipe for each piece of a packet, of 32 KiB at most.
  while (moved < length && !rx_.empty() && !rx_.front().urgent && pipe.spans.size() < pipe.slots) {
    uint64_t part = std::min({rx_.front().length, length - moved, uint64_t{32} << 10});
    const Span piece = lane ? lane->label(consumed, part) : Span{stream, consumed, part};
    if (piece.stream >= LaneActor::kFraming) kernel.violation("a lane's frames are spliced");
    pipe.spans.push_back(piece);
    part = piece.length;
    consume(part);
    moved += part;
  }
  if (moved > 0) return static_cast<long>(moved);
  if (pipe.spans.size() >= pipe.slots) return fail(EAGAIN);
  // An urgent byte stops it for ever, and looks like the end once the FIN is there.
  if (fin_arrived && tcp) return 0;
  if (error_ != 0) return fail(take_error());
  if (fin_arrived || state == State::Dead) return 0;
  return fail(EAGAIN);
}

long Connection::refuse_send() {
  const int error = take_error();
  if (!touched) reset_at = kernel.now;
  touched = true;
  return fail(error != 0 ? error : EPIPE);
}

void Connection::accept(uint64_t length) {
  took += length;
  accepted_at = kernel.now;
  tx += length;
  ++kernel.progress;
  // What a lane's far end answers.
  if (lane && !holds_frames) send_frames(16 << 10);
  carry();
}

long Connection::send(const uint8_t* bytes, size_t length) {
  if (state == State::Fresh || state == State::Connecting) return fail(state == State::Fresh ? EPIPE : EAGAIN);
  if (state == State::Dead || shut || (!tcp && peer_gone)) return refuse_send();
  const uint64_t room = sndbuf > tx ? sndbuf - tx : 0;
  uint64_t taken = std::min<uint64_t>(room, length);
  if (taken < length) no_space_ = true;
  if (taken == 0) return fail(EAGAIN);
  taken = kernel.faults.cut(taken);
  const uint64_t clear = std::min(taken, plain_until - std::min(plain_until, took));
  take(bytes, clear);
  if (clear < taken) take_ciphertext(bytes + clear, taken - clear);
  accept(taken);
  return static_cast<long>(taken);
}

void Connection::take(const uint8_t* bytes, uint64_t length) {
  if (lane) return take_frames(bytes, length);
  for (uint64_t checked = 0; checked < length;) {
    if (expected.empty()) {
      kernel.violation("bytes are sent that nobody asked for");
      break;
    }
    Span& span = expected.front();
    const uint64_t part = std::min({span.length, length - checked, kPatternRun});
    if (std::memcmp(bytes + checked, pattern(span.stream, span.position), part) != 0) {
      kernel.violation("wrong bytes are sent");
      break;
    }
    checked += part;
    span.position += part;
    span.length -= part;
    if (span.length == 0) expected.pop_front();
  }
  accepted += length;
}

void Connection::take_frames(const uint8_t* bytes, uint64_t length) {
  lane->hear({bytes, length}, consumed_plain());
  if (!lane->complaint().empty()) kernel.violation(lane->complaint());
  accepted += length;
}

void Connection::take_ciphertext(const uint8_t* bytes, uint64_t length) {
  tls->hear({bytes, length}, [this](std::span<const uint8_t> plain) { take(plain.data(), plain.size()); });
  if (tls->complaint() != nullptr) kernel.violation(tls->complaint());
  send_wire(16 << 10);
}

void Connection::send_frames(uint64_t packet, uint64_t most) {
  const uint64_t length = std::min(lane->wire().size() - frames_sent, most);
  if (length == 0 || state != State::Connected || fin_sent || peer_gone) return;
  const uint8_t* const bytes = lane->wire().data() + frames_sent;
  if (tls && !tls->write({bytes, length}, packet)) return;
  frames_sent += length;
  sent += length;
  if (tls) return send_wire(packet);
  for (uint64_t left = length; left > 0; left -= std::min(left, packet)) out_.push_back({std::min(left, packet), false});
  carry();
}

long Connection::splice_from(PipeObject& pipe, size_t length) {
  if (state == State::Fresh || state == State::Connecting) return fail(state == State::Fresh ? EPIPE : EAGAIN);
  if (pipe.spans.empty()) return fail(EAGAIN);
  if (plain_until != kAll) kernel.violation("a TLS connection is spliced to");
  if (state == State::Dead || shut || (!tcp && peer_gone)) return refuse_send();
  const uint64_t room = kernel.faults.cut(std::min<uint64_t>(sndbuf > tx ? sndbuf - tx : 0, length));
  uint64_t moved = 0;
  while (moved < room && !pipe.spans.empty()) {
    Span& piece = pipe.spans.front();
    if (lane) {
      const uint64_t part = lane->hear_spliced(piece, room - moved);
      if (part == 0) {
        kernel.violation(lane->complaint());
        break;
      }
      piece.position += part;
      piece.length -= part;
      moved += part;
      if (piece.length == 0) pipe.spans.pop_front();
      continue;
    }
    if (expected.empty()) {
      kernel.violation("bytes are spliced that nobody asked for");
      break;
    }
    Span& span = expected.front();
    if (piece.stream != span.stream || piece.position != span.position) {
      kernel.violation("wrong bytes are spliced");
      break;
    }
    const uint64_t part = std::min({piece.length, span.length, room - moved});
    piece.position += part;
    piece.length -= part;
    span.position += part;
    span.length -= part;
    moved += part;
    if (piece.length == 0) pipe.spans.pop_front();
    if (span.length == 0) expected.pop_front();
  }
  if (moved < length) no_space_ = true;
  if (moved == 0) return fail(EAGAIN);
  accepted += moved;
  accept(moved);
  return static_cast<long>(moved);
}

int Connection::shutdown_write() {
  if (state != State::Connected) return static_cast<int>(fail(ENOTCONN));
  const bool owes = secured && !tls->deaf() && !tls->heard_notify();
  if (owes && tls->spoiled_from() == TlsActor::kNowhere) kernel.violation("FIN without close_notify");
  shut = end_on_the_way_ = true;
  ++kernel.progress;
  kernel.wake(*this);
  carry();
  return 0;
}

// A reset, from either side or the network.
void Connection::die(int error) {
  if (state == State::Dead) return;
  state = State::Dead;
  error_ = died_of = error;
  touched = true;
  reset_at = kernel.now;
  out_.clear();
  tx = 0;
  kernel.wake(*this);
}

void Connection::close(bool hard) {
  closed = true;
  ++kernel.progress;
  if (state == State::Connecting) state = State::Dead;
  if (state == State::Dead || state == State::Fresh) return;
  unsent_at_close = tx;
  if ((tcp && hard) || rx_bytes > 0) {
    // What its kernel still held for the peer goes with it (unix sockets: was the peer's already).
    if (tcp) tx = 0;
    carry();
    saw_reset = true;
    state = State::Dead;
    return;
  }
  shut = end_on_the_way_ = true;
  carry();
}

void Connection::establish() {
  if (state != State::Fresh && state != State::Connecting) return;
  state = State::Connected;
  established = true;
  kernel.wake(*this);
}

void Connection::refuse(int error) {
  if (state == State::Connecting) die(error);
}

bool Connection::peer_send(uint64_t length, uint64_t packet) {
  if (state != State::Connected || fin_sent || peer_gone) return false;
  if (tls) {
    if (!tls->write({pattern(stream, sent), length}, packet)) return false;
    sent += length;
    send_wire(packet);
    return true;
  }
  sent += length;
  for (; length > 0; length -= std::min(length, packet)) out_.push_back({std::min(length, packet), false});
  carry();
  return true;
}

bool Connection::peer_urgent() {
  // A second one would make the first part of the stream.
  if (!tcp || state != State::Connected || fin_sent || peer_gone || urgent_ ||
      std::any_of(out_.begin(), out_.end(), [](const Packet& packet) { return packet.urgent; })) {
    return false;
  }
  out_.push_back({1, true});
  carry();
  return true;
}

void Connection::peer_finish() {
  if (state != State::Connected || peer_gone) return;
  fin_sent = true;
  carry();
}

void Connection::speak_tls(const TlsActor::Kind& kind) {
  tls = std::make_unique<TlsActor>(kind, consumed);
  on_wire_ = consumed;
}

void Connection::send_wire(uint64_t packet) {
  if (fin_sent || peer_gone || state != State::Connected) return tls->cut(on_wire_);
  for (; on_wire_ < tls->end(); on_wire_ += out_.back().length) {
    out_.push_back({std::min(tls->end() - on_wire_, packet), false});
  }
  carry();
}

void Connection::peer_cut(uint64_t lost) {
  if (state != State::Connected || fin_sent || peer_gone) return;
  while (lost > 0 && !out_.empty() && !out_.back().urgent) {
    const uint64_t part = std::min(lost, out_.back().length);
    out_.back().length -= part;
    on_wire_ -= part;
    lost -= part;
    if (out_.back().length == 0) out_.pop_back();
  }
  tls->cut(on_wire_);
  sent = tls->plain(on_wire_);
  peer_finish();
}

void Connection::peer_reset() {
  if (state != State::Connected || !tcp) return peer_close();
  peer_gone = reset_by_peer = true;
  // After a FIN it is EPIPE, tcp_reset().
  die(fin_arrived ? EPIPE : ECONNRESET);
}

void Connection::peer_close() {
  if (state != State::Connected || peer_gone) return;
  if (tcp && unread > 0) return peer_reset();
  fin_sent = peer_gone = true;
  if (!tcp) {
    // What its blocked writes had not handed over.
    for (const Packet& packet : out_) (tls ? on_wire_ : sent) -= packet.length;
    out_.clear();
    if (tls) tls->cut(on_wire_);
    if (tls) sent = tls->plain(on_wire_);
  }
  if (!tcp && (unread > 0 || tx > 0)) {
    // unix_release_sock(): unread bytes are ECONNRESET, once; what the peer wrote stays readable.
    error_ = ECONNRESET;
    touched = reset_by_peer = true;
    reset_at = kernel.now;
  }
  carry();
  if (!tcp) kernel.wake(*this);
}

void Connection::peer_read(uint64_t length) {
  unread -= std::min(unread, length);
  carry();
}

// From the peer to the engine.
void Connection::deliver() {
  bool news = false;
  while (!out_.empty() && rx_bytes < rcvbuf) {
    Packet& first = out_.front();
    const uint64_t part = first.urgent ? 1 : std::min(first.length, rcvbuf - rx_bytes);
    rx_.push_back({part, first.urgent});
    rx_bytes += part;
    if (first.urgent) urgent_ = true;
    else arrived += part;
    first.length -= part;
    if (first.length == 0) out_.pop_front();
    news = true;
  }
  if (out_.empty() && fin_sent && !fin_arrived) fin_arrived = news = true;
  if (news) kernel.wake(*this);
}

void Connection::wake_for_room() {
  if (!no_space_ || !writable()) return;
  no_space_ = false;
  kernel.wake(*this);
}

void Connection::resize(uint64_t send_buffer, uint64_t receive_buffer, uint64_t peer_receive_buffer) {
  sndbuf = send_buffer;
  rcvbuf = receive_buffer;
  peer_rcvbuf = peer_receive_buffer;
  // SO_SNDBUF wakes the sender whatever the network does.
  wake_for_room();
  carry();
}

void Connection::carry() {
  if ((held && tcp) || state != State::Connected) return;
  if (closed && !out_.empty()) {
    // Bytes for a socket that is closed: RST.
    saw_reset = true;
    state = State::Dead;
    return;
  }
  if (!closed) deliver();
  const uint64_t room = reading ? tx : std::min(tx, peer_rcvbuf > unread ? peer_rcvbuf - unread : 0);
  if (peer_gone && tx > 0 && tcp) {
    reset_by_peer = true;
    return die(fin_arrived ? EPIPE : ECONNRESET);
  }
  tx -= room;
  received += room;
  unread = reading ? 0 : unread + room;
  wake_for_room();
  if (end_on_the_way_ && tx == 0) {
    end_on_the_way_ = false;
    saw_fin = true;
  }
}

}  // namespace millrace::fuzz
