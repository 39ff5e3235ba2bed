// Flows as fast as they go, or paced.
#include <algorithm>
#include <vector>

#include "pingers.h"

namespace load {
namespace {

struct Flow {
  Wire wire;
  uint64_t left = 0;
  bool asked = false;
};

// False while a TLS handshake is under way.
bool ask(Flow& flow, const Request& request) {
  if (flow.asked) return true;
  const ssize_t sent = flow.wire.send(reinterpret_cast<const char*>(&request), sizeof request);
  if (sent < 0 && errno == EAGAIN) return false;
  if (sent != sizeof request) fail("send");
  flow.asked = true;
  return true;
}

void send_some(Flow& flow, const std::vector<char>& buffer) {
  while (flow.left > 0) {
    const ssize_t sent = flow.wire.send(buffer.data(), std::min<uint64_t>(flow.left, kBuffer));
    if (sent < 0) {
      if (errno == EAGAIN) return;
      fail("send");
    }
    flow.left -= static_cast<uint64_t>(sent);
    if (flow.left == 0) flow.wire.finish();
  }
}

// Reads what there is; true: the flow has ended.
bool receive(Flow& flow, bool up, std::vector<char>& buffer) {
  for (;;) {
    const ssize_t got = flow.wire.discard(buffer.data(), kBuffer);
    if (got < 0) {
      if (errno == EAGAIN) return false;
      fail("recv");
    }
    if (got == 0) {
      if (flow.left > 0) {
        errno = ECONNRESET;
        fail("an early end");
      }
      return true;
    }
    if (!up) flow.left -= static_cast<uint64_t>(got);
  }
}

void print(uint64_t started, uint64_t bytes, const std::vector<uint64_t>& before, const std::vector<uint64_t>& after) {
  std::printf("{\"seconds\":%.6f,\"bytes\":%llu,", seconds_between(started, now_ns()), static_cast<unsigned long long>(bytes));
  print_cpu(before, after);
  std::printf("}\n");
}

}  // namespace

int bulk(const Options& options) {
  // Without a number of bytes the flows are cut off after the time to measure.
  const bool timed = options.bytes == 0;
  const uint64_t length = timed ? uint64_t{1} << 60 : options.bytes;
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<char> buffer(kBuffer, 'm');
  const CpuMeter meter(options.pids);
  std::vector<uint64_t> before = meter.read();
  uint64_t started = now_ns();
  const uint64_t from = started + ns_of(options.warmup);
  const uint64_t until = from + ns_of(options.seconds);
  std::vector<Flow> flows(static_cast<size_t>(options.connections));
  const Request request{options.up ? Verb::kUp : Verb::kDown, {}, options.pace_kib, length};
  for (Flow& flow : flows) {
    flow = {connect_to(options, true), length};
    ask(flow, request);
    watch(epoll, flow.wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &flow);
  }
  const auto moved = [&] {
    uint64_t sum = 0;
    for (const Flow& flow : flows) sum += length - flow.left;
    return sum;
  };
  uint64_t moved_before = 0;
  bool warm = !timed;
  size_t open = flows.size();
  while (open > 0) {
    if (timed) {
      const uint64_t now = now_ns();
      if (!warm && now >= from) {
        warm = true;
        before = meter.read();
        moved_before = moved();
        started = now_ns();
      }
      if (now >= until) break;
    }
    epoll_event events[64];
    const int count = epoll_wait(epoll, events, 64, timed ? 5 : static_cast<int>(kStall / 1'000'000));
    if (count == 0 && !timed) {
      errno = ETIMEDOUT;
      fail("bulk");
    }
    for (int index = 0; index < count; ++index) {
      Flow& flow = *static_cast<Flow*>(events[index].data.ptr);
      flow.wire.flush();
      if (!ask(flow, request)) continue;
      if (options.up) send_some(flow, buffer);
      if (!receive(flow, options.up, buffer)) continue;
      flow.wire.close();
      --open;
    }
  }
  print(started, moved() - moved_before, before, meter.read());
  return 0;
}

}  // namespace load
