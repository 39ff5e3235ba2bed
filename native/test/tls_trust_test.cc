#include <doctest/doctest.h>

#include <string>

#include "tls_fixtures.h"
#include "tls_pair.h"
#include "tls_pem.h"

namespace millrace::test {

namespace {

Sha256 pin_of(const char* pem) {
  const TlsCertificates certificates(library(), pem);
  const std::vector<uint8_t> key = public_key_der(library(), certificates[0]);
  return sha256(library(), {reinterpret_cast<const char*>(key.data()), key.size()});
}

TlsServerOptions serving(const char* certificate, const char* key) {
  TlsServerOptions options = server_options();
  options.certificate = certificate;
  options.key = key;
  return options;
}

// The client's fault, once the handshake has failed.
TlsFault refused(const TlsServerOptions& serve, const TlsClientOptions& ask, const std::string& name) {
  TlsPair pair(server_context(serve), client_context(ask), name);
  CHECK_FALSE(pair.shake());
  CHECK_FALSE(pair.client.stream->established());
  CHECK_FALSE(pair.client.stream->error().text.empty());
  // The server hears of it.
  CHECK(pair.server.stream->error().fault == TlsFault::Alert);
  CHECK(pair.server.stream->error().alert != 0);
  return pair.client.stream->error().fault;
}

bool accepted(const TlsServerOptions& serve, const TlsClientOptions& ask, const std::string& name) {
  TlsPair pair(server_context(serve), client_context(ask), name);
  return pair.shake();
}

}  // namespace

TEST_CASE("tls trust: a chain to a root that is trusted, for the name or the address") {
  for (const char* name : {"localhost", "relay.test", "127.0.0.1", "::1"}) {
    CHECK(accepted(server_options(), client_options(), name));
  }
  CHECK(accepted(serving(kWildCertificate, kWildKey), client_options(), "a.wild.test"));
}

TEST_CASE("tls trust: each failed check has its own word") {
  CHECK(refused(server_options(), client_options(), "other.test") == TlsFault::NameMismatch);
  CHECK(refused(server_options(), client_options(), "127.0.0.2") == TlsFault::NameMismatch);
  CHECK(refused(serving(kWildCertificate, kWildKey), client_options(), "a.b.wild.test") == TlsFault::NameMismatch);
  CHECK(refused(serving(kExpiredCertificate, kExpiredKey), client_options(), "localhost") == TlsFault::Expired);
  CHECK(refused(serving(kFutureCertificate, kFutureKey), client_options(), "localhost") == TlsFault::NotYetValid);
  CHECK(refused(serving(kSelfSignedCertificate, kSelfSignedKey), client_options(), "localhost") == TlsFault::SelfSigned);
  TlsClientOptions stranger = client_options();
  stranger.trust.roots = kOtherRoot;
  CHECK(refused(server_options(), stranger, "localhost") == TlsFault::UnknownIssuer);
}

TEST_CASE("tls trust: a self-signed certificate that is a root itself") {
  TlsClientOptions ask = client_options();
  ask.trust.roots = kSelfSignedCertificate;
  CHECK(accepted(serving(kSelfSignedCertificate, kSelfSignedKey), ask, "localhost"));
}

TEST_CASE("tls trust: a pinned key is all that counts") {
  TlsClientOptions ask;
  ask.trust.kind = TlsTrust::Kind::Pins;
  ask.trust.pins = {pin_of(kOtherCertificate), pin_of(kServerChain)};
  CHECK(accepted(server_options(), ask, "whatever.test"));
  CHECK(accepted(server_options(), ask, ""));
  ask.trust.pins = {pin_of(kOtherCertificate)};
  CHECK(refused(server_options(), ask, "localhost") == TlsFault::PinMismatch);
}

TEST_CASE("tls trust: none, when it is asked for") {
  TlsClientOptions ask;
  ask.trust.kind = TlsTrust::Kind::None;
  CHECK(accepted(serving(kSelfSignedCertificate, kSelfSignedKey), ask, "elsewhere.test"));
}

TEST_CASE("tls trust: a client that checks names must have one") {
  CHECK_FALSE(TlsStream::client(client_context(client_options()), "", "192.0.2.1:443"));
}

TEST_CASE("tls context: what can't be used is refused with a sentence") {
  std::string problem;
  const auto serve = [&](const TlsServerOptions& options) {
    return TlsContext::server(library(), options, problem) == nullptr;
  };
  CHECK(serve(serving("no certificate", kServerKey)));
  CHECK(problem.starts_with("the certificate file has no certificate in PEM"));
  CHECK(serve(serving(kServerChain, "no key")));
  CHECK(problem == "the key file has no key in PEM that can be read without a password");
  CHECK(serve(serving(kServerChain, kOtherKey)));
  CHECK(problem == "the key doesn't belong to the certificate");
  TlsServerOptions odd = server_options();
  odd.common.alpn = {""};
  CHECK(serve(odd));
  CHECK(problem == "an application protocol has 1 to 255 bytes");
  std::string broken = std::string(kServerChain).substr(0, 800);
  CHECK(serve(serving(broken.c_str(), kServerKey)));

  TlsClientOptions ask;
  CHECK_FALSE(TlsContext::client(library(), ask, problem));
  CHECK(problem.starts_with("the CA file has no certificate in PEM"));
  ask.trust.kind = TlsTrust::Kind::Pins;
  CHECK_FALSE(TlsContext::client(library(), ask, problem));
  CHECK(problem == "no public key is pinned");
}

TEST_CASE("tls versions: the minimum is kept by both") {
  TlsServerOptions serve = server_options();
  serve.common.minimum = TlsMinimum::Tls13;
  TlsPair newer(server_context(serve), client_context(client_options()));
  REQUIRE(newer.shake());
  CHECK(std::string(newer.client.stream->version()) == "TLSv1.3");

  auto old_client = client_context(client_options());
  library().SSL_CTX_ctrl(old_client->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
  TlsPair older(server_context(serve), old_client);
  CHECK_FALSE(older.shake());
  CHECK(older.server.stream->error().fault == TlsFault::NoVersion);
  CHECK(older.client.stream->error().fault == TlsFault::Alert);
}

TEST_CASE("tls ciphers: nothing but ECDHE with AEAD") {
  auto weak = client_context(client_options());
  library().SSL_CTX_ctrl(weak->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
  REQUIRE(library().SSL_CTX_set_cipher_list(weak->get(), "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256") == 1);
  TlsPair pair(server_context(server_options()), weak);
  CHECK_FALSE(pair.shake());
  CHECK(pair.server.stream->error().fault == TlsFault::NoCipher);
}

TEST_CASE("tls alpn: a client that offers none of ours is refused, one that asks for nothing is not") {
  TlsServerOptions serve = server_options();
  serve.common.alpn = {"http/1.1"};
  TlsClientOptions ask = client_options();
  ask.common.alpn = {"h2", "millrace/2"};
  TlsPair pair(server_context(serve), client_context(ask));
  CHECK_FALSE(pair.shake());
  CHECK(pair.server.stream->error().fault == TlsFault::NoProtocol);
  CHECK(pair.client.stream->error().fault == TlsFault::Alert);
  CHECK(pair.client.stream->error().alert == 120);

  TlsPair silent(server_context(serve), client_context(client_options()));
  REQUIRE(silent.shake());
  CHECK(silent.server.stream->protocol() == "");

  TlsPair deaf(server_context(server_options()), client_context(ask));
  REQUIRE(deaf.shake());
  CHECK(deaf.client.stream->protocol() == "");
}

}  // namespace millrace::test
