// What travels in the simulation: a byte is a function of its stream and its position in it, so that one that is lost,
// doubled, out of order or of another stream is seen where it is sent.
#pragma once

#include <cstdint>

namespace millrace::fuzz {

// Bytes of one stream that lie one behind the other.
struct Span {
  uint32_t stream;
  uint64_t position;
  uint64_t length;
};

// So many bytes may be read from where pattern() points.
inline constexpr uint64_t kPatternRun = 2 << 20;

const uint8_t* pattern(uint32_t stream, uint64_t position);

}  // namespace millrace::fuzz
