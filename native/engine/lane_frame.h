// The frames of a lane: docs/protocol.md, section 6, which also says what each means in every state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace millrace {

enum class LaneFrameType : uint8_t { Open = 1, Data = 2, End = 3, Reset = 4 };

// Why an end gives a visit up, as RESET says it.
enum class LaneReset : uint32_t { Connection = 0, Unreachable = 1, GivenUp = 2 };

struct LaneFrame {
  static constexpr size_t kHeader = 8;
  static constexpr size_t kMaxOpen = (16 << 10) - kHeader;
  static constexpr size_t kMaxData = 1 << 20;
  static constexpr size_t kReset = 4;

  using Header = std::array<uint8_t, kHeader>;

  LaneFrameType type;
  uint8_t visit;
  uint32_t length;

  Header encode() const {
    return {byte(length, 0), byte(length, 1), byte(length, 2), byte(length, 3), static_cast<uint8_t>(type), visit, 0, 0};
  }
  // False when no end of any state sends such a header.
  static bool decode(const Header& header, LaneFrame& frame) {
    frame.length = header[0] | static_cast<uint32_t>(header[1]) << 8 | static_cast<uint32_t>(header[2]) << 16 |
                   static_cast<uint32_t>(header[3]) << 24;
    frame.type = static_cast<LaneFrameType>(header[4]);
    frame.visit = header[5];
    return header[6] == 0 && header[7] == 0 && frame.fits();
  }
  static uint8_t byte(uint32_t value, int index) { return static_cast<uint8_t>(value >> (8 * index)); }

 private:
  bool fits() const {
    switch (type) {
      case LaneFrameType::Open:
        return length >= 1 && length <= kMaxOpen;
      case LaneFrameType::Data:
        return length >= 1 && length <= kMaxData;
      case LaneFrameType::End:
        return length == 0;
      case LaneFrameType::Reset:
        return length == kReset;
    }
    return false;
  }
};

}  // namespace millrace
