#include "pingers.h"

#include <poll.h>

#include <algorithm>

namespace load {
namespace {

// So many are opened at a time: a burst is another scenario, and tunnels bound how many visitors may wait.
constexpr size_t kAtOnce = 64;

}  // namespace

Wire connect_to(const Options& options, bool wait) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) fail("socket");
  no_delay(fd);
  const sockaddr_in address = address_of(options.host.c_str(), options.port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) fail("connect");
  if (wait) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (!options.tls) return {fd, nullptr};
  static const std::shared_ptr<const Secure> secure = Secure::client(options);
  return {fd, std::make_unique<SecureEnd>(fd, secure->open(fd))};
}

double seconds_between(uint64_t from, uint64_t to) { return static_cast<double>(to - from) / 1e9; }

uint64_t ns_of(double seconds) { return static_cast<uint64_t>(seconds * 1e9); }

void print_latency(const Histogram& histogram) {
  std::printf("\"p50_us\":%.1f,\"p99_us\":%.1f,", histogram.percentile_us(0.5), histogram.percentile_us(0.99));
}

void print_cpu(const std::vector<uint64_t>& before, const std::vector<uint64_t>& after) {
  std::printf("\"cpu_ns\":[");
  for (size_t index = 0; index < before.size(); ++index) {
    std::printf("%s%llu", index == 0 ? "" : ",", static_cast<unsigned long long>(after[index] - before[index]));
  }
  std::printf("]");
}

Pingers::Pingers(const Options& options, Verb verb) : options_(options), message_(options.size + sizeof(Request), 'm') {
  const Request request{verb, {}, 0, options.size};
  std::memcpy(message_.data(), &request, sizeof request);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
}

void Pingers::open(Pinger& pinger, bool wait) {
  pinger = Pinger{};
  pinger.wire = connect_to(options_, wait);
  watch(epoll_, pinger.wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &pinger);
}

void Pingers::open_each(std::vector<Pinger>& all) {
  for (size_t opened = 0; opened < all.size();) {
    const size_t until = std::min(all.size(), opened + kAtOnce);
    size_t waiting = until - opened;
    for (; opened < until; ++opened) {
      open(all[opened], true);
      start(all[opened]);
    }
    while (waiting > 0) {
      epoll_event events[kAtOnce];
      const int count = wait(events, kAtOnce, kStall);
      if (count == 0) {
        errno = ETIMEDOUT;
        fail("open");
      }
      for (int index = 0; index < count; ++index) {
        Pinger& pinger = *static_cast<Pinger*>(events[index].data.ptr);
        push(pinger);
        if (!pull(pinger)) continue;
        pinger.busy = false;
        --waiting;
      }
    }
  }
  std::printf("{\"open\":%zu}\n", all.size());
  std::fflush(stdout);
}

void Pingers::start(Pinger& pinger) {
  pinger.busy = true;
  pinger.sent_at = now_ns();
  pinger.to_send = options_.size + (pinger.greeted ? 0 : sizeof(Request));
  pinger.greeted = true;
  pinger.to_read = options_.size;
  push(pinger);
}

void Pingers::push(Pinger& pinger) {
  pinger.wire.flush();
  while (pinger.to_send > 0) {
    const char* from = message_.data() + message_.size() - pinger.to_send;
    const ssize_t sent = pinger.wire.send(from, pinger.to_send);
    if (sent < 0) {
      if (errno == EAGAIN || errno == ENOTCONN) return;
      fail("send");
    }
    pinger.to_send -= static_cast<size_t>(sent);
  }
}

bool Pingers::pull(Pinger& pinger) {
  while (pinger.to_read > 0) {
    const ssize_t got = pinger.wire.recv(buffer_.data(), std::min(buffer_.size(), pinger.to_read));
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

int Pingers::wait(epoll_event* events, int capacity, uint64_t timeout_ns) {
  // epoll_wait() counts in milliseconds, which is too coarse for messages at a rate.
  if (timeout_ns > 0) {
    pollfd ready{epoll_, POLLIN, 0};
    const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000), static_cast<long>(timeout_ns % 1'000'000'000)};
    if (ppoll(&ready, 1, &timeout, nullptr) <= 0) return 0;
  }
  return epoll_wait(epoll_, events, capacity, 0);
}

}  // namespace load
