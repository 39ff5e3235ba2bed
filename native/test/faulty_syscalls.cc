// The table itself: each call asks faults() what is to become of it.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "faults.h"

namespace millrace::test {

namespace {

constexpr size_t kMostSpliced = 1 << 20;

const Syscalls& real() { return kernel_syscalls(); }

int fail(int error) {
  errno = error;
  return -1;
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

// A call that either happens or doesn't.
template <class Function>
int whole(Call call, Function function) {
  const Faults::Verdict verdict = faults().judge(call);
  return verdict.fail ? fail(verdict.error) : function();
}

// A call that moves `length` bytes of `fd`, or some of them.
template <class Function>
ssize_t partial(Call call, int fd, size_t length, Function function, bool hurts = true) {
  const Faults::Verdict verdict = faults().judge(call, hurts);
  // Before the call is made: the worker asks for events only afterwards.
  if (verdict.edge) watched().edge(fd);
  if (verdict.fail) return fail(verdict.error);
  if (verdict.end) return 0;
  return function(std::min(length, verdict.most));
}

ssize_t fill(int from, int to, size_t length, unsigned flags) {
  if (held(to) != 0) ++faults().fills_of_used_pipes;
  const auto splice = [&](size_t most) { return real().splice(from, to, most, flags); };
  // Lies only where they would hurt: an engine that believes one loses bytes.
  return partial(Call::Fill, from, length, splice, readable(from));
}

ssize_t flush(int from, int to, size_t length, unsigned flags) {
  if (held(from) != length) ++faults().inexact_flushes;
  return partial(Call::Flush, to, length, [&](size_t most) { return real().splice(from, to, most, flags); });
}

int control(int epoll, int operation, int fd, epoll_event* event) {
  const int result = real().epoll_ctl(epoll, operation, fd, event);
  if (result == 0) watched().note(epoll, operation, fd, event);
  return result;
}

Syscalls make_table() {
  Syscalls table = real();
  table.socket = [](int domain, int type, int protocol) {
    return whole(Call::Socket, [&] { return real().socket(domain, type, protocol); });
  };
  table.socketpair = [](int domain, int type, int protocol, int fds[2]) {
    return whole(Call::Socketpair, [&] { return real().socketpair(domain, type, protocol, fds); });
  };
  table.bind = [](int fd, const sockaddr* address, socklen_t length) {
    return whole(Call::Bind, [&] { return real().bind(fd, address, length); });
  };
  table.listen = [](int fd, int backlog) { return whole(Call::Listen, [&] { return real().listen(fd, backlog); }); };
  table.accept4 = [](int fd, sockaddr* address, socklen_t* length, int flags) {
    return whole(Call::Accept4, [&] { return real().accept4(fd, address, length, flags); });
  };
  table.connect = [](int fd, const sockaddr* address, socklen_t length) {
    return whole(Call::Connect, [&] { return real().connect(fd, address, length); });
  };
  table.getsockname = [](int fd, sockaddr* address, socklen_t* length) {
    return whole(Call::Getsockname, [&] { return real().getsockname(fd, address, length); });
  };
  table.getpeername = [](int fd, sockaddr* address, socklen_t* length) {
    return whole(Call::Getpeername, [&] { return real().getpeername(fd, address, length); });
  };
  table.getsockopt = [](int fd, int level, int option, void* value, socklen_t* length) {
    return whole(Call::Getsockopt, [&] { return real().getsockopt(fd, level, option, value, length); });
  };
  table.setsockopt = [](int fd, int level, int option, const void* value, socklen_t length) {
    return whole(Call::Setsockopt, [&] { return real().setsockopt(fd, level, option, value, length); });
  };
  table.recv = [](int fd, void* buffer, size_t length, int flags) {
    return partial(Call::Recv, fd, length, [&](size_t most) { return real().recv(fd, buffer, most, flags); });
  };
  table.send = [](int fd, const void* buffer, size_t length, int flags) {
    return partial(Call::Send, fd, length, [&](size_t most) { return real().send(fd, buffer, most, flags); });
  };
  table.splice = [](int from, int to, size_t length, unsigned flags) {
    if (length == 0 || length > kMostSpliced) ++faults().bad_lengths;
    return is_pipe(from) ? flush(from, to, length, flags) : fill(from, to, length, flags);
  };
  table.read = [](int fd, void* buffer, size_t length) {
    return partial(Call::Read, fd, length, [&](size_t most) { return real().read(fd, buffer, most); });
  };
  table.write = [](int fd, const void* buffer, size_t length) {
    return partial(Call::Write, fd, length, [&](size_t most) { return real().write(fd, buffer, most); });
  };
  table.pipe2 = [](int fds[2], int flags) {
    const Faults::Verdict verdict = faults().judge(Call::Pipe2);
    if (verdict.fail) return fail(verdict.error);
    const int result = real().pipe2(fds, flags);
    if (result == 0 && verdict.two_slots) real().fcntl(fds[1], F_SETPIPE_SZ, 8192);
    return result;
  };
  table.fcntl = [](int fd, int command, long argument) {
    const Call call = command == F_SETPIPE_SZ ? Call::SetPipeSize : command == F_GETPIPE_SZ ? Call::GetPipeSize : Call::Fcntl;
    return whole(call, [&] { return real().fcntl(fd, command, argument); });
  };
  table.outq = [](int fd, int* bytes) {
    const Faults::Verdict verdict = faults().judge(Call::Outq);
    if (verdict.fail) ++faults().unacknowledged;
    if (verdict.fail) return fail(verdict.error);
    const int result = real().outq(fd, bytes);
    if (result == 0 && *bytes > 0) ++faults().unacknowledged;
    if (verdict.most != SIZE_MAX) *bytes = std::max(*bytes, static_cast<int>(verdict.most));
    return result;
  };
  table.shutdown = [](int fd, int how) { return whole(Call::Shutdown, [&] { return real().shutdown(fd, how); }); };
  table.close = [](int fd) {
    watched().forget(fd);
    FakeClock::instance().forget(fd);
    const int result = real().close(fd);
    return whole(Call::Close, [&] { return result; });
  };
  table.unlink = [](const char* path) { return whole(Call::Unlink, [&] { return real().unlink(path); }); };
  table.eventfd = [](unsigned initial, int flags) {
    return whole(Call::Eventfd, [&] { return real().eventfd(initial, flags); });
  };
  table.epoll_create1 = [](int flags) {
    const int epoll = whole(Call::EpollCreate1, [&] { return real().epoll_create1(flags); });
    if (epoll >= 0) FakeClock::instance().add(epoll);
    return epoll;
  };
  table.epoll_ctl = [](int epoll, int operation, int fd, epoll_event* event) {
    return whole(Call::EpollCtl, [&] { return control(epoll, operation, fd, event); });
  };
  table.epoll_wait = [](int epoll, epoll_event* events, int capacity, int timeout) {
    Gate::instance().pass();
    const Faults::Verdict verdict = faults().judge(Call::EpollWait);
    if (verdict.fail) {
      // Nobody ever sleeps then: each refusal stands for a second, lest time stand still.
      if (verdict.endless && FakeClock::instance().stopped()) FakeClock::instance().advance(1000);
      return fail(verdict.error);
    }
    const auto most = static_cast<int>(std::min<size_t>(static_cast<size_t>(capacity), verdict.most));
    return FakeClock::instance().wait(epoll, events, most, timeout);
  };
  table.clock = []() -> uint64_t { return FakeClock::instance().now(); };
  return table;
}

}  // namespace

const Syscalls& faulty_syscalls() {
  static const Syscalls table = make_table();
  return table;
}

}  // namespace millrace::test
