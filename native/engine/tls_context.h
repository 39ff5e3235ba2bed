// What TLS connections of one kind have in common: certificate and key, or whom to trust, versions, ciphers,
// application protocols, tickets. Immutable and shared by all workers; OpenSSL counts references atomically and takes
// no lock for a context that nobody changes.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tls_library.h"
#include "tls_sessions.h"
#include "tls_tickets.h"

namespace millrace {

using Sha256 = std::array<uint8_t, 32>;

enum class TlsMinimum : uint8_t { Tls12, Tls13 };

struct TlsCommonOptions {
  TlsMinimum minimum = TlsMinimum::Tls12;
  // Most wanted first, each of 1 to 255 bytes. A server with a list refuses clients that offer none of it, and takes
  // those that don't ask.
  std::vector<std::string> alpn;
  // A key is used for so many records of TLS 1.3 (RFC 8446 section 5.5 allows AES-GCM 2^24.5).
  uint64_t records_per_key = uint64_t{1} << 23;
};

struct TlsServerOptions {
  TlsCommonOptions common;
  std::string_view certificate;  // PEM, the server's own first, then its issuers'
  std::string_view key;          // PEM, not encrypted
  // Names what the certificate is used for: tickets of one front are none at another.
  std::string_view front;
  std::shared_ptr<const TicketKeys> tickets;  // null: every handshake is a full one
  long ticket_seconds = 7200;
};

struct TlsTrust {
  enum class Kind : uint8_t {
    Roots,  // a chain to one of `roots`, the validity period and the name are checked
    Pins,   // the public key is one of `pins`, and nothing else is asked
    None,   // whoever answers
  };
  Kind kind = Kind::Roots;
  std::string_view roots;    // PEM: the user's CA file, or the roots of Node or the system
  std::vector<Sha256> pins;  // of the SubjectPublicKeyInfo (RFC 7469 section 2.4)
};

struct TlsClientOptions {
  TlsCommonOptions common;
  TlsTrust trust;
  std::shared_ptr<TlsSessions> sessions;  // null: every handshake is a full one
};

class TlsContext {
 public:
  // Null when refused, and `problem` then says why.
  static std::shared_ptr<const TlsContext> server(const TlsLibrary& library, const TlsServerOptions& options,
                                                  std::string& problem);
  static std::shared_ptr<const TlsContext> client(const TlsLibrary& library, const TlsClientOptions& options,
                                                  std::string& problem);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const TlsLibrary& library() const { return library_; }
  SSL_CTX* get() const { return context_; }
  bool is_server() const { return server_; }
  TlsTrust::Kind trust() const { return trust_; }
  uint64_t records_per_key() const { return records_per_key_; }
  // Server: of front and certificate. Client: of whom it trusts.
  const Sha256& id() const { return id_; }
  const TicketKeys* tickets() const { return tickets_.get(); }
  TlsSessions* sessions() const { return sessions_.get(); }
  bool asks_protocol() const { return !alpn_.empty(); }
  // The first of its protocols that is in `offered` (the list of RFC 7301 section 3.1); empty when there is none. The
  // bytes are those of `offered`.
  std::string_view choose_protocol(std::string_view offered) const;
  // The certificate's public key is pinned.
  bool pinned(const X509* certificate) const;

 private:
  TlsContext(const TlsLibrary& library, bool server) : library_(library), server_(server) {}

  std::string begin(const TlsCommonOptions& options);
  std::string set_up_server(const TlsServerOptions& options);
  std::string set_up_client(const TlsClientOptions& options);
  std::string use_certificate(std::string_view pem, std::string_view front);
  std::string use_key(std::string_view pem);
  std::string use_roots(std::string_view pem);

  const TlsLibrary& library_;
  const bool server_;
  SSL_CTX* context_ = nullptr;
  std::string alpn_;  // each protocol behind its length
  uint64_t records_per_key_ = 0;
  TlsTrust::Kind trust_ = TlsTrust::Kind::None;
  std::vector<Sha256> pins_;
  Sha256 id_{};
  std::shared_ptr<const TicketKeys> tickets_;
  std::shared_ptr<TlsSessions> sessions_;
};

}  // namespace millrace
