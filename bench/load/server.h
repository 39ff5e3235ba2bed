#pragma once

namespace load {

// Serves on a free port of `host` until standard input ends; prints {"port":N}. The exit status of the process.
int serve(const char* host);

}  // namespace load
