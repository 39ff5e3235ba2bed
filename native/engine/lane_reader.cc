#include "lane_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace millrace {

void LaneReader::begin(uint8_t visit) {
  last_end_ = end_;
  visit_ = visit;
  end_ = LaneEnd::None;
  fresh_ = true;
  active_ = true;
}

size_t LaneReader::take_held(uint8_t* out, size_t room) {
  const HeldBytes before = std::exchange(held_, {});
  return take(before.bytes(), out, room);
}

std::vector<uint8_t> LaneReader::take_open() {
  opened_ = false;
  return std::exchange(open_, {});
}

size_t LaneReader::take(std::span<const uint8_t> raw, uint8_t* out, size_t room) {
  size_t payload = 0;
  while (!raw.empty() && !faulty_) {
    if (in_data() && payload == room) {
      held_.append(raw);
      break;
    }
    size_t n = std::min(raw.size(), left_ > 0 ? left_ : LaneFrame::kHeader - have_);
    if (in_data()) n = std::min(n, room - payload);
    if (left_ == 0) {
      std::memcpy(header_.data() + have_, raw.data(), n);
      have_ += n;
      raw = raw.subspan(n);
      if (have_ < LaneFrame::kHeader) break;
      have_ = 0;
      if (!LaneFrame::decode(header_, frame_) || !judge()) {
        faulty_ = true;
        break;
      }
      left_ = frame_.length;
    } else {
      switch (frame_.type) {
        case LaneFrameType::Data:
          // The first payload of a read lies where it is wanted.
          if (out + payload != raw.data()) std::memmove(out + payload, raw.data(), n);
          payload += n;
          break;
        case LaneFrameType::Open:
          open_.insert(open_.end(), raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(n));
          break;
        default:
          for (size_t i = 0; i < n; ++i) code_ = code_ >> 8 | static_cast<uint32_t>(raw[i]) << 24;
      }
      left_ -= n;
      raw = raw.subspan(n);
    }
    if (left_ == 0 && complete()) {
      held_.append(raw);
      break;
    }
  }
  return payload;
}

// A whole frame is there; true when nothing behind it may be read yet.
bool LaneReader::complete() {
  switch (frame_.type) {
    case LaneFrameType::Data:
      return false;
    case LaneFrameType::Open:
      begin(frame_.visit);
      opened_ = true;
      return true;
    case LaneFrameType::End:
      end_ = LaneEnd::End;
      return true;
    case LaneFrameType::Reset:
      if (stale_) return false;
      // Our END left in the middle of it: it is late, and nothing to the visit that has begun since.
      if (!active_ || frame_.visit != visit_) {
        (active_ ? last_end_ : end_) = LaneEnd::Reset;
        return false;
      }
      end_ = LaneEnd::Reset;
      // One that we don't know tells nothing.
      reset_ = LaneReset::Connection;
      if (code_ <= static_cast<uint32_t>(LaneReset::GivenUp)) reset_ = static_cast<LaneReset>(code_);
      return true;
  }
  return true;
}

// docs/protocol.md, section 6: what each frame means to the end that receives it.
bool LaneReader::judge() {
  stale_ = false;
  if (frame_.type == LaneFrameType::Open) {
    return role_ == LaneRole::Accepts && !active_ && !opened_ && frame_.visit == static_cast<uint8_t>(visit_ + 1);
  }
  if (frame_.type == LaneFrameType::Reset) return fits_reset();
  const bool fits = active_ && frame_.visit == visit_ && end_ == LaneEnd::None;
  fresh_ = fresh_ && !fits;
  return fits;
}

bool LaneReader::fits_reset() {
  if (active_ && frame_.visit == visit_) {
    fresh_ = false;
    return end_ != LaneEnd::Reset;
  }
  // It crossed our END, which made the visit before over here.
  LaneEnd& before = active_ ? last_end_ : end_;
  const uint8_t number = active_ ? static_cast<uint8_t>(visit_ - 1) : visit_;
  stale_ = (!active_ || fresh_) && before == LaneEnd::End && frame_.visit == number;
  if (stale_) before = LaneEnd::Reset;
  return stale_;
}

}  // namespace millrace
