#include "tls_error.h"

namespace millrace {

namespace {

TlsError verify_error(const TlsLibrary& library, long result) {
  switch (result) {
    case openssl::kExpired:
      return make_tls_error(TlsFault::Expired, "the peer's certificate, or one of its issuers', has expired");
    case openssl::kNotYetValid:
      return make_tls_error(TlsFault::NotYetValid, "the peer's certificate, or one of its issuers', is not valid yet");
    case openssl::kSelfSigned:
      return make_tls_error(TlsFault::SelfSigned, "the peer's certificate is self-signed and not among those trusted");
    case openssl::kNoIssuer:
    case openssl::kNoLocalIssuer:
    case openssl::kNoLeafIssuer:
    case openssl::kSelfSignedInChain:
      return make_tls_error(TlsFault::UnknownIssuer, "the peer's certificate was issued by nobody who is trusted");
    case openssl::kHostMismatch:
    case openssl::kAddressMismatch:
      return make_tls_error(TlsFault::NameMismatch, "the peer's certificate is for another name");
    case openssl::kApplicationVerification:
      return make_tls_error(TlsFault::PinMismatch, "the peer's public key is not the pinned one");
    default:
      return make_tls_error(TlsFault::Untrusted, std::string("the peer's certificate was refused: ") +
                                                     library.X509_verify_cert_error_string(result));
  }
}

TlsError alert_error(int alert, const char* reason) {
  TlsError error = make_tls_error(TlsFault::Alert, "the peer refused: alert " + std::to_string(alert));
  error.alert = static_cast<uint8_t>(alert);
  if (reason != nullptr) error.text += std::string(" (") + reason + ")";
  return error;
}

}  // namespace

TlsError make_tls_error(TlsFault fault, std::string text) { return {.fault = fault, .alert = 0, .text = std::move(text)}; }

std::string openssl_reason(const TlsLibrary& library, const char* otherwise) {
  const unsigned long code = library.ERR_peek_error();
  const char* const reason = code != 0 ? library.ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : otherwise;
}

TlsError read_tls_error(const TlsLibrary& library, const SSL* ssl, bool handshaking) {
  // The first of the queue is the cause, the others what became of it.
  const unsigned long code = library.ERR_peek_error();
  if (code == 0 || (code & openssl::kSystemError) != 0) {
    return make_tls_error(TlsFault::Internal, "the TLS library failed without a reason");
  }
  const auto reason = static_cast<int>(code & openssl::kReasonMask);
  const char* const text = library.ERR_reason_error_string(code);
  // openssl/sslerr.h: the peer's alerts are 1000 and their number.
  if (reason >= openssl::kReasonAlert && reason <= openssl::kReasonAlert + UINT8_MAX) {
    return alert_error(reason - openssl::kReasonAlert, text);
  }
  switch (reason) {
    case openssl::kReasonVerifyFailed:
      return verify_error(library, library.SSL_get_verify_result(ssl));
    case openssl::kReasonHttpRequest:
    case openssl::kReasonHttpsProxyRequest:
      return make_tls_error(TlsFault::NotTls, "the peer speaks plain HTTP");
    case openssl::kReasonWrongVersion:
      if (handshaking) return make_tls_error(TlsFault::NotTls, "the peer doesn't speak TLS");
      break;
    case openssl::kReasonNoSharedCipher:
      return make_tls_error(TlsFault::NoCipher, "the peer offers no cipher suite that is allowed here");
    case openssl::kReasonUnsupportedProtocol:
    case openssl::kReasonVersionTooLow:
    case openssl::kReasonNoProtocols:
      return make_tls_error(TlsFault::NoVersion, "the peer offers no TLS version that is allowed here");
    case openssl::kReasonNoApplicationProtocol:
      return make_tls_error(TlsFault::NoProtocol, "the peer offers no application protocol that is spoken here");
    default:
      break;
  }
  return make_tls_error(TlsFault::Protocol, std::string("the peer broke the protocol: ") + (text != nullptr ? text : "unknown"));
}

}  // namespace millrace
