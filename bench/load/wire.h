// A connection of the load: a socket, with TLS on it or without.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "secure.h"

namespace load {

struct Wire {
  int fd = -1;
  std::unique_ptr<SecureEnd> tls;

  ssize_t send(const char* from, size_t size) {
    return tls ? tls->send(from, size) : ::send(fd, from, size, MSG_NOSIGNAL);
  }
  ssize_t recv(char* into, size_t size) { return tls ? tls->recv(into, size) : ::recv(fd, into, size, 0); }
  // The bytes are thrown away, in the kernel where there is no TLS (tcp(7), MSG_TRUNC), so that the sink's copy is no
  // part of the figures. `into` holds `room` bytes.
  ssize_t discard(char* into, size_t room) {
    return tls ? tls->recv(into, room) : ::recv(fd, into, size_t{1} << 20, MSG_TRUNC);
  }
  // Sends what TLS has left from before; to be called when the socket has room again.
  void flush() {
    if (tls) tls->flush();
  }
  void finish() {
    if (tls) tls->finish();
    else ::shutdown(fd, SHUT_WR);
  }
  void close() {
    tls.reset();
    ::close(fd);
  }
};

}  // namespace load
