#include "pipe_pool.h"

#include <fcntl.h>

#include <algorithm>

namespace millrace {

PipePool::~PipePool() {
  for (Pipe& pipe : idle_) discard(pipe);
}

bool PipePool::lease(Pipe& pipe) {
  if (!idle_.empty()) {
    pipe = idle_.back();
    idle_.pop_back();
    return true;
  }
  int fds[2];
  if (sys_.pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    stats_.count(Fallback::NoPipe);
    return false;
  }
  stats_.pipes.fetch_add(1, std::memory_order_relaxed);
  pipe.read_end = fds[0];
  pipe.write_end = fds[1];
  if (std::max(fds[0], fds[1]) >= fd_reserve_) {
    discard(pipe);
    stats_.count(Fallback::NoPipe);
    return false;
  }
  // EPERM past the user's limit, EBUSY never on an empty pipe: what counts is what it has afterwards.
  sys_.fcntl(fds[1], F_SETPIPE_SZ, static_cast<long>(kWanted));
  const int size = sys_.fcntl(fds[1], F_GETPIPE_SZ, 0);
  pipe.capacity = size > 0 ? static_cast<size_t>(size) : 0;
  if (pipe.capacity < kLeast) {
    discard(pipe);
    stats_.count(Fallback::SmallPipe);
    return false;
  }
  return true;
}

void PipePool::give_back(Pipe& pipe) {
  if (pipe.read_end < 0) return;
  if (idle_.size() >= kKept) return discard(pipe);
  idle_.push_back(pipe);
  pipe = {};
}

void PipePool::discard(Pipe& pipe) {
  if (pipe.read_end < 0) return;
  sys_.close(pipe.read_end);
  sys_.close(pipe.write_end);
  stats_.pipes.fetch_sub(1, std::memory_order_relaxed);
  pipe = {};
}

}  // namespace millrace
