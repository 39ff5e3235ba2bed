#include "tls_peer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include <doctest/doctest.h>

namespace millrace::test {

namespace {

constexpr size_t kChunk = 64 << 10;

}  // namespace

bool TlsPeer::send(const TlsOutput& output, size_t piece) {
  for (size_t sent = 0; sent < output.used;) {
    const size_t n = std::min(piece, output.used - sent);
    if (!send_all(fd_.get(), std::span(output.room).subspan(sent, n))) return false;
    sent += n;
  }
  return true;
}

bool TlsPeer::fill() {
  uint8_t bytes[kChunk];
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      broken_ = true;
      return false;
    }
    if (n == 0) ended_ = true;
    incoming_.insert(incoming_.end(), bytes, bytes + n);
    return true;
  }
}

bool TlsPeer::shake(size_t piece) {
  Bytes room(kChunk);
  for (;;) {
    TlsInput input{incoming_, ended_};
    TlsOutput output{room};
    const TlsIo done = stream_->handshake(input, output);
    incoming_.erase(incoming_.begin(), incoming_.end() - static_cast<std::ptrdiff_t>(input.bytes.size()));
    if (!send(output, piece)) return false;
    if (done == TlsIo::Progress) return true;
    if (done == TlsIo::Failed) return false;
    if (done == TlsIo::WantInput && !fill()) return false;
  }
}

bool TlsPeer::write(std::span<const uint8_t> bytes, TlsRecords records) {
  Bytes room(kChunk);
  while (!bytes.empty()) {
    TlsOutput output{room};
    size_t moved = 0;
    const TlsIo done = stream_->write(output, bytes, records, moved);
    if (!send(output)) return false;
    if (done != TlsIo::Progress && done != TlsIo::WantOutput) return false;
    bytes = bytes.subspan(moved);
  }
  return true;
}

bool TlsPeer::close(bool fin) {
  Bytes room(kChunk);
  TlsOutput output{room};
  if (stream_->close(output) != TlsIo::Progress || !send(output)) return false;
  if (fin) finish(fd_.get());
  return true;
}

Received TlsPeer::receive(size_t size) {
  Received received;
  Bytes room(kChunk);
  Bytes plaintext(kChunk);
  while (received.bytes.size() < size) {
    TlsInput input{incoming_, ended_};
    TlsOutput output{room};
    size_t moved = 0;
    const size_t most = std::min(plaintext.size(), size - received.bytes.size());
    const TlsIo done = stream_->read(input, output, std::span(plaintext).first(most), moved);
    incoming_.erase(incoming_.begin(), incoming_.end() - static_cast<std::ptrdiff_t>(input.bytes.size()));
    send(output);
    received.bytes.insert(received.bytes.end(), plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(moved));
    switch (done) {
      case TlsIo::Progress:
      case TlsIo::WantOutput:
        break;
      case TlsIo::WantInput:
        if (fill()) break;
        received.end = errno == EAGAIN ? End::TimedOut : End::Reset;
        return received;
      case TlsIo::Ended:
        received.end = End::Fin;
        return received;
      case TlsIo::Truncated:
        truncated_ = true;
        received.end = End::Reset;
        return received;
      case TlsIo::Failed:
        received.end = End::Reset;
        return received;
    }
  }
  return received;
}

TlsPeer tls_client(Fd fd, const TlsClientOptions& options, const std::string& name) {
  return {std::move(fd), TlsStream::client(client_context(options), name, "192.0.2.1:443")};
}

TlsPeer tls_server(Fd fd, const TlsServerOptions& options) {
  return {std::move(fd), TlsStream::server(server_context(options))};
}

}  // namespace millrace::test
