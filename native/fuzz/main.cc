// libFuzzer's entry; MILLRACE_TARGET names the function that this binary feeds.
#include <cstdio>
#include <cstdlib>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  const std::string broken = millrace::fuzz::MILLRACE_TARGET(bytes, length);
  if (broken.empty()) return 0;
  std::fprintf(stderr, "broken: %s\n", broken.c_str());
  std::abort();
}
