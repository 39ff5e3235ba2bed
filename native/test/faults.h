// The fault-injection table: the kernel's system calls, with faults that a test switches on. The table has no context
// argument, so the faults are the process's; a FaultScope clears them before and after.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "syscalls.h"

namespace millrace::test {

// Counts are how many more calls fail; -1 is all of them.
struct Faults {
  // Short counts. Never of recv: there a short count is a promise of the kernel's that nothing is left.
  std::atomic<size_t> most_sent{SIZE_MAX};      // send, and splice from a pipe
  std::atomic<size_t> most_spliced{SIZE_MAX};   // splice into a pipe
  std::atomic<uint32_t> interrupt_every{0};     // every n-th call that may: EINTR

  std::atomic<int> accepts_refused{0};          // EMFILE
  std::atomic<int> sockets_refused{0};          // EMFILE
  std::atomic<int> pipes_refused{0};            // EMFILE
  std::atomic<bool> pipe_size_refused{false};   // F_SETPIPE_SZ: EPERM
  std::atomic<bool> two_slot_pipes{false};      // as past the user's limit

  std::atomic<int> splice_error{0};             // errno of every splice, also of the probe
  std::atomic<int> fill_error{0};               // errno of splices into a pipe …
  std::atomic<int> fill_error_after{0};         // … after so many good ones
  std::atomic<int> flush_error{0};              // errno of splices from a pipe …
  std::atomic<int> flush_error_after{0};
  std::atomic<int> false_ends{0};               // splice into a pipe: 0, although bytes are readable
  std::atomic<int> false_empties{0};            // splice into a pipe: EAGAIN, although bytes are readable
  std::atomic<bool> unsent{false};              // SIOCOUTQ: never 0

  // What the engine did.
  std::atomic<uint64_t> waits{0};               // epoll_wait
  std::atomic<uint64_t> receives{0};
  std::atomic<uint64_t> sends{0};
  std::atomic<uint64_t> fills{0};
  std::atomic<uint64_t> flushes{0};
  std::atomic<uint64_t> calls{0};               // of those that can be interrupted
  // Breaches of the rules on which the engine rests (facts 1, 3 and 5): each must stay 0.
  std::atomic<uint64_t> fills_of_used_pipes{0};
  std::atomic<uint64_t> inexact_flushes{0};
  std::atomic<uint64_t> bad_lengths{0};
};

Faults& faults();
const Syscalls& faulty_syscalls();

// Clears the faults on both ends of its life, and checks at the end that no rule was broken.
class FaultScope {
 public:
  FaultScope();
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;
};

// Holds workers of the faulty table before their next epoll_wait, so that what happens meanwhile reaches them in one
// event each.
class Gate {
 public:
  static Gate& instance();

  void close();
  // Waits until `workers` stand at it. Whoever sleeps in epoll_wait must be woken first.
  bool await(uint32_t workers);
  // Lets each of the `workers` that stand at it make one turn, and waits until they are back.
  bool step(uint32_t workers);
  void open();
  // Worker side.
  void pass();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  uint32_t standing_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace millrace::test
