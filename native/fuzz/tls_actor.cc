#include "tls_actor.h"

#include <algorithm>

#include "tls_layer.h"
#include "trace.h"

namespace millrace::fuzz {

namespace {

// openssl/ssl.h, openssl/ssl3.h, openssl/tls1.h, which name neither in a way that the engine would need.
constexpr int kRequested = 1;
constexpr size_t kRoom = 64 << 10;

std::vector<uint8_t>& room() {
  static std::vector<uint8_t> bytes(kRoom);
  return bytes;
}

}  // namespace

TlsActor::TlsActor(const Kind& kind, uint64_t bytes)
    : kind(kind),
      from(bytes),
      connection_{.context = suited(kind.suite, !kind.client, false), .names = nullptr, .server_name = {}, .session_key = {}},
      buffers_(openssl()),
      ssl_(openssl().SSL_new(connection_.context->get())),
      plain_(bytes) {
  const TlsLibrary& library = openssl();
  library.SSL_set_ex_data(ssl_, 0, &connection_);
  BIO* const bio = library.BIO_new(library.bio_method);
  library.BIO_set_data(bio, &buffers_);
  library.BIO_set_init(bio, 1);
  library.SSL_set_bio(ssl_, bio, bio);
  // What is checked here is the engine, not its certificate.
  if (kind.client) library.SSL_set_connect_state(ssl_);
  else library.SSL_set_accept_state(ssl_);
}

TlsActor::~TlsActor() {
  openssl().ERR_clear_error();
  openssl().SSL_free(ssl_);
}

// Calls OpenSSL, and puts what that gives on the wire.
void TlsActor::say(const std::function<void()>& call) {
  TlsOutput output{room()};
  buffers_.output = &output;
  openssl().ERR_clear_error();
  call();
  buffers_.output = nullptr;
  wire_.insert(wire_.end(), output.room.begin(), output.room.begin() + static_cast<std::ptrdiff_t>(output.used));
  wire_.insert(wire_.end(), buffers_.spill.begin(), buffers_.spill.end());
  buffers_.spill.clear();
}

void TlsActor::begin() {
  if (begun_) return;
  begun_ = true;
  if (kind.client) say([&] { openssl().SSL_do_handshake(ssl_); });
}

bool TlsActor::write(std::span<const uint8_t> bytes, uint64_t record) {
  if (!established_ || mute()) return false;
  record = std::clamp<uint64_t>(record, 1, TlsStream::kFullRecord);
  silent_ = 0;
  while (!bytes.empty()) {
    size_t n = 0;
    int result = 0;
    say([&] { result = openssl().SSL_write_ex(ssl_, bytes.data(), std::min<uint64_t>(record, bytes.size()), &n); });
    if (result != 1) return fail(result), false;
    bytes = bytes.subspan(n);
    plain_ += n;
    marks_.push_back({end(), plain_});
  }
  return true;
}

void TlsActor::update_key(bool asks_back) {
  const bool possible = kind.suite == Suite::Aes13 || kind.suite == Suite::Chacha13;
  if (!possible || !established_ || mute()) return;
  if (openssl().SSL_key_update(ssl_, asks_back ? kRequested : 0) != 1) return;
  say([&] { openssl().SSL_do_handshake(ssl_); });
  if (asks_back) asked_.push_back(end());
  // Its answers, which nobody may be reading, may also become too many.
  storms_ = storms_ || ++silent_ > TlsStream::kMaxSilent / 2 || asked_.size() > TlsLayer::kMaxReplies / 64;
}

void TlsActor::notify() {
  if (!established_ || mute()) return;
  say([&] { openssl().SSL_shutdown(ssl_); });
  notify_at_ = end();
}

void TlsActor::alert() {
  if (!established_ || mute()) return;
  // Its own is the alert that says it can't read this, which may have to be the rest of a record first.
  const std::vector<uint8_t> strange(2 * TlsStream::kFullRecord, 0x5a);
  TlsInput input{strange};
  buffers_.input = &input;
  const uint64_t before = end();
  say([&] {
    size_t n = 0;
    uint8_t byte;
    openssl().SSL_read_ex(ssl_, &byte, 1, &n);
  });
  buffers_.input = nullptr;
  alerted_ = deaf_ = true;
  spoiled_from_ = before;
  spoiled_end_ = end();
}

void TlsActor::forge(uint8_t type, uint64_t length) {
  if (mute()) return;
  begun_ = true;
  spoiled_from_ = end();
  for (const uint64_t byte : {uint64_t{type}, uint64_t{3}, uint64_t{3}, length >> 8, length}) {
    wire_.push_back(static_cast<uint8_t>(byte));
  }
  wire_.resize(wire_.size() + length, 0x5a);
  spoiled_end_ = end();
}

void TlsActor::cut(uint64_t at) {
  cut_ = true;
  if (at >= end()) return;
  wire_.resize(at - from);
  std::erase_if(marks_, [at](const Mark& mark) { return mark.position > at; });
  std::erase_if(asked_, [at](uint64_t request) { return request > at; });
  plain_ = marks_.empty() ? from : marks_.back().plain;
  if (notify_at_ != kNowhere && notify_at_ > at) notify_at_ = kNowhere;
  if (spoiled_end_ != kNowhere && spoiled_end_ > at) spoiled_end_ = kNowhere;
}

uint64_t TlsActor::plain(uint64_t position) const {
  const auto behind = std::upper_bound(marks_.begin(), marks_.end(), position,
                                       [](uint64_t wanted, const Mark& mark) { return wanted < mark.position; });
  return behind == marks_.begin() ? std::min(position, from) : std::prev(behind)->plain;
}

void TlsActor::hear(std::span<const uint8_t> bytes, const std::function<void(std::span<const uint8_t>)>& take) {
  if (deaf()) return;
  if (heard_notify_) complaint_ = "something is said behind close_notify";
  begun_ = true;
  incoming_.insert(incoming_.end(), bytes.begin(), bytes.end());
  TlsInput input{incoming_};
  buffers_.input = &input;
  // What it answers to a spoiled connection nobody would hear.
  const size_t said = wire_.size();
  say([&] { listen(input, take); });
  if (mute() && !heard_notify_) wire_.resize(said);
  buffers_.input = nullptr;
  incoming_.erase(incoming_.begin(), incoming_.end() - static_cast<std::ptrdiff_t>(input.bytes.size()));
}

void TlsActor::listen(TlsInput& input, const std::function<void(std::span<const uint8_t>)>& take) {
  const TlsLibrary& library = openssl();
  if (!established_) {
    const int result = library.SSL_do_handshake(ssl_);
    if (result != 1) return fail(result);
    established_ = true;
  }
  static std::vector<uint8_t> plaintext(TlsStream::kFullRecord);
  for (int idle = 0; idle < 2;) {
    const size_t before = input.bytes.size();
    size_t n = 0;
    buffers_.starved = false;
    const int result = library.SSL_read_ex(ssl_, plaintext.data(), plaintext.size(), &n);
    if (result == 1) {
      take(std::span(plaintext).first(n));
      continue;
    }
    if (library.SSL_get_error(ssl_, result) != openssl::kErrorWantRead) return fail(result);
    if (buffers_.starved) return;
    idle = input.bytes.size() < before ? 0 : idle + 1;
  }
}

void TlsActor::fail(int result) {
  const int error = openssl().SSL_get_error(ssl_, result);
  if (error == openssl::kErrorWantRead) return;
  if (error == openssl::kErrorZeroReturn) {
    heard_notify_ = true;
    return;
  }
  failed_ = true;
  const unsigned long code = openssl().ERR_peek_error();
  const auto reason = static_cast<int>(code & openssl::kReasonMask);
  // An alert of the engine's is an answer.
  heard_alert_ = reason >= openssl::kReasonAlert;
  trace("  the peer fails: %d %s", reason, openssl().ERR_reason_error_string(code));
  // What the engine says to something strange may be as strange to a peer in the middle of a handshake.
  if (!heard_alert_ && spoiled_from_ == kNowhere) complaint_ = "what is said to a TLS peer can't be read";
}

}  // namespace millrace::fuzz
