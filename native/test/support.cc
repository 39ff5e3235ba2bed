#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <thread>

namespace millrace::test {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::abort();
}

void set_patience(int fd) {
  const timeval limit{.tv_sec = kPatience.count(), .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

void set_buffers(int fd, int size) {
  if (size == 0) return;
  set_option(fd, SOL_SOCKET, SO_RCVBUF, size);
  set_option(fd, SOL_SOCKET, SO_SNDBUF, size);
}

// Calls what needs a free port until there is one: thousands of connections leave their ports in TIME_WAIT for a minute.
bool with_port(const std::function<int()>& call) {
  for (const auto limit = Clock::now() + std::chrono::minutes(2); call() != 0;) {
    if ((errno != EADDRINUSE && errno != EADDRNOTAVAIL) || Clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

bool bind_to(const Fd& fd, const SocketAddress& address) {
  return with_port([&] { return ::bind(fd.get(), address.get(), address.length()); });
}

bool connect_with(const Fd& fd, const SocketAddress& address) {
  return with_port([&] { return ::connect(fd.get(), address.get(), address.length()); });
}

Fd tcp_socket(int buffers) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) give_up("socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set_buffers(fd.get(), buffers);
  set_patience(fd.get());
  return fd;
}

uint16_t bound_port(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) give_up("getsockname");
  return ntohs(address.sin_port);
}

}  // namespace

uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

Bytes pattern(uint64_t seed, size_t size) {
  Bytes bytes(size);
  Random random(seed * 0x51ed2701 + 1);
  for (size_t at = 0; at < size; at += 8) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + at, &word, std::min<size_t>(8, size - at));
  }
  return bytes;
}

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = other.take();
  }
  return *this;
}

int Fd::take() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Fd::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

int get_option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

SocketPair connect_pair(Family family, int buffers) {
  SocketPair pair;
  if (family == Family::Unix) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) give_up("socketpair");
    pair = {Fd(fds[0]), Fd(fds[1])};
    for (const int fd : fds) set_buffers(fd, buffers);
  } else {
    const Fd listener = tcp_socket(buffers);
    const SocketAddress there = fresh_loopback();
    if (!bind_to(listener, there) || ::listen(listener.get(), 1) != 0) give_up("listen");
    pair.far = tcp_socket(buffers);
    if (!connect_with(pair.far, there)) give_up("connect");
    pair.near = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (pair.near.get() < 0) give_up("accept4");
    for (const Fd* fd : {&pair.near, &pair.far}) set_option(fd->get(), IPPROTO_TCP, TCP_NODELAY, 1);
  }
  set_patience(pair.near.get());
  set_patience(pair.far.get());
  return pair;
}

Fd connect_to(uint16_t port) { return connect_to(loopback(port)); }

Fd connect_to(const SocketAddress& there) {
  Fd fd = tcp_socket(0);
  if (!connect_with(fd, there)) give_up("connect");
  return fd;
}

Fd connect_to_unix(const char* path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_patience(fd.get());
  SocketAddress there;
  if (!there.set_unix(path) || ::connect(fd.get(), there.get(), there.length()) != 0) give_up("connect");
  return fd;
}

uint16_t closed_port() {
  const Fd fd = tcp_socket(0);
  const SocketAddress any = loopback();
  if (!bind_to(fd, any)) give_up("bind");
  return bound_port(fd.get());
}

const char* name(End end) {
  switch (end) {
    case End::Open:
      return "open";
    case End::Fin:
      return "FIN";
    case End::Reset:
      return "RST";
    case End::TimedOut:
      return "timed out";
  }
  return "?";
}

bool send_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

Received receive(int fd, size_t size) {
  Received received;
  received.bytes.resize(std::min<size_t>(size, 64 << 10));
  size_t have = 0;
  while (have < size) {
    if (have == received.bytes.size()) received.bytes.resize(std::min(size, have * 2));
    const ssize_t n = ::recv(fd, received.bytes.data() + have, received.bytes.size() - have, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      received.end = n == 0 ? End::Fin : errno == EAGAIN ? End::TimedOut : End::Reset;
      break;
    }
    have += static_cast<size_t>(n);
  }
  received.bytes.resize(have);
  return received;
}

Received receive_all(int fd) { return receive(fd, SIZE_MAX); }

void finish(int fd) { ::shutdown(fd, SHUT_WR); }

void reset(Fd& fd) {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  fd.close();
}

bool await_receipt(int fd) {
  return eventually([fd] {
    int unsent = 0;
    return ::ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent == 0;
  });
}

size_t open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (!folder) give_up("/proc/self/fd");
  size_t count = 0;
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  // ".", ".." and the folder itself.
  return count - 3;
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = Clock::now() + kPatience;
  while (!holds()) {
    if (Clock::now() >= deadline) return false;
    pause_ms(2);
  }
  return true;
}

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

bool in_child(const std::function<bool()>& body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) give_up("fork");
  // _exit: the parent's buffers, its leak check and its static objects are the parent's.
  if (child == 0) {
    bool passed = false;
    try {
      passed = body();
    } catch (...) {
      // A failed requirement, which doctest has printed.
    }
    // What doctest printed; _exit flushes nothing.
    std::cout.flush();
    ::_exit(passed ? 0 : 1);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

SocketAddress loopback(uint16_t port) {
  SocketAddress address;
  address.set_inet("127.0.0.1", port);
  return address;
}

SocketAddress fresh_loopback() {
  // Listens for as long as the process lives, so that nobody else gets the port.
  static const Fd keeper = [] {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!bind_to(fd, loopback()) || ::listen(fd.get(), 1) != 0) give_up("listen");
    return fd;
  }();
  static const uint16_t port = bound_port(keeper.get());
  static std::atomic<uint32_t> last{0};
  // All of 127.0.0.0/8 but its first and last 65 536.
  constexpr uint32_t kHosts = 254u << 16;
  const uint32_t host = (1u << 16) + last.fetch_add(1, std::memory_order_relaxed) % kHosts;
  char text[16];
  std::snprintf(text, sizeof text, "127.%u.%u.%u", host >> 16, host >> 8 & 255, host & 255);
  SocketAddress address;
  address.set_inet(text, port);
  return address;
}

TemporaryPath::TemporaryPath() {
  std::strcpy(folder_, "/tmp/millrace-XXXXXX");
  if (!::mkdtemp(folder_)) give_up("mkdtemp");
  std::snprintf(path_, sizeof path_, "%s/socket", folder_);
}

TemporaryPath::~TemporaryPath() {
  ::unlink(path_);
  ::rmdir(folder_);
}

}  // namespace millrace::test
