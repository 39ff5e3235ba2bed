// Connections that do nothing.
#include <vector>

#include "pingers.h"

namespace load {

int idle(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  for (Pinger& pinger : all) pingers.open(pinger, true);
  for (;;) {
    for (Pinger& pinger : all) pingers.start(pinger);
    size_t waiting = all.size();
    while (waiting > 0) {
      epoll_event events[256];
      const int count = pingers.wait(events, 256, kStall);
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
