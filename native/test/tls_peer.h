// A TLS peer on a socket of its own, as blocking as the sockets of connect_pair().
#pragma once

#include "support.h"
#include "tls_pair.h"

namespace millrace::test {

class TlsPeer {
 public:
  TlsPeer(Fd fd, std::unique_ptr<TlsStream> stream) : fd_(std::move(fd)), stream_(std::move(stream)) {}

  Fd& fd() { return fd_; }
  TlsStream& stream() { return *stream_; }

  // True once it is done. `piece` bytes are sent at once.
  bool shake(size_t piece = SIZE_MAX);
  // False once the connection is broken.
  bool write(std::span<const uint8_t> bytes, TlsRecords records = TlsRecords::Full);
  // close_notify, then FIN unless `fin` is false.
  bool close(bool fin = true);
  // `size` bytes, fewer when the peer ends before; End::Reset is also a connection that is cut without close_notify.
  Received receive(size_t size);
  // Until the peer ends. Fin: with close_notify.
  Received receive_all() { return receive(SIZE_MAX); }
  // The peer's FIN came without close_notify.
  bool truncated() const { return truncated_; }

 private:
  bool send(const TlsOutput& output, size_t piece = SIZE_MAX);
  bool fill();

  Fd fd_;
  std::unique_ptr<TlsStream> stream_;
  Bytes incoming_;
  bool ended_ = false;
  bool broken_ = false;
  bool truncated_ = false;
};

// The client of an engine's server and the server of an engine's client, with the certificates of the fixtures.
TlsPeer tls_client(Fd fd, const TlsClientOptions& options = client_options(), const std::string& name = "localhost");
TlsPeer tls_server(Fd fd, const TlsServerOptions& options = server_options());

}  // namespace millrace::test
