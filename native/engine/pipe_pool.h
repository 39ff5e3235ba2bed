// Pipes of one worker, leased per burst: a direction holds one only while bytes are in it, so idle joins own none and
// the 64 MiB of pipe pages that the kernel grants an unprivileged user (pipe(7)) go to whoever is moving bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "stats.h"
#include "syscalls.h"

namespace millrace {

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  size_t capacity = 0;  // bytes, as F_GETPIPE_SZ says
};

class PipePool {
 public:
  static constexpr size_t kWanted = 1 << 20;
  // Below this a pipe costs more than it saves: past the user's limit new pipes have two slots.
  static constexpr size_t kLeast = 64 << 10;
  static constexpr size_t kKept = 32;

  // Descriptors from `fd_reserve` on are not for pipes.
  PipePool(const Syscalls& sys, WorkerStats& stats, int fd_reserve) : sys_(sys), stats_(stats), fd_reserve_(fd_reserve) {}
  ~PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // An empty pipe, or false (counted by reason): copy instead.
  bool lease(Pipe& pipe);
  // `pipe` must be empty; a pipe with bytes in it goes to `discard`.
  void give_back(Pipe& pipe);
  void discard(Pipe& pipe);

 private:
  void close(Pipe& pipe);

  const Syscalls& sys_;
  WorkerStats& stats_;
  const int fd_reserve_;
  std::vector<Pipe> idle_;
};

}  // namespace millrace
