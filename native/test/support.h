// What the tests need of the outer world: bytes that can be told apart, sockets of peers, descriptors counted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "address.h"

namespace millrace::test {

using Bytes = std::vector<uint8_t>;

// How long anything may take before a test gives up: far beyond what a loaded machine with sanitizers needs.
inline constexpr std::chrono::seconds kPatience{40};

// splitmix64: small, seeded, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  // 0 ≤ n < bound.
  uint64_t below(uint64_t bound) { return next() % bound; }
  // lowest ≤ n ≤ highest.
  uint64_t between(uint64_t lowest, uint64_t highest) { return lowest + below(highest - lowest + 1); }

 private:
  uint64_t state_;
};

// `size` bytes that depend on the seed and on their place, so that lost, doubled and swapped ones all show.
Bytes pattern(uint64_t seed, size_t size);

// An owned descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.take()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { close(); }

  int get() const { return fd_; }
  int take();
  void close();

 private:
  int fd_ = -1;
};

enum class Family { Tcp, Unix };

struct SocketPair {
  Fd near;
  Fd far;
};

// Two connected, blocking stream sockets: over loopback for Tcp. `buffers` other than 0 is SO_RCVBUF and SO_SNDBUF of
// both. Every read and write on them gives up after kPatience.
SocketPair connect_pair(Family family, int buffers = 0);
// A socket connected to `port` on 127.0.0.1, or to any address of loopback.
Fd connect_to(uint16_t port);
Fd connect_to(const SocketAddress& there);
Fd connect_to_unix(const char* path);
// A port of 127.0.0.1 on which nobody listens.
uint16_t closed_port();
void set_option(int fd, int level, int name, int value);
int get_option(int fd, int level, int name);

enum class End { Open, Fin, Reset, TimedOut };
const char* name(End end);

struct Received {
  Bytes bytes;
  End end = End::Open;
};

// False once the connection is broken.
bool send_all(int fd, std::span<const uint8_t> bytes);
// Reads `size` bytes, fewer when the peer ends before.
Received receive(int fd, size_t size);
// Reads until the peer ends.
Received receive_all(int fd);
// FIN.
void finish(int fd);
// RST (unix: close), whatever is under way.
void reset(Fd& fd);
// Waits until the peer's kernel has acknowledged everything sent.
bool await_receipt(int fd);

size_t open_descriptors();
// Polls, as there is no event for it, until it holds.
bool eventually(const std::function<bool()>& holds);
void pause_ms(int ms);

// Runs `body` in a forked child, in which no thread but the caller's is left; true when it returned true.
bool in_child(const std::function<bool()>& body);

// 127.0.0.1.
SocketAddress loopback(uint16_t port = 0);
// An address of loopback to listen on, another one at each call, always with the same port, which is this process's: however
// many connections are in TIME_WAIT, those to it have all ports to choose from.
SocketAddress fresh_loopback();
// A path in a folder of its own for a unix socket; the folder goes with the object.
class TemporaryPath {
 public:
  TemporaryPath();
  ~TemporaryPath();
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  const char* get() const { return path_; }

 private:
  char folder_[32];
  char path_[48];
};

}  // namespace millrace::test
