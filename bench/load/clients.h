#pragma once

#include <cstdint>
#include <string>

namespace load {

struct Options {
  std::string host = "127.0.0.1";
  int port = 0;
  int connections = 1;
  uint64_t bytes = 1u << 30;  // bulk: of each connection; 0: for so many seconds
  bool up = false;            // bulk
  uint32_t pace_kib = 0;      // bulk, down: KiB/s of each connection; 0: no limit
  uint64_t size = 64;         // echo, connect: bytes of a message
  double seconds = 1;         // how long to measure …
  double warmup = 0.2;        // … after so long
  double rate = 0;            // echo, connect: messages or visits/s in all, evenly spread; 0: as fast as they come back
  uint64_t visits = 0;        // visit: how many in all; connect: the same, from the start, instead of for so many seconds
  bool tls = false;           // visitors and service speak TLS
  bool resume = false;        // visitors use their TLS sessions again
  bool hello = false;         // connect: a visit is a TLS handshake and nothing else
  bool first = false;         // connect: its time is that to the first byte that comes back, not to the end of the visit
  bool wait = false;          // echo: every connection is used once, {"open":N} printed, and the end of standard input awaited
  std::string certificate;    // PEM files: serve with TLS, cipher
  std::string key;
  std::string device;         // offloads
  std::string pids;           // whose CPU to measure
};

// Each prints one line of JSON and returns the exit status of the process.
int bulk(const Options& options);
int echo(const Options& options);
int connect_each(const Options& options);
// Connects, sends FIN, awaits the other side's FIN or RST, closes; `visits` times.
int visit_each(const Options& options);
// What OpenSSL by itself takes to send and receive `bytes` with TLS: two processes, a core each where there are two.
int cipher(const Options& options);
// Opens the connections, a few at a time, and has a message come back on each; prints {"open":N}; ends with standard input.
int idle(const Options& options);

}  // namespace load
