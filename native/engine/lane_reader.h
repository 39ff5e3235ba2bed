// What a lane's peer says: takes its frames apart, however they are cut, and judges each by the state of the visit.
#pragma once

#include <span>
#include <vector>

#include "held_bytes.h"
#include "lane_frame.h"

namespace millrace {

// How far one direction of a visit is.
enum class LaneEnd : uint8_t { None, End, Reset };

// Which end of a lane this is: a relay opens visits, an agent accepts them.
enum class LaneRole : uint8_t { Opens, Accepts };

class LaneReader {
 public:
  explicit LaneReader(LaneRole role) : role_(role) {}

  // A visit of this end's own begins.
  void begin(uint8_t visit);
  // The visit is over in both directions: what comes next is for none, or for the next.
  void finish() { active_ = false; }

  // Takes frames out of `raw`, and puts what is for the visitor to `out`, closed up; it may be where `raw` is, or before. Stops
  // behind `room` bytes of that, the end of the visit's direction, an OPEN and a fault; what follows is kept. Returns how
  // much it put there.
  size_t take(std::span<const uint8_t> raw, uint8_t* out, size_t room);
  // The same of what earlier calls have kept, which comes before anything else.
  size_t take_held(uint8_t* out, size_t room);
  bool holds() const { return !held_.empty(); }
  // Bytes that come before all others.
  void hold(std::span<const uint8_t> bytes) { held_.append(bytes); }
  // So much of the frame's payload went another way.
  void skip(size_t bytes) { left_ -= bytes; }

  // A visit has begun, and is not over.
  bool active() const { return active_; }
  uint8_t visit() const { return visit_; }
  LaneEnd end() const { return end_; }
  // Of the frame that has begun, the payload that is to come; `payload`: for the visitor.
  size_t left() const { return left_; }
  bool in_data() const { return left_ > 0 && frame_.type == LaneFrameType::Data; }
  // Header bytes that are still to come before there can be payload.
  size_t header_left() const { return left_ > 0 ? 0 : LaneFrame::kHeader - have_; }
  // A frame came that doesn't fit.
  bool faulty() const { return faulty_; }
  LaneReset reset_reason() const { return reset_; }
  // Role Accepts: the OPEN that began the visit; empty when it has been taken already.
  std::vector<uint8_t> take_open();
  bool opened() const { return opened_; }

 private:
  bool judge();
  bool complete();
  bool fits_reset();

  const LaneRole role_;
  LaneFrame frame_{};
  LaneFrame::Header header_{};
  size_t have_ = 0;
  size_t left_ = 0;
  HeldBytes held_;
  std::vector<uint8_t> open_;
  uint32_t code_ = 0;
  LaneReset reset_ = LaneReset::Connection;
  uint8_t visit_ = 0;
  LaneEnd end_ = LaneEnd::Reset;
  // How the visit before ended: its RESET may still come behind its END.
  LaneEnd last_end_ = LaneEnd::Reset;
  bool fresh_ = false;  // no frame of this visit has come
  bool active_ = false;
  bool opened_ = false;
  bool stale_ = false;  // the frame is of the visit before
  bool faulty_ = false;
};

}  // namespace millrace
