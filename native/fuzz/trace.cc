#include "trace.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace millrace::fuzz {

void trace(const char* format, ...) {
  static const bool wanted = std::getenv("MILLRACE_FUZZ_TRACE") != nullptr;
  if (!wanted) return;
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

}  // namespace millrace::fuzz
