#include "tls_callbacks.h"

namespace millrace {

namespace {

// Of SSL_CTX_set_tlsext_ticket_key_evp_cb(3): the ticket is good; it is, and the client gets another.
constexpr int kOpened = 1;
constexpr int kOpenedRenew = 2;

TlsConnection& connection_of(const SSL* ssl) {
  return *static_cast<TlsConnection*>(loaded_tls_library().SSL_get_ex_data(ssl, 0));
}

// Lets OpenSSL not even begin a ticket where there is no key for it: in TLS 1.3 it would send an empty one.
int decide_tickets(SSL* ssl, const TlsContext& context) {
  const bool sealable = context.tickets() != nullptr && !context.tickets()->empty();
  if (!sealable) loaded_tls_library().SSL_set_num_tickets(ssl, 0);
  return openssl::kHelloSuccess;
}

// Before OpenSSL looks at tickets, unlike the older callback for the server's name: those of the chosen context count.
int choose_context(SSL* ssl, int* alert, void*) {
  const TlsLibrary& library = loaded_tls_library();
  TlsConnection& connection = connection_of(ssl);
  const unsigned char* extension = nullptr;
  size_t length = 0;
  if (library.SSL_client_hello_get0_ext(ssl, openssl::kExtensionServerName, &extension, &length) == 1) {
    connection.server_name = parse_server_name({extension, length});
  }
  // There is no choice, or this is a second hello after a HelloRetryRequest.
  if (!connection.names) return decide_tickets(ssl, *connection.context);
  auto chosen = connection.names->find(connection.server_name);
  connection.names.reset();
  if (!chosen || (chosen != connection.context && library.SSL_set_SSL_CTX(ssl, chosen->get()) == nullptr)) {
    connection.fault = chosen ? TlsFault::Internal : TlsFault::NoCertificate;
    *alert = openssl::kAlertUnrecognizedName;
    return openssl::kHelloError;
  }
  connection.context = std::move(chosen);
  return decide_tickets(ssl, *connection.context);
}

int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_length, const unsigned char* offered,
                    unsigned length, void*) {
  TlsConnection& connection = connection_of(ssl);
  const std::string_view found =
      connection.context->choose_protocol({reinterpret_cast<const char*>(offered), length});
  if (found.empty()) {
    connection.fault = TlsFault::NoProtocol;
    return openssl::kCallbackFatal;
  }
  *chosen = reinterpret_cast<const unsigned char*>(found.data());
  *chosen_length = static_cast<unsigned char>(found.size());
  return openssl::kCallbackOk;
}

int use_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int seal) {
  const TlsLibrary& library = loaded_tls_library();
  const TlsContext& context = *connection_of(ssl).context;
  const TicketKeys* const keys = context.tickets();
  if (keys == nullptr) return 0;
  if (seal == 1) return keys->seal(library, context.id(), name, iv, cipher, mac);
  const int opened = keys->open(library, context.id(), name, iv, cipher, mac);
  // A client of TLS 1.3 uses a ticket once, and would have none for its next connection.
  return opened == kOpened && library.SSL_version(ssl) == openssl::kTls13 ? kOpenedRenew : opened;
}

// Comes once the server is verified: with its tickets, or at the end of a handshake of TLS 1.2.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  const TlsConnection& connection = connection_of(ssl);
  TlsSessions* const sessions = connection.context->sessions();
  if (sessions == nullptr || loaded_tls_library().SSL_SESSION_is_resumable(session) != 1) return 0;
  sessions->put(connection.session_key, session);
  return 1;
}

int check_pins(X509_STORE_CTX* store, void* context) {
  const TlsLibrary& library = loaded_tls_library();
  const X509* const certificate = library.X509_STORE_CTX_get0_cert(store);
  if (certificate != nullptr && static_cast<const TlsContext*>(context)->pinned(certificate)) {
    library.X509_STORE_CTX_set_error(store, static_cast<int>(openssl::kVerifyOk));
    return 1;
  }
  library.X509_STORE_CTX_set_error(store, static_cast<int>(openssl::kApplicationVerification));
  return 0;
}

}  // namespace

void set_server_callbacks(const TlsContext& context) {
  const TlsLibrary& library = context.library();
  library.SSL_CTX_set_client_hello_cb(context.get(), choose_context, nullptr);
  library.SSL_CTX_set_tlsext_ticket_key_evp_cb(context.get(), use_ticket_key);
  if (context.asks_protocol()) library.SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
}

void set_client_callbacks(const TlsContext& context) {
  const TlsLibrary& library = context.library();
  library.SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  if (context.trust() != TlsTrust::Kind::Pins) return;
  library.SSL_CTX_set_cert_verify_callback(context.get(), check_pins, const_cast<TlsContext*>(&context));
}

}  // namespace millrace
