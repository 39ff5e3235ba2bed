#include "lane_peer.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace millrace::test {

Bytes lane_frame(LaneFrameType type, uint8_t visit, std::span<const uint8_t> payload) {
  const LaneFrame::Header header = LaneFrame{type, visit, static_cast<uint32_t>(payload.size())}.encode();
  Bytes frame(header.begin(), header.end());
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Bytes reset_frame(uint8_t visit, LaneReset reason) {
  const uint8_t payload[] = {static_cast<uint8_t>(reason), 0, 0, 0};
  return lane_frame(LaneFrameType::Reset, visit, payload);
}

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::optional<SeenFrame> LanePeer::next() {
  const Received header = receive(fd_.get(), LaneFrame::kHeader);
  if (header.bytes.size() < LaneFrame::kHeader) return std::nullopt;
  LaneFrame::Header raw{};
  std::copy(header.bytes.begin(), header.bytes.end(), raw.begin());
  SeenFrame seen;
  REQUIRE(LaneFrame::decode(raw, seen.header));
  seen.payload = receive(fd_.get(), seen.header.length).bytes;
  REQUIRE(seen.payload.size() == seen.header.length);
  return seen;
}

Bytes LanePeer::visitor(uint8_t visit, LaneFrameType& last) {
  Bytes all;
  for (;;) {
    const std::optional<SeenFrame> seen = next();
    REQUIRE(seen);
    CHECK(seen->header.visit == visit);
    last = seen->header.type;
    if (last != LaneFrameType::Data) return all;
    all.insert(all.end(), seen->payload.begin(), seen->payload.end());
  }
}

}  // namespace millrace::test
