// How TLS streams begin and end.
#include <arpa/inet.h>

#include "tls_stream.h"

namespace millrace {

namespace {

bool is_address(const std::string& name) {
  uint8_t bytes[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
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

}  // namespace millrace
