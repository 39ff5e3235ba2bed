#include "tls_stream.h"

#include <arpa/inet.h>

#include <algorithm>

namespace millrace {

namespace {

bool is_address(const std::string& name) {
  uint8_t bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

// How much plaintext's records fit.
size_t plaintext_for(size_t room, size_t record) {
  const size_t whole = room / (record + TlsStream::kOverhead);
  const size_t rest = room % (record + TlsStream::kOverhead);
  return whole * record + (rest > TlsStream::kOverhead ? rest - TlsStream::kOverhead : 0);
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context)
    : connection_{.context = std::move(context), .names = nullptr, .server_name = {}, .session_key = {}},
      library_(connection_.context->library()),
      buffers_(library_) {}

TlsStream::~TlsStream() {
  if (ssl_ == nullptr) return;
  // OpenSSL would make a session useless whose connection has not been closed in order; a cut connection says nothing
  // about its keys, and many peers never close theirs.
  if (error_.fault == TlsFault::None) library_.SSL_set_shutdown(ssl_, openssl::kSentShutdown | openssl::kReceivedShutdown);
  library_.ERR_clear_error();
  library_.SSL_free(ssl_);
}

std::unique_ptr<TlsStream> TlsStream::server(std::shared_ptr<const TlsNames> names) {
  auto first = names->any();
  if (!first) return nullptr;
  auto stream = server(std::move(first));
  if (stream) stream->connection_.names = std::move(names);
  return stream;
}

std::unique_ptr<TlsStream> TlsStream::server(std::shared_ptr<const TlsContext> context) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(context)));
  if (!stream->open()) return nullptr;
  stream->library_.SSL_set_accept_state(stream->ssl_);
  return stream;
}

std::unique_ptr<TlsStream> TlsStream::client(std::shared_ptr<const TlsContext> context, const std::string& name,
                                             std::string_view address) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(context)));
  if (!stream->open() || !stream->set_name(name)) return nullptr;
  const TlsLibrary& library = stream->library_;
  TlsConnection& connection = stream->connection_;
  library.SSL_set_connect_state(stream->ssl_);
  TlsSessions* const sessions = connection.context->sessions();
  if (sessions == nullptr) return stream;
  const Sha256& trust = connection.context->id();
  connection.session_key.assign(trust.begin(), trust.end());
  connection.session_key.append(name).append(1, '\0').append(address);
  if (SSL_SESSION* const session = sessions->take(connection.session_key)) {
    // Refused: then the handshake is a full one.
    library.SSL_set_session(stream->ssl_, session);
    library.SSL_SESSION_free(session);
  }
  return stream;
}

bool TlsStream::open() {
  library_.ERR_clear_error();
  ssl_ = library_.SSL_new(connection_.context->get());
  if (ssl_ == nullptr) return false;
  library_.SSL_set_ex_data(ssl_, 0, &connection_);
  BIO* const bio = library_.BIO_new(library_.bio_method);
  if (bio == nullptr) return false;
  library_.BIO_set_data(bio, &buffers_);
  library_.BIO_set_init(bio, 1);
  library_.SSL_set_bio(ssl_, bio, bio);
  return true;
}

bool TlsStream::set_name(const std::string& name) {
  connection_.server_name = name;
  if (name.empty()) return connection_.context->trust() != TlsTrust::Kind::Roots;
  X509_VERIFY_PARAM* const checks = library_.SSL_get0_param(ssl_);
  if (is_address(name)) return library_.X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str()) == 1;
  library_.X509_VERIFY_PARAM_set_hostflags(checks, openssl::kNoPartialWildcards);
  if (library_.X509_VERIFY_PARAM_set1_host(checks, name.c_str(), name.size()) != 1) return false;
  return library_.SSL_ctrl(ssl_, openssl::kCtrlServerName, openssl::kNameTypeHost, const_cast<char*>(name.c_str())) == 1;
}

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
  if (library_.SSL_get_error(ssl_, result) != openssl::kErrorWantRead) return fail();
  end();
  if (input.ended) return fail(TlsFault::Cut, "the peer was gone before the handshake was done");
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

TlsIo TlsStream::write(TlsOutput& output, std::span<const uint8_t> plaintext, TlsRecords records, size_t& moved) {
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
