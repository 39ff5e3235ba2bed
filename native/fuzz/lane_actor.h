// The far end of a simulated lane. What it says lies on its wire with a note of what each piece means; what the engine says
// is taken apart as soon as the engine's kernel has taken it, and judged by the table of docs/protocol.md, section 6, in
// words of its own: nothing of the engine's reader is used here.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "lane_frame.h"
#include "lane_reader.h"
#include "pattern.h"

namespace millrace::fuzz {

// One visit, as the far end and as the oracle know it.
struct LaneVisit {
  static constexpr uint64_t kNowhere = UINT64_MAX;

  size_t index = 0;  // among the lane's
  uint8_t number = 0;
  uint32_t stream = 0;  // of what the far end sends; what the client writes is stream + 1, what is sent ahead + 2
  std::vector<uint8_t> open;
  bool planned = false;  // the engine was told to begin it, and has not said OPEN
  bool frames = false;   // the engine has said something in it

  // --- What the far end has said, and where on the wire that ends.
  LaneEnd said = LaneEnd::None;
  bool said_reset = false;  // also behind its END
  uint64_t said_bytes = 0;
  uint64_t begun_at = 0;
  uint64_t end_at = kNowhere;    // its first END or RESET
  uint64_t reset_at = kNowhere;  // its RESET
  uint64_t reset_time = 0;

  // --- What the engine has said; `seen` as far as the far end has looked.
  LaneEnd heard = LaneEnd::None;
  bool heard_reset = false;
  LaneReset heard_reason = LaneReset::Connection;
  uint64_t heard_bytes = 0;
  LaneEnd seen = LaneEnd::None;
  bool seen_open = false;
  // What the engine may send in it, in this order.
  std::deque<Span> expected;

  bool over() const { return said != LaneEnd::None && heard != LaneEnd::None; }
};

class LaneActor {
 public:
  static constexpr uint64_t kNowhere = UINT64_MAX;
  // Streams that nobody may ever be sent: what makes up frames, and what wrong ones carry.
  static constexpr uint32_t kFraming = 1'000'000;
  static constexpr uint32_t kPoison = 1'000'001;

  // `role` is the engine's. `streams` counts streams for all lanes of a run.
  LaneActor(LaneRole role, uint32_t& streams) : role(role), streams_(streams) {}

  const LaneRole role;
  // How it behaves: looks only when told to; answers no RESET; ends its direction as soon as the engine's is ended.
  bool slow = false;
  bool stubborn = false;
  bool polite = false;

  // --- What the script does. Nothing comes of it where it makes no sense.
  // The engine accepts: begins a visit. `hasty` also while the one before may not be over.
  bool open(size_t length, bool hasty = false);
  bool data(uint64_t length);
  bool end();
  bool reset(uint32_t reason, uint64_t now);
  enum class Wrong : uint8_t { Number, Type, Length, Zero, Open, Behind, NoVisit, Reset, kCount };
  // A frame that no state of the engine's takes. Nothing behind it means anything.
  bool wrong(Wrong what, uint8_t how);
  // Looks at what the engine has said.
  void see();

  // --- The wire.
  const std::vector<uint8_t>& wire() const { return wire_; }
  // What lies there, and for how long: bytes of a visit's stream, or of those above.
  Span label(uint64_t position, uint64_t most) const;
  // Bytes of the visit that lie before a position.
  uint64_t payload_before(const LaneVisit& visit, uint64_t position) const;
  // Behind the header of the first frame that doesn't fit.
  uint64_t spoiled_at() const { return spoiled_at_; }
  bool spoiled() const { return spoiled_at_ != kNowhere; }
  // It said something that may not fit.
  bool hasty() const { return hasty_; }

  // --- What the engine says. `consumed` is how much of the wire it has taken.
  void hear(std::span<const uint8_t> bytes, uint64_t consumed);
  // The same of bytes that were spliced; returns how many of them were a frame's payload.
  uint64_t hear_spliced(const Span& piece, uint64_t most);
  // The engine's frames are whole.
  bool between_frames() const { return have_ == 0 && left_ == 0; }
  // Those that it has begun: where among what it has said, and how long with their headers.
  struct Heard {
    uint64_t at;
    uint64_t length;
  };
  const std::vector<Heard>& heard() const { return heard_; }
  // Before its frames the engine says this.
  std::deque<Span> preface;
  // The client says that the next visit has this in its OPEN.
  LaneVisit& plan(std::vector<uint8_t> open);
  // The first thing that was wrong about what the engine said.
  const std::string& complaint() const { return complaint_; }

  std::deque<LaneVisit> visits;
  // The visit that the far end is in, or was in last, as far as it has looked; null before the first.
  LaneVisit* view() { return view_ == kNone ? nullptr : &visits[view_]; }
  LaneVisit* last() { return visits.empty() ? nullptr : &visits.back(); }

 private:
  static constexpr size_t kNone = SIZE_MAX;
  struct Piece {
    uint64_t end;
    uint32_t stream;
    uint64_t position;  // of its first byte
    size_t visit;
  };
  struct Seen {
    LaneFrameType type;
    size_t visit;
  };

  void put(LaneFrame frame, std::span<const uint8_t> payload, size_t visit = kNone, uint32_t stream = kFraming, uint64_t position = 0);
  void note(uint64_t length, uint32_t stream, uint64_t position, size_t visit);
  uint64_t complain(const char* what);
  void hear_header(uint64_t consumed);
  LaneVisit* judge(uint64_t consumed);
  void hear_whole();
  bool take(LaneVisit& visit, std::span<const uint8_t> bytes);
  LaneVisit* begin(std::vector<uint8_t> open);
  LaneVisit* by_number(uint8_t number);

  uint32_t& streams_;
  std::vector<uint8_t> wire_;
  std::vector<Piece> pieces_;
  std::deque<Seen> unseen_;
  size_t view_ = kNone;
  uint64_t spoiled_at_ = kNowhere;
  bool hasty_ = false;
  std::string complaint_;

  // The engine's frame that is being heard.
  LaneFrame::Header header_{};
  LaneFrame frame_{};
  size_t have_ = 0;
  size_t left_ = 0;
  std::vector<uint8_t> payload_;
  LaneVisit* of_ = nullptr;
  std::vector<Heard> heard_;
};

}  // namespace millrace::fuzz
