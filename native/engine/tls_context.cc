#include "tls_context.h"

#include <sys/auxv.h>

#include <algorithm>

#include "tls_callbacks.h"
#include "tls_pem.h"

namespace millrace {

namespace {

// Only AEAD with a key exchange that keeps past connections secret when the key is lost. Without AES in hardware
// ChaCha20 is several times faster, and side channels are harder to come by.
constexpr const char* kAesFirst12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kChachaFirst12 =
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kAesFirst13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kChachaFirst13 = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

bool aes_in_hardware() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
  constexpr unsigned long kHwcapAes = 1 << 3;  // asm/hwcap.h
  return (::getauxval(AT_HWCAP) & kHwcapAes) != 0;
#else
  return false;
#endif
}

std::string with_reason(const TlsLibrary& library, std::string text) {
  return std::move(text) + ": " + openssl_reason(library, "no reason given");
}

}  // namespace

std::shared_ptr<const TlsContext> TlsContext::server(const TlsLibrary& library, const TlsServerOptions& options,
                                                     std::string& problem) {
  const std::shared_ptr<TlsContext> context(new TlsContext(library, true));
  problem = context->begin(options.common);
  if (problem.empty()) problem = context->set_up_server(options);
  library.ERR_clear_error();
  return problem.empty() ? context : nullptr;
}

std::shared_ptr<const TlsContext> TlsContext::client(const TlsLibrary& library, const TlsClientOptions& options,
                                                     std::string& problem) {
  const std::shared_ptr<TlsContext> context(new TlsContext(library, false));
  problem = context->begin(options.common);
  if (problem.empty()) problem = context->set_up_client(options);
  library.ERR_clear_error();
  return problem.empty() ? context : nullptr;
}

TlsContext::~TlsContext() {
  if (context_ != nullptr) library_.SSL_CTX_free(context_);
}

std::string TlsContext::begin(const TlsCommonOptions& options) {
  library_.ERR_clear_error();
  records_per_key_ = std::max<uint64_t>(options.records_per_key, 1);
  for (const std::string& protocol : options.alpn) {
    if (protocol.empty() || protocol.size() > UINT8_MAX) return "an application protocol has 1 to 255 bytes";
    alpn_ += static_cast<char>(protocol.size());
    alpn_ += protocol;
  }
  context_ = library_.SSL_CTX_new(server_ ? library_.TLS_server_method() : library_.TLS_client_method());
  if (context_ == nullptr) return with_reason(library_, "OpenSSL gave no context");
  const bool aes = aes_in_hardware();
  const long minimum = options.minimum == TlsMinimum::Tls13 ? openssl::kTls13 : openssl::kTls12;
  library_.SSL_CTX_set_options(context_, openssl::kNoCompression | openssl::kNoRenegotiation |
                                             openssl::kServerPreference | openssl::kPrioritizeChacha);
  // Without AUTO_RETRY a read comes back after each record, so that those without data can be counted.
  library_.SSL_CTX_ctrl(context_, openssl::kCtrlClearMode, openssl::kModeAutoRetry, nullptr);
  library_.SSL_CTX_ctrl(context_, openssl::kCtrlMode,
                        openssl::kModePartialWrite | openssl::kModeMovingBuffer | openssl::kModeReleaseBuffers, nullptr);
  if (library_.SSL_CTX_ctrl(context_, openssl::kCtrlMinVersion, minimum, nullptr) != 1 ||
      library_.SSL_CTX_ctrl(context_, openssl::kCtrlMaxVersion, openssl::kTls13, nullptr) != 1 ||
      library_.SSL_CTX_set_cipher_list(context_, aes ? kAesFirst12 : kChachaFirst12) != 1 ||
      library_.SSL_CTX_set_ciphersuites(context_, aes ? kAesFirst13 : kChachaFirst13) != 1) {
    return with_reason(library_, "OpenSSL doesn't know the versions and cipher suites");
  }
  return {};
}

std::string TlsContext::set_up_server(const TlsServerOptions& options) {
  if (std::string problem = use_certificate(options.certificate, options.front); !problem.empty()) return problem;
  if (std::string problem = use_key(options.key); !problem.empty()) return problem;
  tickets_ = options.tickets;
  // Tickets hold the session: nothing is kept here.
  library_.SSL_CTX_ctrl(context_, openssl::kCtrlSessionCacheMode, openssl::kSessionCacheOff, nullptr);
  if (!tickets_) {
    library_.SSL_CTX_set_options(context_, openssl::kNoTicket);
    library_.SSL_CTX_set_num_tickets(context_, 0);
  }
  library_.SSL_CTX_set_timeout(context_, options.ticket_seconds);
  library_.SSL_CTX_set_max_early_data(context_, 0);
  library_.SSL_CTX_set_session_id_context(context_, id_.data(), static_cast<unsigned>(id_.size()));
  set_server_callbacks(*this);
  return {};
}

std::string TlsContext::use_certificate(std::string_view pem, std::string_view front) {
  TlsCertificates chain(library_, pem);
  if (chain.size() == 0) return with_reason(library_, "the certificate file has no certificate in PEM");
  if (library_.SSL_CTX_use_certificate(context_, chain[0]) != 1) return with_reason(library_, "the certificate is refused");
  for (size_t i = 1; i < chain.size(); ++i) {
    if (library_.SSL_CTX_ctrl(context_, openssl::kCtrlChainCertificate, 0, chain[i]) != 1) {
      return with_reason(library_, "a certificate of the chain is refused");
    }
    chain.take(i);
  }
  const std::vector<uint8_t> der = certificate_der(library_, chain[0]);
  std::string name(front);
  name += '\0';
  name.append(der.begin(), der.end());
  id_ = sha256(library_, name);
  return {};
}

std::string TlsContext::use_key(std::string_view pem) {
  EVP_PKEY* const key = read_pem_key(library_, pem);
  // No reason of OpenSSL's: none may tell anything of the file.
  if (key == nullptr) return "the key file has no key in PEM that can be read without a password";
  const int used = library_.SSL_CTX_use_PrivateKey(context_, key);
  library_.EVP_PKEY_free(key);
  if (used != 1 || library_.SSL_CTX_check_private_key(context_) != 1) return "the key doesn't belong to the certificate";
  return {};
}

std::string TlsContext::set_up_client(const TlsClientOptions& options) {
  trust_ = options.trust.kind;
  std::string trusted(1, static_cast<char>(trust_));
  if (trust_ == TlsTrust::Kind::Roots) {
    if (std::string problem = use_roots(options.trust.roots); !problem.empty()) return problem;
    trusted += options.trust.roots;
  }
  if (trust_ == TlsTrust::Kind::Pins) {
    if (options.trust.pins.empty()) return "no public key is pinned";
    pins_ = options.trust.pins;
    for (const Sha256& pin : pins_) trusted.append(pin.begin(), pin.end());
  }
  id_ = sha256(library_, trusted);
  const bool verify = trust_ != TlsTrust::Kind::None;
  library_.SSL_CTX_set_verify(context_, verify ? openssl::kVerifyPeer : openssl::kVerifyNone, nullptr);
  sessions_ = options.sessions;
  const long cache = sessions_ ? openssl::kSessionCacheClient | openssl::kSessionCacheNoInternal : openssl::kSessionCacheOff;
  library_.SSL_CTX_ctrl(context_, openssl::kCtrlSessionCacheMode, cache, nullptr);
  if (!sessions_) library_.SSL_CTX_set_options(context_, openssl::kNoTicket);
  // 0 is success here, unlike elsewhere: SSL_CTX_set_alpn_protos(3).
  if (!alpn_.empty() && library_.SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(alpn_.data()),
                                                         static_cast<unsigned>(alpn_.size())) != 0) {
    return with_reason(library_, "the application protocols are refused");
  }
  set_client_callbacks(*this);
  return {};
}

std::string TlsContext::use_roots(std::string_view pem) {
  const TlsCertificates roots(library_, pem);
  if (roots.size() == 0) return with_reason(library_, "the CA file has no certificate in PEM");
  X509_STORE* const store = library_.X509_STORE_new();
  if (store == nullptr) return with_reason(library_, "OpenSSL gave no store");
  library_.SSL_CTX_set_cert_store(context_, store);
  // A certificate among them is trusted for itself, also when somebody else issued it.
  if (library_.X509_STORE_set_flags(store, openssl::kPartialChain) != 1) return with_reason(library_, "OpenSSL gave no store");
  for (size_t i = 0; i < roots.size(); ++i) {
    if (library_.X509_STORE_add_cert(store, roots[i]) != 1) return with_reason(library_, "a certificate of the CA file is refused");
  }
  return {};
}

std::string_view TlsContext::choose_protocol(std::string_view offered) const {
  // Both lists are runs of a length and as many bytes.
  const auto next = [](std::string_view& list) {
    const size_t length = std::min<size_t>(static_cast<uint8_t>(list[0]), list.size() - 1);
    const std::string_view entry = list.substr(1, length);
    list.remove_prefix(1 + length);
    return entry;
  };
  for (std::string_view ours = alpn_; !ours.empty();) {
    const std::string_view wanted = next(ours);
    for (std::string_view theirs = offered; !theirs.empty();) {
      const std::string_view entry = next(theirs);
      if (entry == wanted) return entry;
    }
  }
  return {};
}

bool TlsContext::pinned(const X509* certificate) const {
  const std::vector<uint8_t> key = public_key_der(library_, certificate);
  const Sha256 digest = sha256(library_, {reinterpret_cast<const char*>(key.data()), key.size()});
  return !key.empty() && std::find(pins_.begin(), pins_.end(), digest) != pins_.end();
}

}  // namespace millrace
