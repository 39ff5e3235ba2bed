#include "tls_stream.h"

#include <algorithm>

namespace millrace {

namespace {

// How much plaintext's records fit.
size_t plaintext_for(size_t room, size_t record) {
  const size_t whole = room / (record + TlsStream::kOverhead);
  const size_t rest = room % (record + TlsStream::kOverhead);
  return whole * record + (rest > TlsStream::kOverhead ? rest - TlsStream::kOverhead : 0);
}

}  // namespace

void TlsStream::begin(TlsInput* input, TlsOutput& output) {
  buffers_.input = input;
  buffers_.output = &output;
  buffers_.starved = false;
  // SSL_get_error(3): the queue must be empty before each call.
  library_.ERR_clear_error();
}

void TlsStream::end() {
  buffers_.input = nullptr;
  buffers_.output = nullptr;
}

TlsIo TlsStream::fail() {
  end();
  switch (connection_.fault) {
    case TlsFault::NoCertificate:
      return fail(TlsFault::NoCertificate, "there is no certificate for the name that the peer asks for");
    case TlsFault::NoProtocol:
      return fail(TlsFault::NoProtocol, "the peer offers no application protocol that is spoken here");
    default:
      break;
  }
  error_ = read_tls_error(library_, ssl_, !established_);
  library_.ERR_clear_error();
  return TlsIo::Failed;
}

TlsIo TlsStream::fail(TlsFault fault, const char* text) {
  end();
  error_ = make_tls_error(fault, text);
  library_.ERR_clear_error();
  return TlsIo::Failed;
}

TlsIo TlsStream::handshake(TlsInput& input, TlsOutput& output) {
  if (!buffers_.drain(output)) return TlsIo::WantOutput;
  if (error_.fault != TlsFault::None) return TlsIo::Failed;
  if (established_) return TlsIo::Progress;
  begin(&input, output);
  const int result = library_.SSL_do_handshake(ssl_);
  if (result == 1) {
    finish_handshake();
    end();
    return TlsIo::Progress;
  }
  const int error = library_.SSL_get_error(ssl_, result);
  const bool said_close = error == openssl::kErrorZeroReturn;
  if (error != openssl::kErrorWantRead && !said_close) return fail();
  end();
  if (input.ended || said_close) return fail(TlsFault::Cut, "the peer was gone before the handshake was done");
  return TlsIo::WantInput;
}

void TlsStream::finish_handshake() {
  established_ = true;
  connection_.names.reset();
  tls13_ = library_.SSL_version(ssl_) == openssl::kTls13;
  // A session of TLS 1.2 serves again and again, and a short handshake brings no other.
  TlsSessions* const sessions = connection_.context->sessions();
  if (tls13_ || sessions == nullptr || !resumed()) return;
  if (SSL_SESSION* const session = library_.SSL_get1_session(ssl_)) sessions->put(connection_.session_key, session);
}

TlsIo TlsStream::read(TlsInput& input, TlsOutput& output, std::span<uint8_t> plaintext, size_t& moved) {
  moved = 0;
  if (!buffers_.drain(output)) return TlsIo::WantOutput;
  if (error_.fault != TlsFault::None) return TlsIo::Failed;
  if (!established_) return TlsIo::WantInput;
  begin(&input, output);
  bool stuck = false;
  while (moved < plaintext.size()) {
    const size_t before = input.bytes.size();
    size_t n = 0;
    const int result = library_.SSL_read_ex(ssl_, plaintext.data() + moved, plaintext.size() - moved, &n);
    if (result == 1) {
      moved += n;
      silent_ = 0;
      continue;
    }
    const int error = library_.SSL_get_error(ssl_, result);
    if (error == openssl::kErrorZeroReturn) {
      end();
      return moved > 0 ? TlsIo::Progress : TlsIo::Ended;
    }
    if (error != openssl::kErrorWantRead) {
      // What came before is good; the next call tells.
      fail();
      return moved > 0 ? TlsIo::Progress : TlsIo::Failed;
    }
    if (buffers_.starved) break;
    // After its answer to a key update OpenSSL comes back once more, without a record.
    const bool took = input.bytes.size() < before;
    if (!took && stuck) break;
    stuck = !took;
    if (took && ++silent_ > kMaxSilent) {
      fail(TlsFault::Flood, "too many records in a row carry no data");
      return moved > 0 ? TlsIo::Progress : TlsIo::Failed;
    }
    if (unsent()) break;
  }
  end();
  if (moved > 0) return TlsIo::Progress;
  if (unsent()) return TlsIo::WantOutput;
  return input.ended ? TlsIo::Truncated : TlsIo::WantInput;
}

bool TlsStream::update_key() {
  if (!tls13_ || records_ < connection_.context->records_per_key()) return true;
  records_ = 0;
  return library_.SSL_key_update(ssl_, openssl::kKeyUpdateNotRequested) == 1;
}

TlsIo TlsStream::write(TlsOutput& output, std::span<const uint8_t> plaintext, TlsRecords records, size_t& moved,
                       std::vector<TlsRecord>* written) {
  moved = 0;
  if (!buffers_.drain(output)) return TlsIo::WantOutput;
  if (error_.fault != TlsFault::None) return TlsIo::Failed;
  if (!established_) return TlsIo::WantInput;
  if (closed_) return fail(TlsFault::Internal, "nothing may be written behind close_notify");
  const size_t record = records == TlsRecords::Full ? kFullRecord : kSmallRecord;
  // The room of one more record is for a key update.
  const size_t room = output.left() > 2 * kOverhead ? output.left() - 2 * kOverhead : 0;
  plaintext = plaintext.first(std::min(plaintext.size(), plaintext_for(room, record)));
  if (plaintext.empty()) return TlsIo::WantOutput;
  begin(nullptr, output);
  while (moved < plaintext.size()) {
    if (!update_key()) return fail();
    size_t n = 0;
    const int result = library_.SSL_write_ex(ssl_, plaintext.data() + moved, std::min(record, plaintext.size() - moved), &n);
    if (result != 1) return fail();
    moved += n;
    ++records_;
    if (written != nullptr) written->push_back({output.used + buffers_.spill.size(), n});
  }
  end();
  return TlsIo::Progress;
}

TlsIo TlsStream::close(TlsOutput& output) {
  if (!buffers_.drain(output)) return TlsIo::WantOutput;
  if (error_.fault != TlsFault::None) return TlsIo::Failed;
  if (!established_) return TlsIo::WantInput;
  if (closed_) return TlsIo::Progress;
  closed_ = true;
  begin(nullptr, output);
  // 0: sent, and the peer's has not come.
  const int result = library_.SSL_shutdown(ssl_);
  if (result < 0) return fail();
  end();
  return unsent() ? TlsIo::WantOutput : TlsIo::Progress;
}

bool TlsStream::readable() const { return error_.fault == TlsFault::None && library_.SSL_pending(ssl_) > 0; }

void TlsStream::set_streaming(bool on) {
  if (streaming_ == on) return;
  streaming_ = on;
  library_.SSL_ctrl(ssl_, on ? openssl::kCtrlClearMode : openssl::kCtrlMode, openssl::kModeReleaseBuffers, nullptr);
  // Does nothing while a record is incomplete.
  if (!on) library_.SSL_free_buffers(ssl_);
}

std::string_view TlsStream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  library_.SSL_get0_alpn_selected(ssl_, &name, &length);
  return {reinterpret_cast<const char*>(name), name != nullptr ? length : 0};
}

const char* TlsStream::version() const { return tls13_ ? "TLSv1.3" : "TLSv1.2"; }

const char* TlsStream::cipher() const {
  const SSL_CIPHER* const cipher = library_.SSL_get_current_cipher(ssl_);
  return cipher != nullptr ? library_.SSL_CIPHER_get_name(cipher) : "";
}

bool TlsStream::resumed() const { return library_.SSL_session_reused(ssl_) == 1; }

}  // namespace millrace
