// Connections that do nothing.
#include <vector>

#include "pingers.h"

namespace load {

int idle(const Options& options) {
  Pingers pingers(options, Verb::kEcho);
  std::vector<Pinger> all(static_cast<size_t>(options.connections));
  pingers.open_each(all);
  for (char byte; read(STDIN_FILENO, &byte, 1) > 0;) {
  }
  return 0;
}

}  // namespace load
