// The engine's own tests. MILLRACE_WORKERS (default 1) says how many workers the engines under test have: the suite is
// meant to be run with 1 and with 3, as joins move endpoints between workers only in the latter.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "harness.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// The system's OpenSSL is not built for ThreadSanitizer, which doesn't see the atomics that guard what it decodes late.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:libcrypto.so\nrace:libssl.so\n"; }
#endif
#endif

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  // Has its descriptor from here on: tests count them.
  millrace::test::fresh_loopback();
  const int result = context.run();
  if (!context.shouldExit()) {
    std::printf("engine tests with %u worker%s: %s\n", millrace::test::worker_count(),
                millrace::test::worker_count() == 1 ? "" : "s", result == 0 ? "all passed" : "FAILED");
  }
  return result;
}
