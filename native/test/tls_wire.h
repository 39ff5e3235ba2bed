// A socket's recv and send with TLS in between, for peers that never block.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>

#include "tls_pair.h"

namespace millrace::test {

class TlsWire {
 public:
  explicit TlsWire(std::unique_ptr<TlsStream> stream) : stream_(std::move(stream)), room_(kRoom) {}

  // As recv(2) with MSG_DONTWAIT, shaking hands first. 0: close_notify. ECONNRESET: cut, be it by a FIN alone or by the
  // peer's alert. EPROTO: what came is no TLS of this connection.
  ssize_t recv(int fd, std::span<uint8_t> plaintext);
  // As send(2) with MSG_DONTWAIT. EAGAIN also as long as hands are not shaken or earlier ciphertext waits.
  ssize_t send(int fd, std::span<const uint8_t> plaintext);
  // Says close_notify. True once that is out, and all before it; else errno, and it is to be called again after EAGAIN.
  bool close(int fd);
  // Sends what waits. False, with errno, when something still does.
  bool flush(int fd);

  bool shaken() const { return stream_->established(); }
  bool unsent() const { return sent_ < outgoing_.size(); }
  // Of ciphertext, both ways.
  uint64_t moved() const { return moved_; }

 private:
  static constexpr size_t kRoom = 64 << 10;

  // False with errno.
  bool fill(int fd);
  void took(const TlsInput& input, const TlsOutput& output);
  ssize_t failed() const;

  std::unique_ptr<TlsStream> stream_;
  Bytes room_;
  Bytes incoming_;
  Bytes outgoing_;
  size_t sent_ = 0;
  uint64_t moved_ = 0;
  bool ended_ = false;
  bool closed_ = false;
};

}  // namespace millrace::test
