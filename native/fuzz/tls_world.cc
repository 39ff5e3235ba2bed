#include "tls_world.h"

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

std::shared_ptr<const TlsContext> make_server(Speaks version, bool other) {
  TlsServerOptions options;
  options.certificate = other ? test::kOtherCertificate : test::kServerChain;
  options.key = other ? test::kOtherKey : test::kServerKey;
  options.front = "fuzz";
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

}  // namespace

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

}  // namespace millrace::fuzz
