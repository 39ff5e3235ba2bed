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

// Of localhost, with one version and one cipher only; `restless` as above, for either role.
enum class Suite : uint8_t { Aes13, Aes12, Chacha13, Chacha12 };
inline constexpr size_t kSuites = 4;
std::shared_ptr<const TlsContext> suited(Suite suite, bool server, bool restless);

// While it lives, what OpenSSL takes for random is the same in each run, so that signatures have the same length and a
// run can be played again. For one thread.
class FixedRandomness {
 public:
  FixedRandomness();
  ~FixedRandomness();
  FixedRandomness(const FixedRandomness&) = delete;
  FixedRandomness& operator=(const FixedRandomness&) = delete;

 private:
  const void* before_;
};

}  // namespace millrace::fuzz
