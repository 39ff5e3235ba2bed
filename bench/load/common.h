// What the load's server and clients share: the request a client opens a connection with, sockets, and the clock.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace load {

// The first 16 bytes on every connection, little-endian.
enum class Verb : uint8_t {
  kDown = 'D',     // the server sends `length` bytes and FIN
  kUp = 'U',       // the client sends bytes and FIN; the server answers with a FIN of its own when it has them all
  kEcho = 'E',     // messages of `length` bytes: each is read whole, then sent back
  kRequest = 'R',  // one message of `length` bytes (these 16 not counted), sent back and followed by FIN
};

struct Request {
  Verb verb;
  uint8_t zero[3];
  uint32_t pace;  // kDown: at most so many KiB a second; 0: no limit
  uint64_t length;
};
static_assert(sizeof(Request) == 16);

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

inline uint64_t now_ns() {
  timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return static_cast<uint64_t>(at.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(at.tv_nsec);
}

inline sockaddr_in address_of(const char* host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    errno = EINVAL;
    fail(host);
  }
  return address;
}

inline void no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

inline void watch(int epoll, int fd, uint32_t events, void* of) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = of;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

}  // namespace load
