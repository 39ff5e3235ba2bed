#include "timer_wheel.h"

#include <ctime>

namespace millrace {

Millis now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<Millis>(now.tv_sec) * 1000 + static_cast<Millis>(now.tv_nsec) / 1'000'000;
}

}  // namespace millrace
