// TLS for the load's ends, on the engine's own TLS streams and the system's OpenSSL: enough records to a call that the
// load isn't the limit, and AES-128-GCM for all, whatever a contender would rather have.
#pragma once

#include <memory>
#include <vector>

#include "clients.h"
#include "tls_stream.h"

namespace load {

// What the load's TLS connections of one kind have in common. Dies with the process when it can't be made.
class Secure {
 public:
  // Takes `options.certificate` and `options.key`.
  static std::shared_ptr<const Secure> server(const Options& options);
  // Trusts whoever answers: checking a certificate is the visitor's cost and no contender's. Uses its sessions again
  // with `options.resume`.
  static std::shared_ptr<const Secure> client(const Options& options);

  // `fd` tells apart who uses which session again.
  std::unique_ptr<millrace::TlsStream> open(int fd) const;

 private:
  std::shared_ptr<const millrace::TlsContext> context_;
};

// A file's contents.
std::string read_file(const std::string& path);

// One TLS connection on a non-blocking socket, with the calls of a socket.
class SecureEnd {
 public:
  SecureEnd(int fd, std::unique_ptr<millrace::TlsStream> stream) : fd_(fd), stream_(std::move(stream)) {}

  // As send(2) and recv(2): -1 with EAGAIN also while the handshake is under way.
  ssize_t send(const char* from, size_t size);
  ssize_t recv(char* into, size_t size);
  // close_notify, and FIN once all is sent.
  void finish();
  // Sends what is left of what send() took.
  void flush();
  bool resumed() const { return stream_->resumed(); }
  // Takes the handshake as far as it goes; false with errno, EAGAIN while it is under way.
  bool shake();

 private:
  // Reads the socket behind what is left of the ciphertext; the error of recv(2).
  int fill(millrace::TlsInput& input);
  void keep(const millrace::TlsInput& input);
  void deliver(const millrace::TlsOutput& output);

  int fd_;
  std::unique_ptr<millrace::TlsStream> stream_;
  std::vector<uint8_t> unread_;  // ciphertext
  std::vector<uint8_t> unsent_;  // ciphertext
  size_t unsent_offset_ = 0;
  bool ended_ = false;  // the socket's FIN has come
  bool finished_ = false;
};

}  // namespace load
