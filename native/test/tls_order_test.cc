// Calls that come too early or too late.
#include <doctest/doctest.h>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

TEST_CASE("tls stream: nothing can be written behind close_notify") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  REQUIRE(pair.shake());
  pair.close(pair.client, pair.server);
  Bytes out(1000);
  TlsOutput output{.room = out};
  const uint8_t byte = 1;
  size_t n = 0;
  CHECK(pair.client.stream->write(output, {&byte, 1}, TlsRecords::Small, n) == TlsIo::Failed);
  CHECK(output.used == 0);
}

TEST_CASE("tls stream: neither reads nor writes before its handshake") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  Bytes out(1000);
  TlsOutput output{.room = out};
  TlsInput input;
  uint8_t byte = 1;
  size_t n = 0;
  CHECK(pair.client.stream->write(output, {&byte, 1}, TlsRecords::Small, n) == TlsIo::WantInput);
  CHECK(pair.client.stream->read(input, output, {&byte, 1}, n) == TlsIo::WantInput);
  CHECK(pair.client.stream->close(output) == TlsIo::WantInput);
  CHECK(output.used == 0);
}

}  // namespace millrace::test
