#include "faults.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include <doctest/doctest.h>

#include "support.h"

namespace millrace::test {

namespace {

constexpr size_t kMostSpliced = 1 << 20;

const Syscalls& real() { return kernel_syscalls(); }

int fail(int error) {
  errno = error;
  return -1;
}

// True when one of `left` failures is due.
bool due(std::atomic<int>& left) {
  int now = left.load();
  while (now != 0) {
    if (now < 0 || left.compare_exchange_weak(now, now - 1)) return true;
  }
  return false;
}

bool interrupted() {
  const uint32_t every = faults().interrupt_every;
  return every != 0 && ++faults().calls % every == 0;
}

bool is_pipe(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

size_t held(int pipe) {
  int bytes = 0;
  ::ioctl(pipe, FIONREAD, &bytes);
  return static_cast<size_t>(bytes);
}

bool readable(int socket) {
  uint8_t byte;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

ssize_t fill(int from, int to, size_t length, unsigned flags) {
  Faults& f = faults();
  ++f.fills;
  if (held(to) != 0) ++f.fills_of_used_pipes;
  if (f.fill_error != 0 && f.fill_error_after-- <= 0) return fail(f.fill_error);
  // Only where it would hurt: an engine that believes it loses bytes.
  if (f.false_ends != 0 && readable(from) && due(f.false_ends)) return 0;
  if (f.false_empties != 0 && readable(from) && due(f.false_empties)) return fail(EAGAIN);
  return real().splice(from, to, std::min(length, f.most_spliced.load()), flags);
}

ssize_t flush(int from, int to, size_t length, unsigned flags) {
  Faults& f = faults();
  ++f.flushes;
  if (held(from) != length) ++f.inexact_flushes;
  if (f.flush_error != 0 && f.flush_error_after-- <= 0) return fail(f.flush_error);
  return real().splice(from, to, std::min(length, f.most_sent.load()), flags);
}

Syscalls make_table() {
  Syscalls table = real();
  table.socket = [](int domain, int type, int protocol) -> int {
    return due(faults().sockets_refused) ? fail(EMFILE) : real().socket(domain, type, protocol);
  };
  table.accept4 = [](int fd, sockaddr* address, socklen_t* length, int flags) -> int {
    if (interrupted()) return fail(EINTR);
    return due(faults().accepts_refused) ? fail(EMFILE) : real().accept4(fd, address, length, flags);
  };
  table.recv = [](int fd, void* buffer, size_t length, int flags) -> ssize_t {
    ++faults().receives;
    return interrupted() ? fail(EINTR) : real().recv(fd, buffer, length, flags);
  };
  table.send = [](int fd, const void* buffer, size_t length, int flags) -> ssize_t {
    ++faults().sends;
    return interrupted() ? fail(EINTR) : real().send(fd, buffer, std::min(length, faults().most_sent.load()), flags);
  };
  table.splice = [](int from, int to, size_t length, unsigned flags) -> ssize_t {
    if (interrupted()) return fail(EINTR);
    if (length == 0 || length > kMostSpliced) ++faults().bad_lengths;
    if (faults().splice_error != 0) return fail(faults().splice_error);
    return is_pipe(from) ? flush(from, to, length, flags) : fill(from, to, length, flags);
  };
  table.read = [](int fd, void* buffer, size_t length) -> ssize_t {
    return interrupted() ? fail(EINTR) : real().read(fd, buffer, length);
  };
  table.pipe2 = [](int fds[2], int flags) -> int {
    if (due(faults().pipes_refused)) return fail(EMFILE);
    const int result = real().pipe2(fds, flags);
    if (result == 0 && faults().two_slot_pipes) real().fcntl(fds[1], F_SETPIPE_SZ, 8192);
    return result;
  };
  table.fcntl = [](int fd, int command, long argument) -> int {
    const bool refuse = faults().pipe_size_refused || faults().two_slot_pipes;
    return command == F_SETPIPE_SZ && refuse ? fail(EPERM) : real().fcntl(fd, command, argument);
  };
  table.outq = [](int fd, int* bytes) -> int {
    const int result = real().outq(fd, bytes);
    if (faults().unsent) *bytes = std::max(*bytes, 1);
    return result;
  };
  table.epoll_wait = [](int epoll, epoll_event* events, int capacity, int timeout) -> int {
    ++faults().waits;
    Gate::instance().pass();
    return interrupted() ? fail(EINTR) : real().epoll_wait(epoll, events, capacity, timeout);
  };
  return table;
}

void clear() {
  Faults& f = faults();
  f.most_sent = f.most_spliced = SIZE_MAX;
  f.interrupt_every = 0;
  for (auto* count : {&f.accepts_refused, &f.sockets_refused, &f.pipes_refused, &f.splice_error, &f.fill_error,
                      &f.fill_error_after, &f.flush_error, &f.flush_error_after, &f.false_ends, &f.false_empties}) {
    *count = 0;
  }
  f.pipe_size_refused = f.two_slot_pipes = f.unsent = false;
  for (auto* count : {&f.waits, &f.receives, &f.sends, &f.fills, &f.flushes, &f.calls, &f.fills_of_used_pipes,
                      &f.inexact_flushes, &f.bad_lengths}) {
    *count = 0;
  }
}

}  // namespace

Faults& faults() {
  static Faults instance;
  return instance;
}

const Syscalls& faulty_syscalls() {
  static const Syscalls table = make_table();
  return table;
}

FaultScope::FaultScope() { clear(); }

FaultScope::~FaultScope() {
  Gate::instance().open();
  CHECK(faults().fills_of_used_pipes == 0);
  CHECK(faults().inexact_flushes == 0);
  CHECK(faults().bad_lengths == 0);
  clear();
}

Gate& Gate::instance() {
  static Gate gate;
  return gate;
}

void Gate::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

bool Gate::await(uint32_t workers) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return standing_ == workers; });
}

bool Gate::step(uint32_t workers) {
  std::unique_lock lock(mutex_);
  ++steps_;
  standing_ = 0;
  changed_.notify_all();
  return changed_.wait_for(lock, kPatience, [&] { return standing_ == workers; });
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

void Gate::pass() {
  std::unique_lock lock(mutex_);
  ++standing_;
  changed_.notify_all();
  const uint64_t arrived = steps_;
  changed_.wait(lock, [&] { return !closed_ || steps_ != arrived; });
  if (steps_ == arrived) --standing_;
}

}  // namespace millrace::test
