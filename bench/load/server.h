#pragma once

#include "clients.h"

namespace load {

// Serves on a free port of the host until standard input ends, with TLS if asked for; prints {"port":N}. The exit status
// of the process.
int serve(const Options& options);

// The same for HTTP, in http.cc.
int serve_http(const char* host);

// Listens on a free port of `host` and prints {"port":N}; the descriptor.
int listen_on(const char* host);

}  // namespace load
