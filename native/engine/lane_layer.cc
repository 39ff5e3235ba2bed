#include "lane_layer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "socket.h"

namespace millrace {

void LaneLayer::control(LaneFrameType type, std::span<const uint8_t> payload) {
  control_.append(LaneFrame{type, visit(), static_cast<uint32_t>(payload.size())}.encode());
  control_.append(payload);
}

void LaneLayer::begin_frame(size_t length) {
  frame_left_ = std::min(length, LaneFrame::kMaxData);
  control_.append(LaneFrame{LaneFrameType::Data, visit(), static_cast<uint32_t>(frame_left_)}.encode());
}

Io LaneLayer::fault(Socket& socket) {
  socket.fail(EPROTO);
  return Io::Failed;
}

void LaneLayer::open(std::span<const uint8_t> payload) {
  reader_.begin(static_cast<uint8_t>(visit() + 1));
  ended_out_ = reset_out_ = holds_back_ = false;
  control(LaneFrameType::Open, payload);
}

Io LaneLayer::await(Socket& socket, std::span<uint8_t> buffer, std::vector<uint8_t>& payload) {
  for (;;) {
    if (reader_.opened()) {
      payload = reader_.take_open();
      ended_out_ = reset_out_ = false;
      return Io::Progress;
    }
    if (reader_.faulty()) return fault(socket);
    if (reader_.holds()) {
      reader_.take_held(buffer.data(), buffer.size());
      continue;
    }
    if (!socket.readable_carried()) return Io::Blocked;
    size_t n = 0;
    if (const Io io = socket.receive_carried(buffer.data(), buffer.size(), n); io != Io::Progress) return io;
    reader_.take(buffer.first(n), buffer.data(), buffer.size());
  }
}

Io LaneLayer::receive(Socket& socket, uint8_t* buffer, size_t length, size_t& moved) {
  for (;;) {
    if (reader_.faulty()) return fault(socket);
    if (!active()) return Io::Blocked;
    if (ended_in()) return was_reset() ? Io::Failed : Io::Ended;
    if (reader_.holds()) {
      moved = reader_.take_held(buffer, length);
    } else {
      if (!socket.readable_carried()) return Io::Blocked;
      // The header lands in front of the buffer, so that the payload need not be moved.
      const size_t lead = reader_.header_left();
      size_t n = 0;
      const Io io = socket.receive_carried(buffer - lead, length + lead, n);
      // A lane doesn't end in the middle of a visit.
      if (io == Io::Ended) {
        socket.fail(ECONNRESET);
        return Io::Failed;
      }
      if (io != Io::Progress) return io;
      moved = reader_.take({buffer - lead, n}, buffer, length);
    }
    if (moved > 0) return Io::Progress;
  }
}

Io LaneLayer::send_framed(Socket& socket, uint8_t* bytes, size_t length, size_t& moved, bool last) {
  if (!can_send()) return Io::Failed;
  if (!can_merge()) return send(socket, bytes, length, moved);
  const size_t size = std::min(length, LaneFrame::kMaxData);
  const size_t before = control_.size();
  const size_t lead = before + LaneFrame::kHeader;
  uint8_t* const start = bytes - lead;
  if (before > 0) std::memcpy(start, control_.data(), before);
  const LaneFrame::Header header = LaneFrame{LaneFrameType::Data, visit(), static_cast<uint32_t>(size)}.encode();
  std::memcpy(bytes - header.size(), header.data(), header.size());
  const LaneFrame::Header end = LaneFrame{LaneFrameType::End, visit(), 0}.encode();
  const size_t behind = last && size == length ? end.size() : 0;
  std::memcpy(bytes + size, end.data(), behind);
  size_t n = 0;
  const Io io = socket.send_carried(start, lead + size + behind, n, {.uncounted = lead, .behind = behind});
  if (io != Io::Progress) return io;
  frame_left_ = size;
  if (n < lead) {
    control_.set({start + n, start + lead});
    return Io::Blocked;
  }
  control_.clear();
  moved = std::min(n - lead, size);
  frame_left_ -= moved;
  if (behind > 0 && frame_left_ == 0) {
    ended_out_ = true;
    control_.append(std::span(end).subspan(n - lead - size));
  }
  return moved > 0 ? Io::Progress : Io::Blocked;
}

Io LaneLayer::send(Socket& socket, const uint8_t* bytes, size_t length, size_t& moved) {
  if (!can_send()) return Io::Failed;
  if (frame_left_ == 0) begin_frame(length);
  size_t waited = 0;
  if (const Io io = flush(socket, true, waited); io != Io::Progress) return io;
  const Io io = socket.send_carried(bytes, std::min(length, frame_left_), moved, {});
  frame_left_ -= moved;
  return io;
}

Io LaneLayer::prepare_splice(Socket& socket, uint64_t& limit) {
  while (!reader_.in_data() || reader_.holds()) {
    const bool other_frame = reader_.left() > 0 && !reader_.in_data();
    if (reader_.faulty() || reader_.holds() || other_frame || ended_in() || !active()) return Io::Unsupported;
    // Just the header: what follows it is to be spliced.
    uint8_t header[LaneFrame::kHeader];
    size_t n = 0;
    if (!socket.readable_carried()) return Io::Blocked;
    const Io io = socket.receive_carried(header, reader_.header_left(), n);
    if (io != Io::Progress) return io == Io::Blocked ? io : Io::Unsupported;
    reader_.take({header, n}, header, 0);
  }
  limit = reader_.left();
  return Io::Progress;
}

Io LaneLayer::begin_splice(Socket& socket, size_t length) {
  if (!can_send()) return Io::Failed;
  if (frame_left_ == 0) begin_frame(length);
  size_t waited = 0;
  return flush(socket, true, waited);
}

Io LaneLayer::end(Socket& socket, bool last) {
  if (was_reset()) return Io::Failed;
  if (!ended_out_) control(LaneFrameType::End);
  ended_out_ = true;
  // With it the visit is over, and nobody waits for it but the service's connection, which is of no use any more.
  holds_back_ = last && role_ == LaneRole::Opens && ended_in() && control_.size() == LaneFrame::kHeader;
  if (holds_back_) return Io::Progress;
  size_t waited = 0;
  return flush(socket, false, waited);
}

void LaneLayer::look(Socket& socket, std::span<uint8_t> buffer) {
  while (active() && !ended_in() && !reader_.faulty() && !reader_.in_data()) {
    if (reader_.holds()) {
      reader_.take_held(buffer.data(), 0);
      continue;
    }
    if (!socket.readable_carried()) return;
    // What is not payload is a header, or what RESET carries.
    size_t n = 0;
    const Io io = socket.receive_carried(buffer.data(), std::max(reader_.header_left(), reader_.left()), n);
    if (io == Io::Blocked) return;
    if (io != Io::Progress) return socket.fail(ECONNRESET);
    reader_.take(buffer.first(n), buffer.data(), 0);
  }
  if (reader_.faulty()) fault(socket);
}

void LaneLayer::watch(Socket& socket, std::span<uint8_t> buffer) {
  while (active() && reader_.end() == LaneEnd::End && !reader_.faulty()) {
    // What comes now is for the next visit, however long this one's bytes take to their sink.
    if (over() && !socket.unsent_ciphertext()) return;
    if (reader_.holds()) {
      reader_.take_held(buffer.data(), buffer.size());
      continue;
    }
    if (!socket.readable_carried()) return;
    size_t n = 0;
    const Io io = socket.receive_carried(buffer.data(), buffer.size(), n);
    if (io == Io::Blocked) return;
    if (io != Io::Progress) return socket.fail(ECONNRESET);
    reader_.take(buffer.first(n), buffer.data(), buffer.size());
  }
  if (reader_.faulty()) fault(socket);
}

Io LaneLayer::flush(Socket& socket, bool more, size_t& moved) {
  holds_back_ = false;
  while (!control_.empty()) {
    size_t n = 0;
    const size_t size = control_.size();
    const Io io = socket.send_carried(control_.data(), size, n, {.uncounted = size, .more = more});
    if (io != Io::Progress) return io;
    control_.consume(n);
    moved += n;
  }
  return more ? Io::Progress : socket.flush_carried(moved);
}

void LaneLayer::complete(std::span<const uint8_t> rest) {
  lost_ = lost_ || rest.size() < frame_left_;
  if (lost_) return;
  control_.append(rest.first(frame_left_));
  frame_left_ = 0;
}

void LaneLayer::add(std::span<const uint8_t> bytes) {
  while (!bytes.empty() && can_send()) {
    const size_t length = std::min(bytes.size(), LaneFrame::kMaxData);
    control(LaneFrameType::Data, bytes.first(length));
    bytes = bytes.subspan(length);
  }
}

void LaneLayer::give_up(bool orderly, LaneReset reason) {
  const bool says_reset = !orderly && !reset_out_ && !(ended_out_ && ended_in());
  if (says_reset) {
    const auto code = static_cast<uint32_t>(reason);
    const uint8_t payload[] = {LaneFrame::byte(code, 0), LaneFrame::byte(code, 1), LaneFrame::byte(code, 2),
                               LaneFrame::byte(code, 3)};
    control(LaneFrameType::Reset, payload);
  } else if (!ended_out_) {
    control(LaneFrameType::End);
  }
  ended_out_ = true;
  reset_out_ = reset_out_ || !orderly;
}

}  // namespace millrace
