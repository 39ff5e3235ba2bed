// PEM (RFC 7468) to OpenSSL's objects, and their digests.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "tls_library.h"

namespace millrace {

// Owns certificates while a context is being made.
class TlsCertificates {
 public:
  // All that are in `pem`; none when it has none, or one that can't be read.
  TlsCertificates(const TlsLibrary& library, std::string_view pem);
  ~TlsCertificates();
  TlsCertificates(const TlsCertificates&) = delete;
  TlsCertificates& operator=(const TlsCertificates&) = delete;

  size_t size() const { return list_.size(); }
  X509* operator[](size_t index) const { return list_[index]; }
  // The caller's from now on.
  X509* take(size_t index);

 private:
  const TlsLibrary& library_;
  std::vector<X509*> list_;
};

// The caller's to free; null when there is none, or it is encrypted.
EVP_PKEY* read_pem_key(const TlsLibrary& library, std::string_view pem);

std::array<uint8_t, 32> sha256(const TlsLibrary& library, std::string_view bytes);
// DER (X.690); empty when OpenSSL can't.
std::vector<uint8_t> certificate_der(const TlsLibrary& library, const X509* certificate);
std::vector<uint8_t> public_key_der(const TlsLibrary& library, const X509* certificate);

}  // namespace millrace
