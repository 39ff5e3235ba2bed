#include "tls_pem.h"

namespace millrace {

namespace {

// Without it OpenSSL would ask for a password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

class MemoryBio {
 public:
  MemoryBio(const TlsLibrary& library, std::string_view bytes)
      : library_(library), bio_(library.BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))) {}
  ~MemoryBio() { library_.BIO_free(bio_); }
  MemoryBio(const MemoryBio&) = delete;
  MemoryBio& operator=(const MemoryBio&) = delete;
  BIO* get() const { return bio_; }

 private:
  const TlsLibrary& library_;
  BIO* bio_;
};

// Of openssl/pemerr.h.
constexpr unsigned long kNoStartLine = 108;

template <typename Encode>
std::vector<uint8_t> der(Encode encode) {
  const int length = encode(nullptr);
  if (length <= 0) return {};
  std::vector<uint8_t> bytes(static_cast<size_t>(length));
  unsigned char* end = bytes.data();
  if (encode(&end) != length) return {};
  return bytes;
}

}  // namespace

TlsCertificates::TlsCertificates(const TlsLibrary& library, std::string_view pem) : library_(library) {
  library.ERR_clear_error();
  const MemoryBio bio(library, pem);
  if (bio.get() == nullptr) return;
  while (X509* const next = library.PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) list_.push_back(next);
  // The end looks like an error as well: nothing that starts.
  if ((library.ERR_peek_error() & openssl::kReasonMask) == kNoStartLine) {
    library.ERR_clear_error();
    return;
  }
  for (X509* const certificate : list_) library.X509_free(certificate);
  list_.clear();
}

TlsCertificates::~TlsCertificates() {
  for (X509* const certificate : list_) {
    if (certificate != nullptr) library_.X509_free(certificate);
  }
}

X509* TlsCertificates::take(size_t index) {
  X509* const taken = list_[index];
  list_[index] = nullptr;
  return taken;
}

EVP_PKEY* read_pem_key(const TlsLibrary& library, std::string_view pem) {
  library.ERR_clear_error();
  const MemoryBio bio(library, pem);
  if (bio.get() == nullptr) return nullptr;
  return library.PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
}

std::array<uint8_t, 32> sha256(const TlsLibrary& library, std::string_view bytes) {
  std::array<uint8_t, 32> digest{};
  unsigned length = 0;
  library.EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, library.EVP_sha256(), nullptr);
  return digest;
}

std::vector<uint8_t> certificate_der(const TlsLibrary& library, const X509* certificate) {
  return der([&](unsigned char** end) { return library.i2d_X509(certificate, end); });
}

std::vector<uint8_t> public_key_der(const TlsLibrary& library, const X509* certificate) {
  const X509_PUBKEY* const key = library.X509_get_X509_PUBKEY(certificate);
  return der([&](unsigned char** end) { return library.i2d_X509_PUBKEY(key, end); });
}

}  // namespace millrace
