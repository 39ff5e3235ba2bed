// One TLS connection as a state machine over the caller's buffers: ciphertext in and out, plaintext out and in, no
// socket. The engine owns sockets, readiness and waiting; this owns what lies between. Used by one thread at a time.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tls_bio.h"
#include "tls_callbacks.h"
#include "tls_context.h"
#include "tls_error.h"

namespace millrace {

enum class TlsIo : uint8_t {
  Progress,    // done, or at least one byte
  WantInput,   // all ciphertext is consumed, and more is needed
  WantOutput,  // the room for ciphertext is used up: again with more, before anything else
  Ended,       // read: the peer's close_notify
  Truncated,   // read: the transport ended without one. What can be written still is
  Failed,      // error() says why; what is in the output is the alert that tells the peer
};

// How plaintext is cut into records.
enum class TlsRecords : uint8_t {
  Small,  // so that the peer can begin before all is there
  Full,   // 16 KiB, of the least cost for each byte
};

// A record that was written: where its ciphertext ends in the room that was given, and what is in it.
struct TlsRecord {
  size_t end;
  size_t plaintext;
};

class TlsStream {
 public:
  static constexpr size_t kFullRecord = 16 << 10;
  static constexpr size_t kSmallRecord = 4 << 10;
  // More than any record adds to its plaintext: header 5, explicit nonce 8, type 1, tag 16.
  static constexpr size_t kOverhead = 32;
  // Plaintext that one read may return beyond the ciphertext it was given: a record that was incomplete.
  static constexpr size_t kHeld = kFullRecord;
  // Records in a row that carry no data: tickets, key updates, warnings.
  static constexpr int kMaxSilent = 32;

  // Ciphertext of so much plaintext, at most.
  static constexpr size_t ciphertext_of(size_t plaintext) {
    return plaintext + (plaintext / kSmallRecord + 2) * kOverhead;
  }

  // Null when out of memory, or when `names` is empty.
  static std::unique_ptr<TlsStream> server(std::shared_ptr<const TlsNames> names);
  static std::unique_ptr<TlsStream> server(std::shared_ptr<const TlsContext> context);
  // `name` is checked, and sent unless it is an IP address; '' is allowed where no name is checked. `address` is where
  // the connection leads: a session is only used again for the same address, name and trust.
  static std::unique_ptr<TlsStream> client(std::shared_ptr<const TlsContext> context, const std::string& name,
                                           std::string_view address);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Progress once it is done; ciphertext that came behind it stays in `input`.
  TlsIo handshake(TlsInput& input, TlsOutput& output);
  bool established() const { return established_; }

  // Fills `plaintext` from as many records as there are. Progress: perhaps more is there, as plaintext() says, or in
  // `input`. With room of input + kHeld all is consumed at once.
  TlsIo read(TlsInput& input, TlsOutput& output, std::span<uint8_t> plaintext, size_t& moved);
  // Takes what fits the output with ciphertext_of(). `written`, when there is one, gets a row for each record.
  TlsIo write(TlsOutput& output, std::span<const uint8_t> plaintext, TlsRecords records, size_t& moved,
              std::vector<TlsRecord>* written = nullptr);
  // Says close_notify; once. The peer may go on sending, and what it sends is read as before.
  TlsIo close(TlsOutput& output);

  // Decrypted and not read yet: no more of the socket is needed for a read to return something.
  bool readable() const;
  // The last call consumed all ciphertext and asked for more: another would have nothing to say.
  bool starved() const { return buffers_.starved; }
  // Ciphertext waits for room, which any call gives it.
  bool unsent() const { return !buffers_.spill.empty(); }
  TlsIo flush(TlsOutput& output) { return buffers_.drain(output) ? TlsIo::Progress : TlsIo::WantOutput; }
  // While it streams, OpenSSL keeps its buffers from one record to the next. False frees them.
  void set_streaming(bool on);

  const TlsError& error() const { return error_; }
  bool is_server() const { return connection_.context->is_server(); }
  // Of an established connection. '' where there is none.
  std::string_view protocol() const;
  const std::string& server_name() const { return connection_.server_name; }
  const char* version() const;
  const char* cipher() const;
  bool resumed() const;

 private:
  explicit TlsStream(std::shared_ptr<const TlsContext> context);

  bool open();
  bool set_name(const std::string& name);
  void begin(TlsInput* input, TlsOutput& output);
  void end();
  TlsIo fail();
  TlsIo fail(TlsFault fault, const char* text);
  void finish_handshake();
  bool update_key();

  TlsConnection connection_;
  const TlsLibrary& library_;
  TlsBuffers buffers_;
  SSL* ssl_ = nullptr;
  uint64_t records_ = 0;  // written with this key
  int silent_ = 0;
  bool established_ = false;
  bool closed_ = false;  // close_notify is said
  bool streaming_ = false;
  bool tls13_ = false;
  TlsError error_;
};

}  // namespace millrace
