#include "tls_tickets.h"

#include <algorithm>
#include <cstring>

namespace millrace {

namespace {

// What the callback of SSL_CTX_set_tlsext_ticket_key_evp_cb(3) returns.
constexpr int kRefuse = -1;
constexpr int kUnknown = 0;
constexpr int kDone = 1;
constexpr int kRenew = 2;

// struct ossl_param_st of openssl/core.h.
struct Parameter {
  const char* key;
  unsigned type;
  void* data;
  size_t size;
  size_t returned;
};

struct Derived {
  uint8_t bytes[64];
  const TlsLibrary& library;

  // One HMAC for each half (RFC 5869 section 2.3 with the key as it is, as it is random already).
  Derived(const TlsLibrary& lib, const TicketKey& key, std::span<const uint8_t> id) : library(lib) {
    uint8_t info[TicketKeys::kIdBytes + 1] = {};
    std::memcpy(info, id.data(), std::min(id.size(), TicketKeys::kIdBytes));
    for (uint8_t half = 0; half < 2; ++half) {
      info[TicketKeys::kIdBytes] = static_cast<uint8_t>(half + 1);
      unsigned length = 0;
      lib.HMAC(lib.EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()), info, sizeof info,
               bytes + half * size_t{32}, &length);
    }
  }
  ~Derived() { library.OPENSSL_cleanse(bytes, sizeof bytes); }
  Derived(const Derived&) = delete;
  Derived& operator=(const Derived&) = delete;

  const uint8_t* cipher_key() const { return bytes; }

  bool set_mac(EVP_MAC_CTX* mac) {
    static char key_name[] = "key";
    static char digest_name[] = "digest";
    static char digest[] = "SHA256";
    const Parameter parameters[] = {
        {key_name, openssl::kParameterBytes, bytes + 32, 32, SIZE_MAX},
        {digest_name, openssl::kParameterText, digest, sizeof digest - 1, SIZE_MAX},
        {nullptr, 0, nullptr, 0, 0},
    };
    return library.EVP_MAC_CTX_set_params(mac, reinterpret_cast<const OSSL_PARAM*>(parameters)) == 1;
  }
};

}  // namespace

void TicketKeys::set(std::vector<TicketKey> keys) {
  auto next = std::make_shared<const std::vector<TicketKey>>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_.swap(next);
}

std::shared_ptr<const std::vector<TicketKey>> TicketKeys::snapshot() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

int TicketKeys::seal(const TlsLibrary& library, std::span<const uint8_t> id, uint8_t* name, uint8_t* iv,
                     EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) const {
  const auto keys = snapshot();
  if (keys->empty()) return kUnknown;
  const TicketKey& key = keys->front();
  Derived derived(library, key, id);
  if (library.RAND_bytes(iv, openssl::kBlockIvBytes) != 1) return kRefuse;
  std::memcpy(name, key.name.data(), key.name.size());
  if (library.EVP_EncryptInit_ex(cipher, library.EVP_aes_256_cbc(), nullptr, derived.cipher_key(), iv) != 1) return kRefuse;
  return derived.set_mac(mac) ? kDone : kRefuse;
}

int TicketKeys::open(const TlsLibrary& library, std::span<const uint8_t> id, const uint8_t* name, const uint8_t* iv,
                     EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) const {
  const auto keys = snapshot();
  const auto named = [name](const TicketKey& key) { return std::memcmp(key.name.data(), name, key.name.size()) == 0; };
  const auto key = std::find_if(keys->begin(), keys->end(), named);
  if (key == keys->end()) return kUnknown;
  Derived derived(library, *key, id);
  if (library.EVP_DecryptInit_ex(cipher, library.EVP_aes_256_cbc(), nullptr, derived.cipher_key(), iv) != 1) return kRefuse;
  if (!derived.set_mac(mac)) return kRefuse;
  return key == keys->begin() ? kDone : kRenew;
}

}  // namespace millrace
