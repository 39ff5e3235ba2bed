// With MILLRACE_FUZZ_TRACE set, a run tells on stderr what is done and what comes of it.
#pragma once

namespace millrace::fuzz {

__attribute__((format(printf, 1, 2))) void trace(const char* format, ...);

}  // namespace millrace::fuzz
