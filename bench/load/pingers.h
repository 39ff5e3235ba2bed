// What the visitors of a contender have in common. One thread, one epoll; every connection says in its first 16 bytes
// what it wants of the server (common.h).
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "clients.h"
#include "common.h"
#include "meter.h"
#include "wire.h"

namespace load {

constexpr size_t kBuffer = 256 * 1024;
// A relay that loses a byte must fail the run, not hang it.
constexpr uint64_t kStall = 20'000'000'000;

// A connection to the contender; `wait`: until it is established. Non-blocking either way. A TLS handshake begins with
// the first call.
Wire connect_to(const Options& options, bool wait);

double seconds_between(uint64_t from, uint64_t to);
uint64_t ns_of(double seconds);

// Members of the line of JSON.
void print_latency(const Histogram& histogram);
void print_cpu(const std::vector<uint64_t>& before, const std::vector<uint64_t>& after);

// A connection that sends one message at a time, and gets it back.
struct Pinger {
  Wire wire;
  size_t to_send = 0;
  size_t to_read = 0;
  uint64_t sent_at = 0;
  uint64_t heard_at = 0;  // when the message was back
  bool busy = false;
  bool greeted = false;
  bool answered = false;
};

class Pingers {
 public:
  Pingers(const Options& options, Verb verb);
  void open(Pinger& pinger, bool wait);
  // Opens all of them, a few at a time, and has a message come back on each; prints {"open":N}.
  void open_each(std::vector<Pinger>& all);
  // Sends the next message, the first one with the request before it.
  void start(Pinger& pinger);
  // Sends what is left of it.
  void push(Pinger& pinger);
  // Reads what there is; true: the message is back in whole.
  bool pull(Pinger& pinger);
  // Waits for so long; never, when it is 0.
  int wait(epoll_event* events, int capacity, uint64_t timeout_ns);

 private:
  const Options& options_;
  std::vector<char> message_;  // the request, with a message behind it
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
  int epoll_;
};

}  // namespace load
