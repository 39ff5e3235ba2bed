// TLS between a socket and whoever owns it: what a Socket's transfers become once it is encrypted. Ciphertext goes through
// the worker's scratch; only what found no room, there or in the kernel, is kept.
#pragma once

#include <memory>
#include <vector>

#include "held_bytes.h"
#include "tls_stream.h"

namespace millrace {

class Socket;
enum class Io : uint8_t;

// Room for ciphertext, one for each worker.
struct TlsScratch {
  // With 64 KiB each the system calls show, with 256 KiB the caches do.
  static constexpr size_t kInput = 128 << 10;
  static constexpr size_t kPlaintext = 128 << 10;  // that one send encrypts at most

  TlsScratch() : input(kInput), output(TlsStream::ciphertext_of(kPlaintext) + 2 * TlsStream::kOverhead) {}

  std::vector<uint8_t> input;
  std::vector<uint8_t> output;
  std::vector<TlsRecord> records;  // of the last send
};

class TlsLayer {
 public:
  // Answers to what the peer sends (key updates, alerts) that may wait until it reads them.
  static constexpr size_t kMaxReplies = 256 << 10;

  // `head` is ciphertext that has already been read.
  TlsLayer(std::unique_ptr<TlsStream> stream, std::span<const uint8_t> head) : stream_(std::move(stream)) {
    input_.append(head);
  }

  const TlsStream& stream() const { return *stream_; }
  // Binds it to the worker that owns its socket from now on.
  void bind(TlsScratch& scratch) { scratch_ = &scratch; }

  // As the socket's own calls, whose work they do.
  Io handshake(Socket& socket);
  Io receive(Socket& socket, void* buffer, size_t length, size_t& moved);
  // `moved` is what has become ciphertext; unsent() tells whether that is out. The first `uncounted` bytes don't count as
  // plaintext there.
  Io send(Socket& socket, const void* bytes, size_t length, size_t& moved, size_t uncounted = 0, size_t behind = 0);
  Io flush(Socket& socket, size_t& moved);
  // Says close_notify.
  Io close(Socket& socket);

  // A receive may return something although the socket has nothing more.
  bool readable() const { return again_ || ended_ || !input_.empty(); }
  bool unsent() const { return !output_.empty(); }
  // Of what was sent, the plaintext in records that are not wholly out.
  uint64_t unsent_plaintext() const;
  // How much ciphertext the kernel has taken in all.
  uint64_t taken() const { return taken_; }
  bool truncated() const { return truncated_; }
  bool said_close() const { return said_close_; }
  // Whether bytes stream: full records, and OpenSSL keeps its buffers.
  void set_streaming_in(bool on);
  void set_streaming_out(bool on);

 private:
  // Io::Progress: there is ciphertext, or the end of it, to be read in `input`.
  Io fetch(Socket& socket, size_t length, TlsInput& input);
  void keep(const TlsInput& input, bool was_kept);
  // Sends it, and keeps what the kernel doesn't take.
  void put(Socket& socket, const TlsOutput& output);
  void keep_records(uint64_t before, size_t uncounted, size_t counted);
  void fail(Socket& socket);

  std::unique_ptr<TlsStream> stream_;
  TlsScratch* scratch_ = nullptr;
  HeldBytes input_;   // ciphertext for which there was no room as plaintext
  HeldBytes output_;  // ciphertext that the kernel did not take
  std::vector<TlsRecord> records_;  // of which these are data, their ends counted as `taken_` is
  uint64_t taken_ = 0;
  bool again_ = true;   // the stream may have something without more input
  bool ended_ = false;  // the peer's FIN, or its close_notify
  bool truncated_ = false;
  bool said_close_ = false;
  bool streaming_in_ = false;
  bool streaming_out_ = false;
};

}  // namespace millrace
