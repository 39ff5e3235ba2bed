// What the fuzz targets of TLS have in common: contexts that are made once, from the certificates of the engine's tests.
#pragma once

#include <memory>

#include "tls_context.h"

namespace millrace::fuzz {

enum class Speaks : uint8_t { Tls12, Tls13 };

// The system's OpenSSL; aborts when there is none.
const TlsLibrary& openssl();
// Of localhost and, `other`, of other.test.
std::shared_ptr<const TlsContext> serving(Speaks version, bool other = false);
// `restless`: new keys behind every record.
std::shared_ptr<const TlsContext> asking(Speaks version, bool restless);

}  // namespace millrace::fuzz
