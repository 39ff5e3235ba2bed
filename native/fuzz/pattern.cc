#include "pattern.h"

#include <vector>

namespace millrace::fuzz {

namespace {

// Prime, and far from every size that the engine or the kernel likes.
constexpr uint64_t kPeriod = 262'147;
constexpr uint64_t kApart = 49'999;

}  // namespace

const uint8_t* pattern(uint32_t stream, uint64_t position) {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> bytes(kPeriod + kPatternRun);
    uint32_t state = 0x9e3779b9;
    for (uint64_t i = 0; i < bytes.size(); ++i) {
      if (i >= kPeriod) {
        bytes[i] = bytes[i - kPeriod];
        continue;
      }
      state = state * 1664525 + 1013904223;
      bytes[i] = static_cast<uint8_t>(state >> 24);
    }
    return bytes;
  }();
  return table.data() + (position + stream * kApart) % kPeriod;
}

}  // namespace millrace::fuzz
