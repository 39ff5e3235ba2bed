// The fuzzer's bytes as a list of decisions. Once they are used up every decision is 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::fuzz {

class Script {
 public:
  Script(const uint8_t* bytes, size_t length) : next_(bytes), end_(bytes + length) {}

  bool done() const { return next_ == end_; }
  uint8_t byte() { return done() ? uint8_t{0} : *next_++; }
  // 0 to `count` - 1.
  uint32_t below(uint32_t count) { return byte() % count; }
  bool flag() { return (byte() & 1) != 0; }
  template <class T, size_t N>
  const T& pick(const T (&choices)[N]) {
    return choices[byte() % N];
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
};

}  // namespace millrace::fuzz
