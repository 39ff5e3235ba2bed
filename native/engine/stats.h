// What one worker counts about itself: one writer, relaxed, so that counting costs an addition. What JavaScript reads
// are copies in its own memory, one row per worker and environment, written before the worker waits and before it hands
// an event on: a sleeping worker's row is exact, and nothing wakes it up for the sake of statistics.
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

// The order is that of src/dataplane/stats.ts; docs/dataplane.md says what each means. All of them only
// grow, but for those called "now".
enum class Stat : uint8_t {
  BytesSplice,  // what sinks have taken, by path
  BytesCopy,
  BytesTls,
  Promotions,  // copy to splice, because the direction streams
  Demotions,   // splice to copy, because it no longer does
  FallbacksUnsupported,  // as Fallback
  FallbacksNoPipe,
  FallbacksSmallPipe,
  FallbacksUrgent,
  FallbacksUnreliable,
  PipesLeased,   // now
  PipesPooled,   // now: empty, for the next lease
  PipesCreated,
  PipesLeases,
  PipesRefused,  // pipe2 failed, or only the reserve of descriptors is left
  PipesTwoSlot,  // made, and too small to be of use
  Turns,    // returns of epoll_wait
  Sleeps,   // of those: calls that were ready to wait
  Events,   // what epoll reported
  Visits,   // joins looked after
  BudgetsExhausted,  // visits of a direction that ended because others must have their turn
  RateWaits,         // and because of a bandwidth limit
  Commands,   // from clients and other workers
  Records,    // events for clients
  Doorbells,  // calls of a client's doorbell
  JoinsNow,   // now
  JoinsBegun,
  EndpointsNow,  // now
  EndpointsBorn,
  Accepted,
  AcceptsRefused,  // a limit, or the reserve of descriptors: reset at once
  AcceptPauses,    // EMFILE and the like, or a client that does not keep up
  Dials,
  DialsFailed,
  EndedEof,  // joins, in the order of EndReason
  EndedReset,
  EndedIdle,
  EndedHalfClosedIdle,
  EndedLimit,
  EndedStalled,
  EndedAborted,
  EndedTruncated,
  EndedError,
  EndedUnreachable,
  HandshakesNow,  // now: TLS handshakes under way
  HandshakesDone,
  HandshakesResumed,  // of those: with the keys of an earlier one
  HandshakesFailed,
  HandshakesRefused,  // too many were under way
  Truncated,          // TLS connections that ended without close_notify
  LanesVisits,        // begun on lanes
  LanesFaults,        // lanes closed as a frame didn't fit
  LanesStuck,         // lanes closed as their peer did not end a visit
  kCount,
};

inline constexpr size_t kStats = static_cast<size_t>(Stat::kCount);
// Words from one worker's row to the next. A cache line lies between them, wherever the memory begins.
inline constexpr size_t kStatsRow = (kStats + 7) / 8 * 8 + 8;

class alignas(64) WorkerStats {
 public:
  void add(Stat stat, uint64_t n = 1) {
    std::atomic<uint64_t>& word = words_[static_cast<size_t>(stat)];
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(Stat stat, uint64_t n = 1) { add(stat, uint64_t{0} - n); }
  void count(Fallback reason) { add(after(Stat::FallbacksUnsupported, static_cast<size_t>(reason))); }
  // `reason` is EndReason.
  void count_end(size_t reason) { add(after(Stat::EndedEof, reason)); }

  // Any thread.
  uint64_t operator[](Stat stat) const { return words_[static_cast<size_t>(stat)].load(std::memory_order_relaxed); }
  uint64_t operator[](Fallback reason) const { return (*this)[after(Stat::FallbacksUnsupported, static_cast<size_t>(reason))]; }

  void copy_to(std::atomic<uint64_t>* row) const {
    for (size_t i = 0; i < kStats; ++i) {
      row[i].store(words_[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
  }

 private:
  static constexpr Stat after(Stat first, size_t index) { return static_cast<Stat>(static_cast<size_t>(first) + index); }

  std::array<std::atomic<uint64_t>, kStats> words_{};
};

}  // namespace millrace
