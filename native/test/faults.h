// The fault-injection table: the kernel's system calls, with faults that a test switches on, call by call. The table
// has no context argument, so the faults are the process's; a FaultScope clears them before and after.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "fake_clock.h"
#include "gate.h"
#include "syscalls.h"

namespace millrace::test {

// The table's calls, but that splice and fcntl are two each.
enum class Call : uint8_t {
  Socket,
  Socketpair,
  Bind,
  Listen,
  Accept4,
  Connect,
  Getsockname,
  Getpeername,
  Getsockopt,
  Setsockopt,
  Recv,
  Send,
  Fill,   // splice into a pipe
  Flush,  // splice from a pipe
  Read,
  Write,
  Pipe2,
  SetPipeSize,
  GetPipeSize,
  Fcntl,
  Outq,
  Shutdown,
  Close,
  Unlink,
  Eventfd,
  EpollCreate1,
  EpollCtl,
  EpollWait,
  kCount,
};
inline constexpr size_t kCalls = static_cast<size_t>(Call::kCount);
const char* name(Call call);

enum class Effect : uint8_t {
  Fail,      // -1 and `error`; close() closes all the same, as Linux does
  Short,     // at most `most` bytes (recv, send, splice, read, write), events (epoll_wait); SIOCOUTQ: `most` at least
  End,       // Fill: 0, although bytes are readable
  TwoSlots,  // Pipe2: a pipe of 8 KiB
};

// What happens to a call, and when.
struct Rule {
  Effect effect = Effect::Fail;
  int error = 0;
  size_t most = 1;
  uint64_t skip = 0;            // so many calls pass first …
  uint64_t times = UINT64_MAX;  // … and so many then don't …
  uint64_t every = 1;           // … of which each so-many-th is met
  // As the kernel would: behind EAGAIN or a short recv comes another edge.
  bool edge = false;
};

class Faults {
 public:
  void set(Call call, const Rule& rule);
  void add(Call call, const Rule& rule);
  void clear(Call call);
  void clear();
  // The counts as well.
  void reset();
  // The common ones. Each n-th of the calls that may: EINTR (0: none).
  void interrupt_every(uint64_t n);
  // send(), and splice from a pipe: `most` bytes.
  void send_at_most(size_t most);
  // Pipes as past the user's limit.
  void two_slot_pipes(const Rule& when = {});

  // How often the engine has made the call, and how often a rule has met it.
  uint64_t calls(Call call) const { return slot(call).calls; }
  uint64_t met(Call call) const { return slot(call).met; }

  // Breaches of the rules on which the engine rests (facts 1, 3 and 5): each must stay 0.
  std::atomic<uint64_t> fills_of_used_pipes{0};
  std::atomic<uint64_t> inexact_flushes{0};
  std::atomic<uint64_t> bad_lengths{0};
  // Calls of Outq that didn't say that all is acknowledged, which takes the kernel real time.
  std::atomic<uint64_t> unacknowledged{0};

  // The table's side.
  struct Verdict {
    bool fail = false;
    bool end = false;
    bool two_slots = false;
    bool edge = false;
    bool endless = false;
    int error = 0;
    size_t most = SIZE_MAX;
  };
  // `hurts` false: nothing that is false would be noticed, so End and EAGAIN wait for a call at which they are.
  Verdict judge(Call call, bool hurts = true);

 private:
  struct Active {
    Rule rule;
    uint64_t seen = 0;
    uint64_t met = 0;
  };
  struct Slot {
    std::mutex mutex;
    std::vector<Active> rules;
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> met{0};
  };
  Slot& slot(Call call) { return slots_[static_cast<size_t>(call)]; }
  const Slot& slot(Call call) const { return slots_[static_cast<size_t>(call)]; }

  std::array<Slot, kCalls> slots_;
};

// What is registered with the epolls of engines on the faulty table.
class Watched {
 public:
  void note(int epoll, int operation, int fd, const epoll_event* event);
  void forget(int fd);
  // Another edge for `fd`, if it is watched.
  void edge(int fd);
  // Descriptors that are watched, the workers' own left out.
  size_t count();

 private:
  struct Entry {
    int epoll;
    epoll_event event;
  };
  std::mutex mutex_;
  std::map<int, std::vector<Entry>> entries_;
};

Faults& faults();
Watched& watched();
const Syscalls& faulty_syscalls();

// Clears the faults on both ends of its life, and checks at the end that no rule was broken.
class FaultScope {
 public:
  FaultScope();
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;
};

}  // namespace millrace::test
