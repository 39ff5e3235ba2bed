// Why a TLS connection failed: a code for programs, a sentence for people.
#pragma once

#include <cstdint>
#include <string>

#include "tls_library.h"

namespace millrace {

enum class TlsFault : uint8_t {
  None,
  NotTls,         // the peer speaks something else
  NoVersion,      // no protocol version in common
  NoCipher,       // no cipher suite in common
  NoProtocol,     // no application protocol in common (ALPN)
  NoCertificate,  // no certificate for the name that the client asks for
  Expired,
  NotYetValid,
  UnknownIssuer,
  SelfSigned,
  NameMismatch,
  PinMismatch,
  Untrusted,      // another check of the certificate failed; the sentence names it
  Alert,          // the peer refused; `alert` is its word (RFC 8446 section 6)
  Cut,            // the peer was gone before the handshake was done
  Flood,          // too many records in a row that carry no data
  Protocol,       // the peer broke the protocol, or its bytes were changed on the way
  Internal,       // out of memory, or OpenSSL refused something
  TimedOut,       // the handshake was not done by its deadline
  Busy,           // too many handshakes are under way
};

struct TlsError {
  TlsFault fault = TlsFault::None;
  uint8_t alert = 0;
  std::string text;  // one sentence without a full stop, empty while there is no error
};

// The error of a fault that is ours to find.
TlsError make_tls_error(TlsFault fault, std::string text);
// What OpenSSL's queue of this thread says; `handshaking`: before the handshake was done.
TlsError read_tls_error(const TlsLibrary& library, const SSL* ssl, bool handshaking);
// The reason of the first error in the queue, or `otherwise`.
std::string openssl_reason(const TlsLibrary& library, const char* otherwise);

}  // namespace millrace
