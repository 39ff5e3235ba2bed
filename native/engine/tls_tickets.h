// The keys that session tickets are sealed with (RFC 5077 section 4, RFC 8446 section 4.6.1). The control plane makes,
// rotates and forgets them; every worker, and every relay that is given the same ones, opens what another has sealed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tls_library.h"

namespace millrace {

struct TicketKey {
  std::array<uint8_t, openssl::kTicketNameBytes> name;  // unique, not secret
  std::array<uint8_t, 32> secret;                       // random
};

// For any thread.
class TicketKeys {
 public:
  static constexpr size_t kIdBytes = 32;

  explicit TicketKeys(std::vector<TicketKey> keys) { set(std::move(keys)); }

  // The first seals, all of them open. None: nothing is sealed or opened.
  void set(std::vector<TicketKey> keys);
  bool empty() const { return snapshot()->empty(); }

  // What SSL_CTX_set_tlsext_ticket_key_evp_cb(3) asks for. `id` tells contexts apart: each has keys of its own, so that
  // a ticket of one front or certificate is none at another.
  int seal(const TlsLibrary& library, std::span<const uint8_t> id, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
           EVP_MAC_CTX* mac) const;
  int open(const TlsLibrary& library, std::span<const uint8_t> id, const uint8_t* name, const uint8_t* iv,
           EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) const;

 private:
  std::shared_ptr<const std::vector<TicketKey>> snapshot() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<TicketKey>> keys_;
};

}  // namespace millrace
