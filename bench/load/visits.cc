// Connections that are opened and ended, over and over.
#include <algorithm>
#include <vector>

#include "pingers.h"

namespace load {
namespace {

// The visit is over with the server's FIN, which the relay has to carry as well.
bool over(Pingers& pingers, Pinger& pinger) {
  pingers.push(pinger);
  if (pinger.busy) {
    if (!pingers.pull(pinger)) return false;
    pinger.busy = false;
    pinger.heard_at = now_ns();
  }
  char byte;
  const ssize_t got = pinger.wire.recv(&byte, 1);
  if (got < 0 && errno == EAGAIN) return false;
  if (got != 0) fail("the end of a visit");
  return true;
}

// The visit is over with its handshake.
bool greeted(Pinger& pinger) {
  if (pinger.wire.tls->shake()) return true;
  if (errno != EAGAIN && errno != ENOTCONN) fail("a handshake");
  return false;
}

}  // namespace

int connect_each(const Options& options) {
  Pingers pingers(options, Verb::kRequest);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  const CpuMeter meter(options.pids);
  Histogram histogram;
  const bool counted = options.visits > 0;
  uint64_t left = counted ? options.visits : UINT64_MAX;
  const auto visit = [&](Pinger& pinger) {
    if (left == 0) return;
    --left;
    const uint64_t began = now_ns();
    pingers.open(pinger, false);
    if (!options.hello) pingers.start(pinger);
    pinger.sent_at = began;
  };
  const uint64_t from = now_ns() + ns_of(options.warmup);
  const uint64_t until = from + ns_of(options.seconds);
  // At a rate a visit that finds no visitor free is left out.
  std::vector<Pinger*> free;
  const uint64_t begin = now_ns();
  std::vector<uint64_t> before;
  uint64_t measured_from = 0;
  if (counted) {
    before = meter.read();
    measured_from = begin;
  }
  for (Pinger& pinger : all) {
    if (options.rate == 0) visit(pinger);
    else free.push_back(&pinger);
  }
  uint64_t due = 0;
  uint64_t resumed = 0;
  uint64_t heard = from;
  for (;;) {
    const uint64_t now = now_ns();
    if (counted ? histogram.total() == options.visits : now >= until) break;
    if (measured_from == 0 && now >= from) {
      histogram.clear();
      resumed = 0;
      before = meter.read();
      measured_from = now_ns();
    }
    uint64_t timeout_ns = 5'000'000;
    if (options.rate > 0) {
      const auto due_at = [&] { return begin + static_cast<uint64_t>(static_cast<double>(due) * 1e9 / options.rate); };
      for (; due_at() <= now; ++due) {
        if (free.empty()) continue;
        visit(*free.back());
        free.pop_back();
      }
      timeout_ns = std::min(timeout_ns, due_at() - now);
    }
    epoll_event events[256];
    const int count = pingers.wait(events, 256, timeout_ns);
    if (count > 0) heard = now;
    if (now > heard + kStall) {
      errno = ETIMEDOUT;
      fail("connect");
    }
    for (int index = 0; index < count; ++index) {
      Pinger& pinger = *static_cast<Pinger*>(events[index].data.ptr);
      if (!(options.hello ? greeted(pinger) : over(pingers, pinger))) continue;
      if (pinger.wire.tls) {
        resumed += pinger.wire.tls->resumed();
        pinger.wire.finish();
      }
      pinger.wire.close();
      histogram.add((options.first ? pinger.heard_at : now_ns()) - pinger.sent_at);
      if (options.rate == 0) visit(pinger);
      else free.push_back(&pinger);
    }
  }
  const std::vector<uint64_t> after = meter.read();
  const uint64_t ended = now_ns();
  std::printf("{\"seconds\":%.6f,\"connections\":%llu,\"resumed\":%llu,", seconds_between(measured_from, ended),
              static_cast<unsigned long long>(histogram.total()), static_cast<unsigned long long>(resumed));
  print_latency(histogram);
  print_cpu(before, after);
  std::printf("}\n");
  return 0;
}

int visit_each(const Options& options) {
  // A visit is over when both sides have ended, or with a reset: what becomes of it is the contender's business.
  struct Visitor {
    Wire wire;
    bool ended = false;
  };
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const CpuMeter meter(options.pids);
  const std::vector<uint64_t> before = meter.read();
  const uint64_t started = now_ns();
  std::vector<Visitor> all(static_cast<size_t>(options.connections));
  uint64_t begun = 0;
  uint64_t over = 0;
  const auto visit = [&](Visitor& visitor) {
    if (begun == options.visits) return;
    ++begun;
    visitor = {connect_to(options, false), false};
    watch(epoll, visitor.wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &visitor);
  };
  for (Visitor& visitor : all) visit(visitor);
  while (over < begun) {
    epoll_event events[256];
    const int count = epoll_wait(epoll, events, 256, static_cast<int>(kStall / 1'000'000));
    if (count == 0) {
      errno = ETIMEDOUT;
      fail("visit");
    }
    for (int index = 0; index < count; ++index) {
      Visitor& visitor = *static_cast<Visitor*>(events[index].data.ptr);
      if (!visitor.ended && (events[index].events & EPOLLOUT) != 0) {
        visitor.ended = true;
        visitor.wire.finish();
      }
      char byte;
      if (visitor.wire.recv(&byte, 1) < 0 && errno == EAGAIN) continue;
      visitor.wire.close();
      ++over;
      visit(visitor);
    }
  }
  const std::vector<uint64_t> after = meter.read();
  std::printf("{\"seconds\":%.6f,\"connections\":%llu,", seconds_between(started, now_ns()),
              static_cast<unsigned long long>(over));
  print_cpu(before, after);
  std::printf("}\n");
  return 0;
}

}  // namespace load
