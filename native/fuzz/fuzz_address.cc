// The parser of addresses. The input's first byte chooses the parser, the next two are the port, the rest is the text.
#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

#include "address.h"
#include "targets.h"

namespace millrace::fuzz {

namespace {

// Read back by the system's own printer, and parsed again, an address must be the same.
std::string check_inet(const std::string& text, uint16_t port) {
  SocketAddress address;
  if (!address.set_inet(text, port)) return {};
  const PackedAddress packed = address.pack();
  if (!address.is_tcp()) return "an address that parsed is neither IPv4 nor IPv6";
  if (packed.port != port) return "the port changes";
  if (packed.family != 4 && packed.family != 6) return "an unknown family";
  // inet_pton reads up to a NUL: nothing may be behind it.
  if (text.find('\0') != std::string::npos) return "a NUL is part of an address";
  char printed[INET6_ADDRSTRLEN];
  if (!inet_ntop(packed.family == 4 ? AF_INET : AF_INET6, packed.bytes, printed, sizeof printed)) return "unprintable";
  const size_t zone = text.find('%');
  if (packed.family == 4 && zone != std::string::npos) return "a zone on IPv4";
  if ((zone != std::string::npos) != (packed.scope != 0)) return "a zone appears or is lost";
  if (packed.scope != 0) {
    const std::string name = text.substr(zone + 1);
    if (if_nametoindex(name.c_str()) == 0 && name.find_first_not_of("0123456789") != std::string::npos) {
      return "a zone that is neither an interface nor a number";
    }
  }
  std::string again = printed;
  if (packed.scope != 0) again += "%" + std::to_string(packed.scope);
  SocketAddress second;
  if (!second.set_inet(again, port)) return "what was printed does not parse";
  const PackedAddress repacked = second.pack();
  if (std::memcmp(&packed, &repacked, sizeof packed) != 0) return "another address after printing and parsing";
  bool zero = true;
  for (size_t i = 0; i < (packed.family == 4 ? 4u : 16u); ++i) zero = zero && packed.bytes[i] == 0;
  if (address.is_wildcard() != zero) return "a wildcard is not all zeros, or the reverse";
  return {};
}

std::string check_unix(const std::string& text) {
  SocketAddress address;
  const bool fits = !text.empty() && text.size() < sizeof(sockaddr_un::sun_path) && text.find('\0') == std::string::npos;
  if (address.set_unix(text) != fits) return fits ? "a path that fits is refused" : "a path that doesn't fit is taken";
  if (!fits) return {};
  if (address.is_tcp() || address.is_wildcard()) return "a path is taken for an IP address";
  if (address.length() > sizeof(sockaddr_un)) return "an address longer than its structure";
  if (address.pack().family != 0) return "a path has an IP family";
  const auto* path = reinterpret_cast<const sockaddr_un*>(address.get());
  if (std::memcmp(path->sun_path, text.data(), text.size()) != 0) return "another path";
  return {};
}

}  // namespace

std::string run_address(const uint8_t* bytes, size_t length) {
  if (length < 3) return {};
  const uint16_t port = static_cast<uint16_t>(bytes[1] << 8 | bytes[2]);
  const std::string text(reinterpret_cast<const char*>(bytes + 3), length - 3);
  return bytes[0] & 1 ? check_unix(text) : check_inet(text, port);
}

}  // namespace millrace::fuzz
