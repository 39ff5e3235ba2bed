#include "tls_world.h"

#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "tls_fixtures.h"

namespace millrace::fuzz {

namespace {

std::shared_ptr<const TlsContext> checked(std::shared_ptr<const TlsContext> context, const std::string& problem, Speaks version) {
  if (!context) {
    std::fprintf(stderr, "no context: %s\n", problem.c_str());
    std::abort();
  }
  if (version == Speaks::Tls12) openssl().SSL_CTX_ctrl(context->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
  return context;
}

std::shared_ptr<const TlsContext> make_server(Speaks version, bool other, bool restless = false) {
  TlsServerOptions options;
  options.certificate = other ? test::kOtherCertificate : test::kServerChain;
  options.key = other ? test::kOtherKey : test::kServerKey;
  options.front = "fuzz";
  if (restless) options.common.records_per_key = 1;
  TicketKey key;
  key.name.fill(1);
  key.secret.fill(2);
  options.tickets = std::make_shared<TicketKeys>(std::vector{key});
  std::string problem;
  return checked(TlsContext::server(openssl(), options, problem), problem, version);
}

std::shared_ptr<const TlsContext> make_client(Speaks version, bool restless) {
  TlsClientOptions options;
  options.trust.roots = test::kRoot;
  if (restless) options.common.records_per_key = 1;
  std::string problem;
  return checked(TlsContext::client(openssl(), options, problem), problem, version);
}

constexpr const char* kCiphers12[] = {"ECDHE+AESGCM", "ECDHE+CHACHA20"};
constexpr const char* kCiphers13[] = {"TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"};

std::shared_ptr<const TlsContext> make_suited(Suite suite, bool server, bool restless) {
  const Speaks version = suite == Suite::Aes12 || suite == Suite::Chacha12 ? Speaks::Tls12 : Speaks::Tls13;
  const bool chacha = suite == Suite::Chacha12 || suite == Suite::Chacha13;
  auto context = server ? make_server(version, false, restless) : make_client(version, restless);
  openssl().SSL_CTX_set_cipher_list(context->get(), kCiphers12[chacha]);
  openssl().SSL_CTX_set_ciphersuites(context->get(), kCiphers13[chacha]);
  return context;
}

// Of the system's OpenSSL, which is loaded by now.
template <class Function>
Function* found(const char* library, const char* name) {
  void* const handle = ::dlopen(library, RTLD_LAZY);
  void* const symbol = handle != nullptr ? ::dlsym(handle, name) : nullptr;
  if (symbol == nullptr) {
    std::fprintf(stderr, "%s has no %s\n", library, name);
    std::abort();
  }
  return reinterpret_cast<Function*>(symbol);
}

// openssl/rand.h
struct RandMethod {
  int (*seed)(const void*, int);
  int (*bytes)(unsigned char*, int);
  void (*cleanup)();
  int (*add)(const void*, int, double);
  int (*pseudorand)(unsigned char*, int);
  int (*status)();
};

uint64_t randomness = 0;

int fixed_bytes(unsigned char* into, int length) {
  // splitmix64.
  for (int i = 0; i < length; ++i) {
    uint64_t mixed = randomness += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    into[i] = static_cast<unsigned char>(mixed ^ mixed >> 31);
  }
  return 1;
}

int use_randomness(const void* method) {
  static const auto set = found<int(const void*)>("libcrypto.so.3", "RAND_set_rand_method");
  return set(method);
}

}  // namespace

FixedRandomness::FixedRandomness() {
  static const RandMethod method{[](const void*, int) { return 1; }, fixed_bytes, [] {},
                                 [](const void*, int, double) { return 1; }, fixed_bytes, [] { return 1; }};
  // What is made only once must take nothing of it.
  for (size_t i = 0; i < 4 * kSuites; ++i) suited(static_cast<Suite>(i / 4), (i & 2) != 0, (i & 1) != 0);
  before_ = found<const void*()>("libcrypto.so.3", "RAND_get_rand_method")();
  randomness = 0;
  use_randomness(&method);
}

FixedRandomness::~FixedRandomness() { use_randomness(before_); }

const TlsLibrary& openssl() {
  static const TlsLibrary* const found = [] {
    std::string problem;
    const TlsLibrary* const library = tls_library(TlsSource::System, problem);
    if (library == nullptr) {
      std::fprintf(stderr, "fuzzing TLS needs OpenSSL 3: %s\n", problem.c_str());
      std::abort();
    }
    return library;
  }();
  return *found;
}

std::shared_ptr<const TlsContext> serving(Speaks version, bool other) {
  static const std::shared_ptr<const TlsContext> contexts[] = {
      make_server(Speaks::Tls12, false), make_server(Speaks::Tls12, true), make_server(Speaks::Tls13, false),
      make_server(Speaks::Tls13, true)};
  return contexts[(version == Speaks::Tls13 ? 2 : 0) + (other ? 1 : 0)];
}

std::shared_ptr<const TlsContext> asking(Speaks version, bool restless) {
  static const std::shared_ptr<const TlsContext> contexts[] = {
      make_client(Speaks::Tls12, false), make_client(Speaks::Tls12, true), make_client(Speaks::Tls13, false),
      make_client(Speaks::Tls13, true)};
  return contexts[(version == Speaks::Tls13 ? 2 : 0) + (restless ? 1 : 0)];
}

std::shared_ptr<const TlsContext> suited(Suite suite, bool server, bool restless) {
  static std::array<std::shared_ptr<const TlsContext>, 4 * kSuites> made;
  std::shared_ptr<const TlsContext>& one = made[static_cast<size_t>(suite) * 4 + (server ? 2u : 0u) + (restless ? 1u : 0u)];
  if (!one) one = make_suited(suite, server, restless);
  return one;
}

}  // namespace millrace::fuzz
