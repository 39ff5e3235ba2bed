// The table through which the engine makes every system call, so that tests can inject short counts, EAGAIN, EINTR,
// EMFILE, EPERM, two-slot pipes and ENOSYS. Members have the signatures and errno conventions of their man pages.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace millrace {

struct Syscalls {
  int (*socket)(int domain, int type, int protocol);
  int (*socketpair)(int domain, int type, int protocol, int fds[2]);
  int (*bind)(int fd, const sockaddr* address, socklen_t length);
  int (*listen)(int fd, int backlog);
  int (*accept4)(int fd, sockaddr* address, socklen_t* length, int flags);
  int (*connect)(int fd, const sockaddr* address, socklen_t length);
  int (*getsockname)(int fd, sockaddr* address, socklen_t* length);
  int (*getpeername)(int fd, sockaddr* address, socklen_t* length);
  int (*getsockopt)(int fd, int level, int name, void* value, socklen_t* length);
  int (*setsockopt)(int fd, int level, int name, const void* value, socklen_t length);
  ssize_t (*recv)(int fd, void* buffer, size_t length, int flags);
  ssize_t (*send)(int fd, const void* buffer, size_t length, int flags);
  ssize_t (*splice)(int from, int to, size_t length, unsigned flags);
  ssize_t (*read)(int fd, void* buffer, size_t length);
  ssize_t (*write)(int fd, const void* buffer, size_t length);
  int (*pipe2)(int fds[2], int flags);
  int (*fcntl)(int fd, int command, long argument);
  // ioctl(SIOCOUTQ), tcp(7): bytes sent to the peer and not yet acknowledged.
  int (*outq)(int fd, int* bytes);
  int (*shutdown)(int fd, int how);
  int (*close)(int fd);
  int (*unlink)(const char* path);
  int (*eventfd)(unsigned initial, int flags);
  int (*epoll_create1)(int flags);
  int (*epoll_ctl)(int epoll, int operation, int fd, epoll_event* event);
  int (*epoll_wait)(int epoll, epoll_event* events, int capacity, int timeout_ms);
  // Milliseconds of CLOCK_MONOTONIC, so that tests can let hours pass.
  uint64_t (*clock)();
};

// The kernel's own.
const Syscalls& kernel_syscalls();

// Repeats a call that a signal interrupted; bounded, as a worker that repeats for ever serves nobody.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  for (int i = 0; i < 100 && result < 0 && errno == EINTR; ++i) result = call();
  return result;
}

}  // namespace millrace
