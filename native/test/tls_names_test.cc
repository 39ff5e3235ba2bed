#include "tls_names.h"

#include <doctest/doctest.h>

#include <string>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

namespace {

Bytes extension(std::string_view name, uint8_t type = 0) {
  Bytes bytes;
  const auto two = [&](size_t n) {
    bytes.push_back(static_cast<uint8_t>(n >> 8));
    bytes.push_back(static_cast<uint8_t>(n));
  };
  two(name.size() + 3);
  bytes.push_back(type);
  two(name.size());
  bytes.insert(bytes.end(), name.begin(), name.end());
  return bytes;
}

TlsServerOptions serving(const char* certificate, const char* key) {
  TlsServerOptions options = server_options();
  options.certificate = certificate;
  options.key = key;
  return options;
}

std::shared_ptr<const TlsNames> names(bool with_default) {
  return std::make_shared<const TlsNames>(
      std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{
          {"other.test", server_context(serving(kOtherCertificate, kOtherKey))},
          {"*.wild.test", server_context(serving(kWildCertificate, kWildKey))}},
      with_default ? server_context(server_options()) : nullptr);
}

}  // namespace

TEST_CASE("tls names: what a ClientHello may carry") {
  CHECK(parse_server_name(extension("Example.TEST")) == "example.test");
  CHECK(parse_server_name(extension("example.test.")) == "example.test");
  CHECK(parse_server_name(extension("a_b-1.test")) == "a_b-1.test");
  CHECK(parse_server_name(extension(std::string(255, 'a'))).size() == 255);
  for (const char* odd : {"", ".", "a b", "a/b", "a\xc3\xa9", "a:1", "*.test"}) CHECK(parse_server_name(extension(odd)) == "");
  CHECK(parse_server_name(extension(std::string(256, 'a'))) == "");
  CHECK(parse_server_name(extension(std::string("a\0b", 3))) == "");
  CHECK(parse_server_name(extension("other.type", 1)) == "");
  const Bytes whole = extension("example.test");
  for (size_t cut = 0; cut < whole.size(); ++cut) CHECK(parse_server_name({whole.data(), cut}) == "");
  Bytes longer = whole;
  longer.push_back(0);
  CHECK(parse_server_name(longer) == "");
  Bytes lying = whole;
  lying[4] = 0xff;
  CHECK(parse_server_name(lying) == "");
}

TEST_CASE("tls names: the exact one before the wildcard before the default") {
  const auto set = names(true);
  const auto other = set->find("other.test");
  const auto wild = set->find("a.wild.test");
  const auto rest = set->find("");
  CHECK(static_cast<bool>(other));
  CHECK(static_cast<bool>(wild));
  CHECK(static_cast<bool>(rest));
  const bool different = other != wild && wild != rest && other != rest;
  CHECK(different);
  for (const char* name : {"a.other.test", "wild.test", "a.b.wild.test", ".wild.test", "nowhere", "*.wild.test.x"}) {
    const bool fell_back = set->find(name) == rest;
    CHECK_MESSAGE(fell_back, name);
  }
  CHECK_FALSE(static_cast<bool>(names(false)->find("nowhere.test")));
}

TEST_CASE("tls names: a connection gets the certificate of the name it asks for") {
  for (const char* name : {"other.test", "a.wild.test", "localhost", "relay.test"}) {
    TlsPair pair(names(true), client_context(client_options()), name);
    CHECK_MESSAGE(pair.shake(), name);
    CHECK(pair.server.stream->server_name() == name);
  }
}

TEST_CASE("tls names: without a default, who asks for another name, or for none, is told") {
  TlsPair pair(names(false), client_context(client_options()), "localhost");
  CHECK_FALSE(pair.shake());
  CHECK(pair.server.stream->error().fault == TlsFault::NoCertificate);
  CHECK(pair.client.stream->error().fault == TlsFault::Alert);
  CHECK(pair.client.stream->error().alert == 112);
  TlsPair nameless(names(false), client_context(client_options()), "127.0.0.1");
  CHECK_FALSE(nameless.shake());
  CHECK(nameless.server.stream->error().fault == TlsFault::NoCertificate);
  CHECK_FALSE(TlsStream::server(std::make_shared<const TlsNames>(
      std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{}, nullptr)));
}

TEST_CASE("tls names: a change counts for connections that begin after it") {
  TlsFront front(names(true));
  TlsPair before(front.get(), client_context(client_options()), "other.test");
  front.set(std::make_shared<const TlsNames>(std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{},
                                             server_context(server_options())));
  REQUIRE(before.shake());
  TlsPair after(front.get(), client_context(client_options()), "other.test");
  CHECK_FALSE(after.shake());
  CHECK(after.client.stream->error().fault == TlsFault::NameMismatch);
  std::string heard;
  before.write(before.client, before.server, "still");
  before.read(before.server, before.client, heard);
  CHECK(heard == "still");
}

}  // namespace millrace::test
