#include "pipe_pool.h"

#include <fcntl.h>

#include <algorithm>

namespace millrace {

PipePool::~PipePool() {
  for (Pipe& pipe : idle_) close(pipe);
}

bool PipePool::lease(Pipe& pipe) {
  if (!idle_.empty()) {
    pipe = idle_.back();
    idle_.pop_back();
    stats_.subtract(Stat::PipesPooled);
    stats_.add(Stat::PipesLeased);
    stats_.add(Stat::PipesLeases);
    return true;
  }
  int fds[2];
  if (sys_.pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    stats_.add(Stat::PipesRefused);
    stats_.count(Fallback::NoPipe);
    return false;
  }
  pipe.read_end = fds[0];
  pipe.write_end = fds[1];
  if (std::max(fds[0], fds[1]) >= fd_reserve_) {
    close(pipe);
    stats_.add(Stat::PipesRefused);
    stats_.count(Fallback::NoPipe);
    return false;
  }
  stats_.add(Stat::PipesCreated);
  // EPERM past the user's limit, EBUSY never on an empty pipe: what counts is what it has afterwards.
  sys_.fcntl(fds[1], F_SETPIPE_SZ, static_cast<long>(kWanted));
  const int size = sys_.fcntl(fds[1], F_GETPIPE_SZ, 0);
  pipe.capacity = size > 0 ? static_cast<size_t>(size) : 0;
  if (pipe.capacity < kLeast) {
    close(pipe);
    stats_.add(Stat::PipesTwoSlot);
    stats_.count(Fallback::SmallPipe);
    return false;
  }
  stats_.add(Stat::PipesLeased);
  stats_.add(Stat::PipesLeases);
  return true;
}

void PipePool::give_back(Pipe& pipe) {
  if (pipe.read_end < 0) return;
  if (idle_.size() >= kKept) return discard(pipe);
  idle_.push_back(pipe);
  stats_.subtract(Stat::PipesLeased);
  stats_.add(Stat::PipesPooled);
  pipe = {};
}

void PipePool::discard(Pipe& pipe) {
  if (pipe.read_end < 0) return;
  stats_.subtract(Stat::PipesLeased);
  close(pipe);
}

void PipePool::close(Pipe& pipe) {
  sys_.close(pipe.read_end);
  sys_.close(pipe.write_end);
  pipe = {};
}

}  // namespace millrace
