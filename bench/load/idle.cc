// Connections that do nothing.
#include <algorithm>
#include <vector>

#include "pingers.h"

namespace load {
namespace {

// So many at a time: a burst is another scenario, and tunnels bound how many visitors may wait.
constexpr size_t kAtOnce = 64;

}  // namespace

int idle(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  for (size_t opened = 0; opened < all.size();) {
    const size_t until = std::min(all.size(), opened + kAtOnce);
    size_t waiting = until - opened;
    for (; opened < until; ++opened) {
      pingers.open(all[opened], true);
      pingers.start(all[opened]);
    }
    while (waiting > 0) {
      epoll_event events[kAtOnce];
      const int count = pingers.wait(events, kAtOnce, kStall);
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
  }
  std::printf("{\"open\":%zu}\n", all.size());
  std::fflush(stdout);
  for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
  return 0;
}

}  // namespace load
