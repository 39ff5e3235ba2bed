// Messages that come back, as fast as they do or at a rate.
#include <algorithm>
#include <vector>

#include "pingers.h"

namespace load {

int echo(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  if (options.wait) {
    pingers.open_each(all);
    for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
    }
  } else {
    for (Pinger& pinger : all) pingers.open(pinger, true);
  }

  const CpuMeter meter(options.pids);
  Histogram histogram;
  const uint64_t begin = now_ns();
  const uint64_t from = begin + ns_of(options.warmup);
  const double gap_ns = options.rate > 0 ? 1e9 / options.rate : 0;
  if (options.rate == 0) {
    for (Pinger& pinger : all) pingers.start(pinger);
  }
  std::vector<uint64_t> before;
  uint64_t measured_from = 0;
  uint64_t until = UINT64_MAX;
  // A tunnel may take seconds to open hundreds of connections: what that costs is for `connect` to measure. At a rate the
  // time is that of whoever runs beside.
  size_t unanswered = options.rate > 0 ? 0 : all.size();
  uint64_t sent = 0;     // of those at a rate
  size_t next = 0;       // whose turn it is
  uint64_t heard = begin;
  for (;;) {
    uint64_t now = now_ns();
    if (now >= until) break;
    if (measured_from == 0 && unanswered == 0 && now >= from) {
      histogram.clear();
      before = meter.read();
      measured_from = now_ns();
      until = measured_from + ns_of(options.seconds);
    }
    uint64_t timeout_ns = 5'000'000;
    if (options.rate > 0) {
      // A connection that still waits for its answer is passed over: its latency counts once.
      while (begin + static_cast<uint64_t>(static_cast<double>(sent) * gap_ns) <= now) {
        Pinger& pinger = all[next];
        next = (next + 1) % all.size();
        ++sent;
        if (!pinger.busy) pingers.start(pinger);
      }
      const uint64_t due = begin + static_cast<uint64_t>(static_cast<double>(sent) * gap_ns);
      timeout_ns = std::min(timeout_ns, due - now);
    }
    epoll_event events[512];
    const int count = pingers.wait(events, 512, timeout_ns);
    if (count > 0) heard = now;
    if (now - heard > kStall) {
      errno = ETIMEDOUT;
      fail("echo");
    }
    for (int index = 0; index < count; ++index) {
      Pinger& pinger = *static_cast<Pinger*>(events[index].data.ptr);
      pingers.push(pinger);
      if (!pingers.pull(pinger)) continue;
      pinger.busy = false;
      if (!pinger.answered && unanswered > 0) --unanswered;
      pinger.answered = true;
      now = now_ns();
      histogram.add(now - pinger.sent_at);
      if (options.rate == 0) pingers.start(pinger);
    }
  }
  const std::vector<uint64_t> after = meter.read();
  const uint64_t ended = now_ns();
  std::printf("{\"seconds\":%.6f,\"round_trips\":%llu,", seconds_between(measured_from, ended),
              static_cast<unsigned long long>(histogram.total()));
  print_latency(histogram);
  print_cpu(before, after);
  std::printf("}\n");
  return 0;
}

}  // namespace load
