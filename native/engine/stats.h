// What one worker counts about itself. One writer, relaxed; a cache line of its own per worker.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace millrace {

// Why a direction copied although it streamed.
enum class Fallback : uint8_t {
  Unsupported,  // EINVAL, ENOSYS, EPERM and the like from splice
  NoPipe,       // pipe2 failed, or only the reserve of descriptors is left
  SmallPipe,    // the user's pipe pages are used up
  Urgent,       // MSG_OOB was seen: splice misreports EOF behind an urgent mark
  Unreliable,   // splice said EAGAIN or 0 while bytes were readable
  kCount,
};

struct alignas(64) WorkerStats {
  std::atomic<int64_t> joins{0};
  std::atomic<int64_t> pipes{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Fallback::kCount)> fallbacks{};

  void count(Fallback reason) {
    fallbacks[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace millrace
