#include "syscalls.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "timer_wheel.h"

namespace millrace {

const Syscalls& kernel_syscalls() {
  static const Syscalls table = {
      .socket = ::socket,
      .socketpair = ::socketpair,
      .bind = ::bind,
      .listen = ::listen,
      .accept4 = ::accept4,
      .connect = ::connect,
      .getsockname = ::getsockname,
      .getpeername = ::getpeername,
      .getsockopt = ::getsockopt,
      .setsockopt = ::setsockopt,
      .recv = ::recv,
      .send = ::send,
      .splice = [](int from, int to, size_t length, unsigned flags) -> ssize_t {
        return ::splice(from, nullptr, to, nullptr, length, flags);
      },
      .read = ::read,
      .write = ::write,
      .pipe2 = ::pipe2,
      .fcntl = [](int fd, int command, long argument) -> int { return ::fcntl(fd, command, argument); },
      .outq = [](int fd, int* bytes) -> int { return ::ioctl(fd, SIOCOUTQ, bytes); },
      .shutdown = ::shutdown,
      .close = ::close,
      .unlink = ::unlink,
      .eventfd = [](unsigned initial, int flags) -> int { return ::eventfd(initial, flags); },
      .epoll_create1 = ::epoll_create1,
      .epoll_ctl = ::epoll_ctl,
      .epoll_wait = ::epoll_wait,
      .clock = now_ms,
  };
  return table;
}

}  // namespace millrace
