// A lane between a socket, encrypted or not, and whoever owns it: one visitor after another in frames of exact length. While
// a visit lasts, what the socket takes and gives is that visitor's bytes, and its end is that of the visit.
#pragma once

#include <span>
#include <vector>

#include "lane_reader.h"

namespace millrace {

class Socket;
enum class Io : uint8_t;

class LaneLayer {
 public:
  // Writable room in front of bytes that are sent, for a header and what waits before it, and in front of a buffer that is
  // received into, for a header.
  static constexpr size_t kRoom = 4 << 10;

  // `head`: what has already been read of the connection.
  LaneLayer(LaneRole role, std::span<const uint8_t> head) : role_(role), reader_(role) { reader_.hold(head); }

  LaneRole role() const { return role_; }
  // The number of this visit, or of the last one.
  uint8_t visit() const { return reader_.visit(); }
  // A visit has begun, and is not over.
  bool active() const { return reader_.active(); }
  // The peer has said all that it will say in this visit.
  bool ended_in() const { return reader_.end() != LaneEnd::None; }
  bool was_reset() const { return active() && reader_.end() == LaneEnd::Reset; }
  LaneReset reset_reason() const { return reader_.reset_reason(); }
  // Both directions have ended, and this end's last frame is out.
  bool over() const { return ended_out_ && ended_in() && (control_.empty() || holds_back_); }
  // The END of a visit that is over waits for the next OPEN, to leave with it; flush() sends it.
  bool holds_back() const { return holds_back_; }
  // This end has given the visit up, by RESET unless it was over but for what is not out.
  bool reset_out() const { return reset_out_; }
  bool faulty() const { return reader_.faulty(); }

  // Role Opens, without a visit: begins one. Its OPEN leaves with the first bytes that are sent.
  void open(std::span<const uint8_t> payload);
  // Without a visit: Io::Progress once the peer has begun one, with what its OPEN carries.
  Io await(Socket& socket, std::span<uint8_t> buffer, std::vector<uint8_t>& payload);
  // Forgets a visit that is over.
  void finish() { reader_.finish(); }

  // As the socket's own calls. `buffer` has kRoom in front of it, and so have the bytes of send_roomy().
  Io receive(Socket& socket, uint8_t* buffer, size_t length, size_t& moved);
  Io send(Socket& socket, const uint8_t* bytes, size_t length, size_t& moved);
  Io send_roomy(Socket& socket, uint8_t* bytes, size_t length, size_t& moved) {
    return send_framed(socket, bytes, length, moved, false);
  }
  // The last of them, with END: which has been said once all are sent. LaneFrame::kHeader bytes behind them may be written
  // over as well.
  Io send_last(Socket& socket, uint8_t* bytes, size_t length, size_t& moved) {
    return send_framed(socket, bytes, length, moved, true);
  }
  // Before a splice from here: how much it may take. Io::Unsupported: some has been read already, and must be received.
  Io prepare_splice(Socket& socket, uint64_t& limit);
  void note_spliced_in(size_t bytes) { reader_.skip(bytes); }
  // Before a splice of `length` bytes to here, which are a frame or the rest of one.
  Io begin_splice(Socket& socket, size_t length);
  void note_spliced_out(size_t bytes) { frame_left_ -= bytes; }
  // Sends END, unless it is held back; Io::Blocked until it is out. `last`: the other direction has nothing left to deliver,
  // so that nothing but the next visit can be waited for.
  Io end(Socket& socket, bool last);
  // Before the visitor's next bytes, which stay where they are: looks for the peer's END or RESET.
  void look(Socket& socket, std::span<uint8_t> buffer);
  // Looks for a RESET behind the peer's END, as long as the visit is not over.
  void watch(Socket& socket, std::span<uint8_t> buffer);

  // Sends what waits before anything else: control frames, headers. `more`: other bytes follow at once.
  Io flush(Socket& socket, bool more, size_t& moved);
  bool unsent() const { return !control_.empty(); }
  // What waits can leave together with bytes that are about to be sent.
  bool can_merge() const { return frame_left_ == 0 && control_.size() + LaneFrame::kHeader <= kRoom; }
  // A receive may return something although the socket has nothing more.
  bool readable() const { return reader_.holds() || reader_.faulty() || (active() && ended_in()); }
  // The peer's END is behind what has been received.
  bool ended_behind() const { return active() && reader_.end() == LaneEnd::End; }
  // Bytes from before the connection became a lane, or whole frames: they leave first.
  void queue(std::span<const uint8_t> bytes) { control_.append(bytes); }

  // Of the frame that has begun, the payload that is still to be sent.
  size_t owed() const { return frame_left_; }
  // Takes over what is owed: `rest` begins with it. Without all of it the lane is lost.
  void complete(std::span<const uint8_t> rest);
  // Takes over what is to leave before the visit's end.
  void add(std::span<const uint8_t> bytes);
  // Ends this end's part of the visit: by END, or by RESET.
  void give_up(bool orderly, LaneReset reason);
  // A frame that has begun can't be ended.
  bool lost() const { return lost_ || (frame_left_ > 0 && ended_out_); }

 private:
  void control(LaneFrameType type, std::span<const uint8_t> payload = {});
  void begin_frame(size_t length);
  Io send_framed(Socket& socket, uint8_t* bytes, size_t length, size_t& moved, bool last);
  bool can_send() const { return active() && !ended_out_ && !was_reset(); }
  Io fault(Socket& socket);

  const LaneRole role_;
  LaneReader reader_;
  HeldBytes control_;      // to be sent before anything else
  size_t frame_left_ = 0;  // of the DATA frame that has begun
  bool ended_out_ = true;  // END or RESET has been said
  bool reset_out_ = false;
  bool lost_ = false;
  bool holds_back_ = false;
};

}  // namespace millrace
