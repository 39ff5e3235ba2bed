// A client is whoever uses the engine from one place: one Node environment, or one test. It has a queue of events, a
// doorbell that says that the queue is no longer empty, and nothing else; its endpoints and joins live in the workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "address.h"
#include "registry.h"
#include "syscalls.h"

namespace millrace {

enum class EventType : uint32_t {
  Accepted = 1,     // id, values[0] = listener id; local and remote
  Dialed = 2,       // id, code = errno (0 = connected); local and remote
  Read = 3,         // id, code = ReadStatus, values[0] = payload bytes
  Flushed = 4,      // id: everything written has been taken by the kernel
  PeerEnded = 5,    // id, code = errno (0 = FIN)
  JoinEnded = 6,    // id = join token, code = EndReason | errno << 8; values = aToB, bToA, spliced aToB, spliced bToA, ms,
                    // endpoints closed with it (Gone will tell of the others)
  Released = 7,     // id, values[0] = descriptor, now the client's
  ListenerClosed = 8,  // id = listener id, values[0] = refused
  Gone = 9,         // id: closed after destroy(), or code = errno when the engine gave it up on its own
  Secured = 10,     // id, code = TlsFault, values = payload bytes, alert, 1 when resumed, errno. The payload: server name,
                    // application protocol, version and cipher, a line each; or the sentence of the fault
  LaneOpened = 11,  // id, values = payload bytes, the visit's number: a visit has begun on a lane, with what its OPEN carries
  LaneFree = 12,    // id, values[1] = the visit's number: that visit is over at both ends
};

// Whether values[0] is the size of a payload that comes with it.
constexpr bool has_payload(EventType type) {
  return type == EventType::Read || type == EventType::Secured || type == EventType::LaneOpened;
}

enum class ReadStatus : uint32_t { Data = 0, Ended = 1, TimedOut = 2, Reset = 3 };

// In the order of EndReason in src/dataplane/types.ts.
enum class EndReason : uint8_t {
  Eof = 0,
  Reset = 1,
  Idle = 2,
  HalfClosedIdle = 3,
  Limit = 4,
  Stalled = 5,
  Aborted = 6,
  Truncated = 7,
  Error = 8,
  Unreachable = 9,  // side b could not be dialed; or was a lane that was lost before side a's first byte, and a stays open
};

// Fixed size, read by JavaScript through typed arrays: the layout is shared with src/dataplane/native/events.ts.
struct EventRecord {
  EventType type;
  uint32_t code;
  double id;
  uint64_t values[6];
  PackedAddress local;
  PackedAddress remote;
};
static_assert(sizeof(EventRecord) == 128);

// The live counters of one join, in memory that the client owns and reads without a call. One writer (the join's
// worker), relaxed stores; a line of its own per join.
struct alignas(64) CounterCell {
  std::atomic<uint64_t> a_to_b;
  std::atomic<uint64_t> b_to_a;
  std::atomic<uint64_t> spliced_a_to_b;
  std::atomic<uint64_t> spliced_b_to_a;
  std::atomic<uint64_t> paths;  // 1 where aToB is on splice now, 2 where bToA is
  std::atomic<uint64_t> unused[3];
};
static_assert(sizeof(CounterCell) == 64);

class Client {
 public:
  // `doorbell` is called from worker threads, once for each time the queue turns from drained to not empty. No lock that
  // drain() needs is held meanwhile: whoever it wakes may run at once, on this very core.
  explicit Client(std::function<void()> doorbell, const Syscalls& sys = kernel_syscalls())
      : sys_(sys), doorbell_(std::move(doorbell)) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Worker side.
  void push(const EventRecord& record, std::vector<uint8_t> payload = {});
  // True when the doorbell was called.
  bool ring();
  // Events that the client has not drained yet: the accept path's backpressure.
  size_t backlog() const { return backlog_.load(std::memory_order_relaxed); }

  // Client side: moves events, and their payloads one behind the other, into the given buffers. Stops at
  // the first that doesn't fit. An arena of kMaxRead bytes always takes one.
  size_t drain(EventRecord* records, size_t capacity, uint8_t* arena, size_t arena_size);

  // After this nothing is queued and the doorbell is never called again.
  void close();
  bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  const Syscalls& sys_;
  std::mutex mutex_;
  // Held while the doorbell rings, so that it never does after close().
  std::mutex bell_mutex_;
  std::function<void()> doorbell_;
  std::deque<EventRecord> records_;
  std::deque<std::vector<uint8_t>> payloads_;
  std::atomic<size_t> backlog_{0};
  std::atomic<bool> closed_{false};
  bool rung_ = false;
};

}  // namespace millrace
