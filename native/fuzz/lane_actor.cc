#include "lane_actor.h"

#include <algorithm>
#include <cstring>

#include "trace.h"

namespace millrace::fuzz {

namespace {

constexpr uint32_t kStreams = 3000;
constexpr uint32_t kStreamsEach = 3;

}  // namespace

// --- What it says.

void LaneActor::note(uint64_t length, uint32_t stream, uint64_t position, size_t visit) {
  if (length > 0) pieces_.push_back({wire_.size(), stream, position, visit});
}

void LaneActor::put(LaneFrame frame, std::span<const uint8_t> payload, size_t visit, uint32_t stream, uint64_t position) {
  const LaneFrame::Header header = frame.encode();
  wire_.insert(wire_.end(), header.begin(), header.end());
  note(header.size(), spoiled() ? kPoison : kFraming, 0, kNone);
  wire_.insert(wire_.end(), payload.begin(), payload.end());
  note(payload.size(), spoiled() ? kPoison : stream, position, visit);
}

LaneVisit* LaneActor::begin(std::vector<uint8_t> open) {
  const auto number = static_cast<uint8_t>(visits.size() + 1);
  visits.push_back({.index = visits.size(), .number = number, .stream = kStreams + streams_, .open = std::move(open)});
  streams_ += kStreamsEach;
  return &visits.back();
}

bool LaneActor::open(size_t length, bool hasty) {
  if (role != LaneRole::Accepts || spoiled()) return false;
  const LaneVisit* const before = view();
  const bool fits = !before || (before->said != LaneEnd::None && before->seen != LaneEnd::None);
  if (!fits && (!hasty || before->said == LaneEnd::None)) return false;
  hasty_ = hasty_ || !fits;
  std::vector<uint8_t> payload(length);
  for (size_t i = 0; i < length; ++i) payload[i] = static_cast<uint8_t>(visits.size() * 7 + i);
  LaneVisit& visit = *begin(payload);
  view_ = visit.index;
  trace("  far end: OPEN %zu%s", visit.index, fits ? "" : ", hastily");
  put({LaneFrameType::Open, visit.number, static_cast<uint32_t>(length)}, payload);
  visit.begun_at = wire_.size();
  return true;
}

bool LaneActor::data(uint64_t length) {
  LaneVisit* const visit = view();
  if (!visit || visit->said != LaneEnd::None || length == 0 || length > LaneFrame::kMaxData || spoiled()) return false;
  trace("  far end: DATA %zu, %lu", visit->index, length);
  put({LaneFrameType::Data, visit->number, static_cast<uint32_t>(length)}, {pattern(visit->stream, visit->said_bytes), length},
      visit->index, visit->stream, visit->said_bytes);
  visit->said_bytes += length;
  return true;
}

bool LaneActor::end() {
  LaneVisit* const visit = view();
  if (!visit || visit->said != LaneEnd::None || spoiled()) return false;
  trace("  far end: END %zu", visit->index);
  put({LaneFrameType::End, visit->number, 0}, {});
  visit->said = LaneEnd::End;
  visit->end_at = wire_.size();
  return true;
}

bool LaneActor::reset(uint32_t reason, uint64_t now) {
  LaneVisit* const visit = view();
  if (!visit || visit->said_reset || spoiled()) return false;
  trace("  far end: RESET %zu", visit->index);
  const uint8_t payload[] = {LaneFrame::byte(reason, 0), LaneFrame::byte(reason, 1), LaneFrame::byte(reason, 2),
                             LaneFrame::byte(reason, 3)};
  put({LaneFrameType::Reset, visit->number, sizeof payload}, payload);
  if (visit->said == LaneEnd::None) {
    visit->said = LaneEnd::Reset;
    visit->end_at = wire_.size();
  }
  visit->said_reset = true;
  visit->reset_at = wire_.size();
  visit->reset_time = now;
  return true;
}

bool LaneActor::wrong(Wrong what, uint8_t how) {
  if (spoiled()) return false;
  see();
  const LaneVisit* const visit = view();
  const uint8_t number = visit ? visit->number : uint8_t{0};
  // Neither that of this visit nor, as one may begin meanwhile, of the next.
  constexpr uint8_t kAway[] = {2, 3, 128, 254};
  const uint8_t other = static_cast<uint8_t>(number + kAway[how % 4]);
  const bool speaks = visit && visit->said == LaneEnd::None;
  constexpr LaneFrameType kTypes[] = {LaneFrameType::Data, LaneFrameType::End, LaneFrameType::Reset, LaneFrameType::Open};
  const auto length_of = [](LaneFrameType type) -> uint32_t {
    return type == LaneFrameType::End ? 0u : type == LaneFrameType::Reset ? uint32_t{LaneFrame::kReset} : 100u;
  };
  LaneFrame frame{LaneFrameType::Data, number, 100};
  bool zero = true;
  switch (what) {
    case Wrong::Number:
      frame.type = kTypes[how / 4 % 4];
      frame.visit = other;
      break;
    case Wrong::Type:
      frame.type = static_cast<LaneFrameType>(how % 2 ? 0 : 5 + how / 2);
      break;
    case Wrong::Length: {
      frame.type = kTypes[how % 4];
      constexpr uint32_t kLong[] = {LaneFrame::kMaxData + 1, 1, LaneFrame::kReset + 1, LaneFrame::kMaxOpen + 1};
      const uint32_t little = frame.type == LaneFrameType::Reset ? LaneFrame::kReset - 1 : 0;
      frame.length = how & 4 && frame.type != LaneFrameType::End ? little : how & 8 ? UINT32_MAX : kLong[how % 4];
      break;
    }
    case Wrong::Zero:
      frame.type = speaks ? kTypes[how % 3] : LaneFrameType::Open;
      if (frame.type == LaneFrameType::Open) ++frame.visit;
      frame.length = length_of(frame.type);
      zero = false;
      break;
    case Wrong::Open:
      // Of the next number it fits where no visit is.
      frame.type = LaneFrameType::Open;
      frame.visit = role == LaneRole::Opens || speaks ? static_cast<uint8_t>(number + 1) : number;
      break;
    case Wrong::Behind:
      if (!visit || speaks) return false;
      frame.type = how % 3 == 2 && !visit->said_reset ? LaneFrameType::Data : kTypes[how % 3];
      break;
    case Wrong::NoVisit:
      if (visit) return false;
      frame.type = kTypes[how % 3];
      break;
    case Wrong::Reset:
      // The visit before has had its RESET, or its end cannot come any more.
      if (!visit || visit->index == 0) return false;
      if (!visits[visit->index - 1].said_reset && visit->said_bytes == 0) return false;
      frame.type = LaneFrameType::Reset;
      frame.visit = static_cast<uint8_t>(number - 1);
      break;
    case Wrong::kCount:
      return false;
  }
  if (what != Wrong::Length) frame.length = length_of(frame.type);
  trace("  far end: wrong frame, %d: type %d, visit %d, length %u", static_cast<int>(what), static_cast<int>(frame.type), frame.visit,
        frame.length);
  spoiled_at_ = wire_.size() + LaneFrame::kHeader;
  // Whoever takes it for his own gets bytes that are nobody's.
  const uint32_t length = std::min<uint32_t>(frame.length, 3000);
  put(frame, {pattern(kPoison, 0), length}, kNone, kPoison, 0);
  if (!zero) wire_[spoiled_at_ - 1 - (how >> 3) % 2] = static_cast<uint8_t>(1 << (how >> 5));
  return true;
}

// --- Its wire.

Span LaneActor::label(uint64_t position, uint64_t most) const {
  const auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), position,
                                      [](uint64_t wanted, const Piece& one) { return wanted < one.end; });
  const uint64_t start = piece == pieces_.begin() ? 0 : std::prev(piece)->end;
  return {piece->stream, piece->position + (position - start), std::min(most, piece->end - position)};
}

uint64_t LaneActor::payload_before(const LaneVisit& visit, uint64_t position) const {
  auto piece = std::lower_bound(pieces_.begin(), pieces_.end(), position,
                                [](const Piece& one, uint64_t wanted) { return one.end < wanted; });
  // The one that ends there or holds it, then those before.
  if (piece == pieces_.end() && piece != pieces_.begin()) --piece;
  for (; piece != pieces_.end(); --piece) {
    if (piece->visit == visit.index && piece->stream == visit.stream) {
      const uint64_t start = piece == pieces_.begin() ? 0 : std::prev(piece)->end;
      if (position > start) return piece->position + std::min(position, piece->end) - start;
    }
    if (piece == pieces_.begin()) break;
  }
  return 0;
}

// --- What it hears.

uint64_t LaneActor::complain(const char* what) {
  trace("  far end complains: %s", what);
  if (complaint_.empty()) complaint_ = what;
  return 0;
}

LaneVisit& LaneActor::plan(std::vector<uint8_t> open) {
  // One that nothing came of.
  if (!visits.empty() && visits.back().planned) visits.pop_back();
  LaneVisit* const visit = begin(std::move(open));
  visit->planned = true;
  return *visit;
}

// Of the latest two: others can't be meant.
LaneVisit* LaneActor::by_number(uint8_t number) {
  for (size_t back = 1; back <= 3 && back <= visits.size(); ++back) {
    LaneVisit& visit = visits[visits.size() - back];
    if (visit.number == number && !visit.planned) return &visit;
  }
  return nullptr;
}

// The header is there: which visit it is of, and whether its state lets it.
LaneVisit* LaneActor::judge(uint64_t consumed) {
  const bool lenient = hasty_ || spoiled();
  if (frame_.type == LaneFrameType::Open) {
    if (role != LaneRole::Opens) return complain("an end that accepts visits says OPEN"), nullptr;
    if (visits.empty() || !visits.back().planned) return complain("a visit begins that nobody asked for"), nullptr;
    LaneVisit& visit = visits.back();
    if (frame_.visit != visit.number) complain("a visit begins with another's number");
    if (visit.index > 0) {
      const LaneVisit& before = visits[visit.index - 1];
      if (before.heard == LaneEnd::None) complain("a visit begins and this end has not ended the one before");
      if (before.end_at > consumed) complain("a visit begins before the one before has been ended");
    }
    return &visit;
  }
  LaneVisit* const visit = by_number(frame_.visit);
  if (!visit) return complain("a frame of a visit that is not"), nullptr;
  const bool current = visit == &visits.back() || (visits.back().planned && visit->index + 2 == visits.size());
  if (frame_.type == LaneFrameType::Reset) {
    if (visit->heard_reset) complain("a second RESET");
    if (!current && !lenient && (visit->index + 2 < visits.size() || visits.back().frames)) complain("a RESET that comes too late");
    if (!current && visit->heard != LaneEnd::End && !lenient) complain("a RESET of a visit that is over");
    return visit;
  }
  if (!current && !lenient) complain("a frame of a visit that is over");
  if (visit->heard != LaneEnd::None) complain("a frame behind the end of its direction");
  return visit;
}

void LaneActor::hear_header(uint64_t consumed) {
  have_ = 0;
  of_ = nullptr;
  payload_.clear();
  frame_ = {static_cast<LaneFrameType>(header_[4]), header_[5],
            header_[0] | static_cast<uint32_t>(header_[1]) << 8 | static_cast<uint32_t>(header_[2]) << 16 |
                static_cast<uint32_t>(header_[3]) << 24};
  trace("  far end hears type %d, visit %d, length %u", header_[4], header_[5], frame_.length);
  if (header_[6] != 0 || header_[7] != 0) complain("something in a header's zeros");
  uint64_t least = 0;
  uint64_t most = 0;
  switch (frame_.type) {
    case LaneFrameType::Open:
      least = 1;
      most = LaneFrame::kMaxOpen;
      break;
    case LaneFrameType::Data:
      least = 1;
      most = LaneFrame::kMaxData;
      break;
    case LaneFrameType::End:
      break;
    case LaneFrameType::Reset:
      least = most = LaneFrame::kReset;
      break;
    default:
      complain("a frame of no known type");
  }
  if (frame_.length < least || frame_.length > most) complain("a frame of an impossible length");
  of_ = judge(consumed);
  heard_.push_back({heard_.empty() ? 0 : heard_.back().at + heard_.back().length, LaneFrame::kHeader + frame_.length});
  left_ = frame_.length;
  if (left_ == 0) hear_whole();
}

bool LaneActor::take(LaneVisit& visit, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    if (visit.expected.empty()) return complain("bytes are sent into a visit that nobody asked for"), false;
    Span& span = visit.expected.front();
    const uint64_t part = std::min<uint64_t>({span.length, bytes.size(), kPatternRun});
    if (std::memcmp(bytes.data(), pattern(span.stream, span.position), part) != 0) {
      return complain("wrong bytes are sent into a visit"), false;
    }
    span.position += part;
    span.length -= part;
    visit.heard_bytes += part;
    bytes = bytes.subspan(part);
    if (span.length == 0) visit.expected.pop_front();
  }
  return true;
}

void LaneActor::hear(std::span<const uint8_t> bytes, uint64_t consumed) {
  while (!bytes.empty() && complaint_.empty()) {
    if (!preface.empty()) {
      Span& span = preface.front();
      const uint64_t part = std::min<uint64_t>({span.length, bytes.size(), kPatternRun});
      if (std::memcmp(bytes.data(), pattern(span.stream, span.position), part) != 0) complain("wrong bytes before the frames");
      span.position += part;
      span.length -= part;
      bytes = bytes.subspan(part);
      if (span.length == 0) preface.pop_front();
      continue;
    }
    if (left_ == 0) {
      const size_t n = std::min(bytes.size(), LaneFrame::kHeader - have_);
      std::copy_n(bytes.begin(), n, header_.begin() + static_cast<std::ptrdiff_t>(have_));
      have_ += n;
      bytes = bytes.subspan(n);
      if (have_ == LaneFrame::kHeader) hear_header(consumed);
      continue;
    }
    const size_t n = std::min(bytes.size(), left_);
    if (frame_.type == LaneFrameType::Data) {
      if (!of_ || !take(*of_, bytes.first(n))) return;
    } else {
      payload_.insert(payload_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    }
    bytes = bytes.subspan(n);
    left_ -= n;
    if (left_ == 0) hear_whole();
  }
}

uint64_t LaneActor::hear_spliced(const Span& piece, uint64_t most) {
  if (!complaint_.empty()) return 0;
  if (left_ == 0 || frame_.type != LaneFrameType::Data || !of_) return complain("bytes are spliced that are of no frame");
  if (of_->expected.empty()) return complain("bytes are spliced into a visit that nobody asked for");
  Span& span = of_->expected.front();
  if (piece.stream != span.stream || piece.position != span.position) return complain("wrong bytes are spliced into a visit");
  const uint64_t part = std::min<uint64_t>({piece.length, span.length, left_, most});
  span.position += part;
  span.length -= part;
  of_->heard_bytes += part;
  if (span.length == 0) of_->expected.pop_front();
  left_ -= part;
  if (left_ == 0) hear_whole();
  return part;
}

void LaneActor::hear_whole() {
  if (!of_) return;
  LaneVisit& visit = *of_;
  visit.frames = true;
  switch (frame_.type) {
    case LaneFrameType::Open:
      if (payload_ != visit.open) complain("a visit begins with another's OPEN");
      visit.planned = false;
      visit.begun_at = wire_.size();
      break;
    case LaneFrameType::End:
      visit.heard = LaneEnd::End;
      break;
    case LaneFrameType::Reset:
      if (visit.heard == LaneEnd::None) visit.heard = LaneEnd::Reset;
      visit.heard_reset = true;
      visit.heard_reason = static_cast<LaneReset>(payload_[0]);
      if (payload_[0] > 2 || payload_[1] || payload_[2] || payload_[3]) complain("a RESET for no known reason");
      break;
    default:
      return;
  }
  unseen_.push_back({frame_.type, visit.index});
  if (!slow) see();
}

void LaneActor::see() {
  while (!unseen_.empty()) {
    const Seen seen = unseen_.front();
    unseen_.pop_front();
    LaneVisit& visit = visits[seen.visit];
    switch (seen.type) {
      case LaneFrameType::Open:
        view_ = seen.visit;
        visit.seen_open = true;
        break;
      case LaneFrameType::End:
        visit.seen = LaneEnd::End;
        if (polite && view_ == seen.visit) end();
        break;
      default:
        visit.seen = LaneEnd::Reset;
        if (!stubborn && view_ == seen.visit && visit.said == LaneEnd::None) reset(0, 0);
    }
  }
}

}  // namespace millrace::fuzz
