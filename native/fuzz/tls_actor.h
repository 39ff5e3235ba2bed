// The peer of a simulated connection that speaks TLS, with OpenSSL of its own. What it says lies on the wire as bytes,
// with a note of what each piece means; what the engine says is decrypted as soon as the engine's kernel has taken it,
// so that how much of it is whole records is known at any time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tls_bio.h"
#include "tls_callbacks.h"
#include "tls_world.h"

namespace millrace::fuzz {

class TlsActor {
 public:
  static constexpr uint64_t kNowhere = UINT64_MAX;
  // What engine and peer may come to speak; `restless` is the engine.
  struct Kind {
    bool client = true;  // the peer; the engine is the server then
    Suite suite = Suite::Aes13;
    bool restless = false;
  };

  // `bytes` have been sent in the clear before.
  TlsActor(const Kind& kind, uint64_t bytes);
  ~TlsActor();
  TlsActor(const TlsActor&) = delete;
  TlsActor& operator=(const TlsActor&) = delete;

  const Kind kind;
  // --- What the script does. Nothing comes of it where it makes no sense.
  // The client's hello.
  void begin();
  // So many bytes in a record.
  bool write(std::span<const uint8_t> bytes, uint64_t record);
  void update_key(bool asks_back);
  void notify();
  // Fatal, and the last that it says or understands.
  void alert();
  // A record of `type` that no key has sealed.
  void forge(uint8_t type, uint64_t length);
  // Of the wire only so much was sent.
  void cut(uint64_t at);

  // What the engine's kernel has taken of it; `take` gets the plaintext.
  void hear(std::span<const uint8_t> bytes, const std::function<void(std::span<const uint8_t>)>& take);

  // The wire begins at this position of the connection.
  const uint64_t from;
  const std::vector<uint8_t>& wire() const { return wire_; }
  uint64_t end() const { return from + wire_.size(); }
  // How many bytes of plaintext lie in whole records before a position of the connection.
  uint64_t plain(uint64_t position) const;
  // Position behind the peer's close_notify.
  uint64_t notify_at() const { return notify_at_; }
  bool ended(uint64_t consumed) const { return consumed >= notify_at_; }
  // From here on the wire makes no sense; up to there it must have been noticed.
  uint64_t spoiled_from() const { return spoiled_from_; }
  bool spoiled(uint64_t consumed) const { return spoiled_end_ != kNowhere && consumed >= spoiled_end_; }
  // The last word was an alert.
  bool alerted() const { return alerted_; }
  // So many records that carry nothing that the engine may give up.
  bool storms() const { return storms_; }

  bool begun() const { return begun_; }
  bool established() const { return established_; }
  // It says nothing more.
  bool mute() const { return notify_at_ != kNowhere || spoiled_from_ != kNowhere || failed_ || cut_; }
  // It can't tell any more what the engine says.
  bool deaf() const { return deaf_ || failed_; }
  bool failed() const { return failed_; }
  bool heard_notify() const { return heard_notify_; }
  bool heard_alert() const { return heard_alert_; }
  // The engine has said more behind its close_notify, or something that can't be read.
  const char* complaint() const { return complaint_; }

 private:
  struct Mark {
    uint64_t position;  // behind a record
    uint64_t plain;     // bytes up to there
  };
  void say(const std::function<void()>& call);
  void listen(TlsInput& input, const std::function<void(std::span<const uint8_t>)>& take);
  void fail(int result);

  TlsConnection connection_;
  TlsBuffers buffers_;
  SSL* ssl_ = nullptr;
  std::vector<uint8_t> wire_;
  std::vector<uint8_t> incoming_;
  std::vector<Mark> marks_;
  std::vector<uint64_t> asked_;  // behind each request for new keys
  uint64_t plain_;
  uint64_t notify_at_ = kNowhere;
  uint64_t spoiled_from_ = kNowhere;
  uint64_t spoiled_end_ = kNowhere;
  int silent_ = 0;
  bool begun_ = false;
  bool established_ = false;
  bool alerted_ = false;
  bool storms_ = false;
  bool deaf_ = false;
  bool failed_ = false;
  bool cut_ = false;
  bool heard_notify_ = false;
  bool heard_alert_ = false;
  const char* complaint_ = nullptr;
};

}  // namespace millrace::fuzz
