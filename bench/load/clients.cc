// The visitors of a contender. One thread, one epoll; every connection says in its first 16 bytes what it wants of the
// server (common.h).
#include "clients.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common.h"
#include "meter.h"

namespace load {
namespace {

constexpr size_t kBuffer = 256 * 1024;
// A relay that loses a byte must fail the run, not hang it.
constexpr uint64_t kStall = 20'000'000'000;

int connect_to(const Options& options, bool wait) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) fail("socket");
  no_delay(fd);
  const sockaddr_in address = address_of(options.host.c_str(), options.port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
  return fd;
}

void print_cpu(const std::vector<uint64_t>& before, const std::vector<uint64_t>& after) {
  std::printf("\"cpu_ns\":[");
  for (size_t index = 0; index < before.size(); ++index) {
    std::printf("%s%llu", index == 0 ? "" : ",", static_cast<unsigned long long>(after[index] - before[index]));
  }
  std::printf("]");
}

void print_latency(const Histogram& histogram) {
  std::printf("\"p50_us\":%.1f,\"p99_us\":%.1f,", histogram.percentile_us(0.5), histogram.percentile_us(0.99));
}

double seconds_between(uint64_t from, uint64_t to) { return static_cast<double>(to - from) / 1e9; }

uint64_t ns_of(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

// A connection that sends one message at a time, and gets it back.
struct Pinger {
  int fd = -1;
  std::vector<char> first;  // the request, with the first message behind it
  size_t to_send = 0;
  size_t to_read = 0;
  uint64_t sent_at = 0;
  bool busy = false;
  bool greeted = false;
};

class Pingers {
 public:
  Pingers(const Options& options, Verb verb)
      : size_(options.size), options_(options), message_(options.size + sizeof(Request), 'm') {
    const Request request{verb, {}, 0, options.size};
    std::memcpy(message_.data(), &request, sizeof request);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
  }

  void open(Pinger& pinger, bool wait) {
    pinger = Pinger{};
    pinger.fd = connect_to(options_, wait);
    if (wait) make_nonblocking(pinger.fd);
    watch(epoll_, pinger.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &pinger);
  }

  void start(Pinger& pinger) {
    pinger.busy = true;
    pinger.sent_at = now_ns();
    pinger.to_send = size_ + (pinger.greeted ? 0 : sizeof(Request));
    pinger.greeted = true;
    pinger.to_read = size_;
    push(pinger);
  }

  void push(Pinger& pinger) {
    while (pinger.to_send > 0) {
      const ssize_t sent = send(pinger.fd, message_.data() + message_.size() - pinger.to_send, pinger.to_send, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN || errno == ENOTCONN) return;
        fail("send");
      }
      pinger.to_send -= static_cast<size_t>(sent);
    }
  }

  // Reads what there is; true: the message is back in whole.
  bool pull(Pinger& pinger) {
    while (pinger.to_read > 0) {
      const ssize_t got = recv(pinger.fd, buffer_.data(), std::min(buffer_.size(), pinger.to_read), 0);
      if (got < 0) {
        if (errno == EAGAIN) return false;
        fail("recv");
      }
      if (got == 0) {
        errno = ECONNRESET;
        fail("an early end");
      }
      pinger.to_read -= static_cast<size_t>(got);
    }
    return pinger.busy;
  }

  int wait(epoll_event* events, int capacity, int timeout_ms) { return epoll_wait(epoll_, events, capacity, timeout_ms); }

 private:
  static void make_nonblocking(int fd);

  const size_t size_;
  const Options& options_;
  std::vector<char> message_;
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
  int epoll_;
};

}  // namespace

int bulk(const Options& options) {
  struct Flow {
    int fd;
    uint64_t left;
  };
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<char> buffer(kBuffer, 'm');
  const CpuMeter meter(options.pids);
  const std::vector<uint64_t> before = meter.read();
  const uint64_t started = now_ns();
  std::vector<Flow> flows(static_cast<size_t>(options.connections));
  const Request request{options.up ? Verb::kUp : Verb::kDown, {}, options.pace_kib, options.bytes};
  for (Flow& flow : flows) {
    flow = {connect_to(options, true), options.bytes};
    if (send(flow.fd, &request, sizeof request, MSG_NOSIGNAL) != sizeof request) fail("send");
    watch(epoll, flow.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &flow);
  }
  size_t open = flows.size();
  while (open > 0) {
    epoll_event events[64];
    const int count = epoll_wait(epoll, events, 64, static_cast<int>(kStall / 1'000'000));
    if (count == 0) {
      errno = ETIMEDOUT;
      fail("bulk");
    }
    for (int index = 0; index < count; ++index) {
      Flow& flow = *static_cast<Flow*>(events[index].data.ptr);
      while (options.up && flow.left > 0) {
        const ssize_t sent = send(flow.fd, buffer.data(), std::min<uint64_t>(flow.left, kBuffer), MSG_NOSIGNAL);
        if (sent < 0) {
          if (errno == EAGAIN) break;
          fail("send");
        }
        flow.left -= static_cast<uint64_t>(sent);
        if (flow.left == 0) shutdown(flow.fd, SHUT_WR);
      }
      for (;;) {
        // The bytes are thrown away in the kernel, tcp(7), MSG_TRUNC: the sink's copy is no part of the figures.
        const ssize_t got = recv(flow.fd, buffer.data(), 1u << 20, MSG_TRUNC);
        if (got < 0) {
          if (errno == EAGAIN) break;
          fail("recv");
        }
        if (got == 0) {
          if (flow.left > 0) {
            errno = ECONNRESET;
            fail("an early end");
          }
          close(flow.fd);
          --open;
          break;
        }
        if (!options.up) flow.left -= static_cast<uint64_t>(got);
      }
    }
  }
  const uint64_t ended = now_ns();
  std::printf("{\"seconds\":%.6f,\"bytes\":%llu,", seconds_between(started, ended),
              static_cast<unsigned long long>(options.bytes * flows.size()));
  print_cpu(before, meter.read());
  std::printf("}\n");
  return 0;
}

void Pingers::make_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int echo(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  for (Pinger& pinger : all) pingers.open(pinger, true);

  const CpuMeter meter(options.pids);
  Histogram histogram;
  const uint64_t begin = now_ns();
  const uint64_t from = begin + ns_of(options.warmup);
  const uint64_t until = from + ns_of(options.seconds);
  const double gap_ns = options.rate > 0 ? 1e9 / options.rate : 0;
  if (options.rate == 0) {
    for (Pinger& pinger : all) pingers.start(pinger);
  }
  std::vector<uint64_t> before;
  uint64_t measured_from = 0;
  uint64_t sent = 0;     // of those at a rate
  size_t next = 0;       // whose turn it is
  uint64_t heard = begin;
  for (;;) {
    uint64_t now = now_ns();
    if (now >= until) break;
    if (measured_from == 0 && now >= from) {
      histogram.clear();
      before = meter.read();
      measured_from = now_ns();
    }
    int timeout_ms = 5;
    if (options.rate > 0) {
      // A connection that still waits for its answer is passed over: its latency counts once.
      while (begin + static_cast<uint64_t>(static_cast<double>(sent) * gap_ns) <= now) {
        Pinger& pinger = all[next];
        next = (next + 1) % all.size();
        ++sent;
        if (!pinger.busy) pingers.start(pinger);
      }
      timeout_ms = 0;
    }
    epoll_event events[512];
    const int count = pingers.wait(events, 512, timeout_ms);
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

int connect_each(const Options& options) {
  Pingers pingers(options, Verb::kRequest);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  const CpuMeter meter(options.pids);
  Histogram histogram;
  const auto visit = [&](Pinger& pinger) {
    const uint64_t began = now_ns();
    pingers.open(pinger, false);
    pingers.start(pinger);
    pinger.sent_at = began;
  };
  const uint64_t from = now_ns() + ns_of(options.warmup);
  const uint64_t until = from + ns_of(options.seconds);
  for (Pinger& pinger : all) visit(pinger);
  std::vector<uint64_t> before;
  uint64_t measured_from = 0;
  uint64_t heard = from;
  for (;;) {
    const uint64_t now = now_ns();
    if (now >= until) break;
    if (measured_from == 0 && now >= from) {
      histogram.clear();
      before = meter.read();
      measured_from = now_ns();
    }
    epoll_event events[256];
    const int count = pingers.wait(events, 256, 5);
    if (count > 0) heard = now;
    if (now > heard + kStall) {
      errno = ETIMEDOUT;
      fail("connect");
    }
    for (int index = 0; index < count; ++index) {
      Pinger& pinger = *static_cast<Pinger*>(events[index].data.ptr);
      pingers.push(pinger);
      if (pinger.busy) {
        if (!pingers.pull(pinger)) continue;
        pinger.busy = false;
      }
      // The visit is over with the server's FIN, which the relay has to carry as well.
      char byte;
      const ssize_t got = recv(pinger.fd, &byte, 1, 0);
      if (got < 0 && errno == EAGAIN) continue;
      if (got != 0) fail("the end of a visit");
      close(pinger.fd);
      histogram.add(now_ns() - pinger.sent_at);
      visit(pinger);
    }
  }
  const std::vector<uint64_t> after = meter.read();
  const uint64_t ended = now_ns();
  std::printf("{\"seconds\":%.6f,\"connections\":%llu,", seconds_between(measured_from, ended),
              static_cast<unsigned long long>(histogram.total()));
  print_latency(histogram);
  print_cpu(before, after);
  std::printf("}\n");
  return 0;
}

int idle(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  for (Pinger& pinger : all) pingers.open(pinger, true);
  for (;;) {
    for (Pinger& pinger : all) pingers.start(pinger);
    size_t waiting = all.size();
    while (waiting > 0) {
      epoll_event events[256];
      const int count = pingers.wait(events, 256, static_cast<int>(kStall / 1'000'000));
      if (count == 0) {
        errno = ETIMEDOUT;
        fail("idle");
      }
      for (int index = 0; index < count; ++index) {
        Pinger& pinger = *static_cast<Pinger*>(events[index].data.ptr);
        pingers.push(pinger);
        if (!pingers.pull(pinger)) continue;
        pinger.busy = false;
        --waiting;
      }
    }
    std::printf("{\"open\":%zu}\n", all.size());
    std::fflush(stdout);
    for (char byte = 0; byte != '\n';) {
      if (read(STDIN_FILENO, &byte, 1) <= 0) return 0;
    }
  }
}

}  // namespace load
