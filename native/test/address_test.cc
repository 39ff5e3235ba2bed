#include "address.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

namespace millrace::test {

TEST_CASE("address: IPv4") {
  SocketAddress address;
  REQUIRE(address.set_inet("192.0.2.7", 8080));
  CHECK(address.is_tcp());
  CHECK_FALSE(address.is_wildcard());
  const PackedAddress packed = address.pack();
  CHECK(packed.family == 4);
  CHECK(packed.port == 8080);
  const uint8_t expected[] = {192, 0, 2, 7};
  CHECK(std::memcmp(packed.bytes, expected, 4) == 0);
  REQUIRE(address.set_inet("0.0.0.0", 0));
  CHECK(address.is_wildcard());
}

TEST_CASE("address: IPv6, with and without a zone") {
  SocketAddress address;
  REQUIRE(address.set_inet("2001:db8::1", 443));
  CHECK(address.is_tcp());
  CHECK_FALSE(address.is_wildcard());
  PackedAddress packed = address.pack();
  CHECK(packed.family == 6);
  CHECK(packed.port == 443);
  CHECK(packed.scope == 0);
  CHECK(packed.bytes[0] == 0x20);
  CHECK(packed.bytes[15] == 1);
  REQUIRE(address.set_inet("::", 1));
  CHECK(address.is_wildcard());
  REQUIRE(address.set_inet("fe80::1%7", 1));
  CHECK(address.pack().scope == 7);
  REQUIRE(address.set_inet("fe80::1%lo", 1));
  CHECK(address.pack().scope == 1);
  CHECK_FALSE(address.set_inet("fe80::1%7x", 1));
  CHECK_FALSE(address.set_inet("fe80::1%no-such-interface", 1));
}

TEST_CASE("address: what is no literal is refused") {
  SocketAddress address;
  for (const char* host : {"", "localhost", "1.2.3", "256.1.1.1", "[::1]", "::1::", "1.2.3.4 ", "12345"}) {
    CAPTURE(host);
    CHECK_FALSE(address.set_inet(host, 1));
  }
  // The system's parser sees what is before the NUL only.
  CHECK_FALSE(address.set_inet(std::string_view("127.0.0.1\0x", 11), 1));
}

TEST_CASE("address: unix paths up to 107 bytes") {
  SocketAddress address;
  CHECK_FALSE(address.set_unix(""));
  CHECK_FALSE(address.set_unix(std::string(108, 'x')));
  CHECK_FALSE(address.set_unix(std::string_view("/tmp/a\0b", 8)));
  CHECK_FALSE(address.set_unix(std::string_view("\0abstract", 9)));
  CHECK_FALSE(address.set_unix(std::string_view("/tmp/a\0", 7)));
  REQUIRE(address.set_unix(std::string(107, 'x')));
  CHECK_FALSE(address.is_tcp());
  CHECK_FALSE(address.is_wildcard());
  CHECK(address.pack().family == 0);
}

TEST_CASE("address: loopback") {
  const auto is_loopback = [](const char* host) {
    SocketAddress address;
    REQUIRE(address.set_inet(host, 1));
    return address.is_loopback();
  };
  for (const char* host : {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"}) CHECK(is_loopback(host));
  for (const char* host : {"0.0.0.0", "128.0.0.1", "126.255.255.255", "10.0.0.1", "::", "::2", "::127.0.0.1", "::ffff:10.0.0.1", "fe80::1"}) {
    CHECK_FALSE(is_loopback(host));
  }
  SocketAddress unix;
  REQUIRE(unix.set_unix("/tmp/x"));
  CHECK_FALSE(unix.is_loopback());
}

}  // namespace millrace::test
