#include "tls_wire.h"

#include <sys/socket.h>

#include <cerrno>

namespace millrace::test {

bool TlsWire::fill(int fd) {
  uint8_t bytes[kRoom];
  const ssize_t n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n < 0) return false;
  ended_ = n == 0;
  incoming_.insert(incoming_.end(), bytes, bytes + n);
  moved_ += static_cast<uint64_t>(n);
  return true;
}

bool TlsWire::flush(int fd) {
  while (unsent()) {
    const ssize_t n = ::send(fd, outgoing_.data() + sent_, outgoing_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return false;
    sent_ += static_cast<size_t>(n);
    moved_ += static_cast<uint64_t>(n);
  }
  outgoing_.clear();
  sent_ = 0;
  return true;
}

void TlsWire::took(const TlsInput& input, const TlsOutput& output) {
  incoming_.erase(incoming_.begin(), incoming_.end() - static_cast<std::ptrdiff_t>(input.bytes.size()));
  outgoing_.insert(outgoing_.end(), room_.begin(), room_.begin() + static_cast<std::ptrdiff_t>(output.used));
}

ssize_t TlsWire::failed() const {
  const TlsFault fault = stream_->error().fault;
  errno = fault == TlsFault::Alert || fault == TlsFault::Cut ? ECONNRESET : EPROTO;
  return -1;
}

ssize_t TlsWire::recv(int fd, std::span<uint8_t> plaintext) {
  for (;;) {
    TlsInput input{incoming_, ended_};
    TlsOutput output{room_};
    size_t moved = 0;
    const TlsIo done = shaken() ? stream_->read(input, output, plaintext, moved) : stream_->handshake(input, output);
    took(input, output);
    // Whoever can't be told any more is found out by send().
    flush(fd);
    if (moved > 0) return static_cast<ssize_t>(moved);
    switch (done) {
      case TlsIo::Progress:
      case TlsIo::WantOutput:
        break;
      case TlsIo::WantInput:
        if (!fill(fd)) return -1;
        break;
      case TlsIo::Ended:
        return 0;
      case TlsIo::Truncated:
        errno = ECONNRESET;
        return -1;
      case TlsIo::Failed:
        return failed();
    }
  }
}

ssize_t TlsWire::send(int fd, std::span<const uint8_t> plaintext) {
  if (!flush(fd)) return -1;
  if (!shaken()) {
    errno = EAGAIN;
    return -1;
  }
  TlsOutput output{room_};
  size_t moved = 0;
  const TlsIo done = stream_->write(output, plaintext, TlsRecords::Full, moved);
  took({incoming_, ended_}, output);
  if (done == TlsIo::Failed) return failed();
  flush(fd);
  return static_cast<ssize_t>(moved);
}

bool TlsWire::close(int fd) {
  if (!flush(fd)) return false;
  if (closed_) return true;
  closed_ = true;
  TlsOutput output{room_};
  stream_->close(output);
  took({incoming_, ended_}, output);
  return flush(fd);
}

}  // namespace millrace::test
