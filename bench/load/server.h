#pragma once

namespace load {

// Serves on a free port of `host` until standard input ends; prints {"port":N}. The exit status of the process.
int serve(const char* host);

// The same for HTTP, in http.cc.
int serve_http(const char* host);

// Listens on a free port of `host` and prints {"port":N}; the descriptor.
int listen_on(const char* host);

}  // namespace load
