// The fuzz targets. Each takes any bytes and returns what was wrong, or nothing. libFuzzer calls them through main.cc,
// the engine's tests with the kept corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace::fuzz {

std::string run_join(const uint8_t* bytes, size_t length);
std::string run_lane(const uint8_t* bytes, size_t length);
std::string run_secure(const uint8_t* bytes, size_t length);
std::string run_address(const uint8_t* bytes, size_t length);
std::string run_hello(const uint8_t* bytes, size_t length);
std::string run_tls(const uint8_t* bytes, size_t length);

struct Target {
  const char* name;
  std::string (*run)(const uint8_t* bytes, size_t length);
};
inline constexpr Target kTargets[] = {{"join", run_join},       {"lane", run_lane},   {"secure", run_secure},
                                      {"address", run_address}, {"hello", run_hello}, {"tls", run_tls}};

}  // namespace millrace::fuzz
