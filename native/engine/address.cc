#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstddef>
#include <cstring>
#include <string>

namespace millrace {

bool SocketAddress::set_inet(std::string_view host, uint16_t port) {
  storage_ = {};
  std::string text(host);
  // The system's parsers would stop there and take what is before it.
  if (text.find('\0') != std::string::npos) return false;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage_);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length_ = sizeof *v4;
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage_);
  if (const size_t zone = text.find('%'); zone != std::string::npos) {
    const std::string name = text.substr(zone + 1);
    text.resize(zone);
    v6->sin6_scope_id = if_nametoindex(name.c_str());
    if (v6->sin6_scope_id == 0) {
      const char* const end = name.data() + name.size();
      const auto parsed = std::from_chars(name.data(), end, v6->sin6_scope_id);
      if (parsed.ec != std::errc() || parsed.ptr != end || v6->sin6_scope_id == 0) return false;
    }
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  length_ = sizeof *v6;
  return true;
}

bool SocketAddress::set_unix(std::string_view path) {
  storage_ = {};
  auto* address = reinterpret_cast<sockaddr_un*>(&storage_);
  if (path.empty() || path.size() >= sizeof address->sun_path) return false;
  // The system would see what is before a NUL only, or at the beginning take it for an abstract name.
  if (path.find('\0') != std::string_view::npos) return false;
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return true;
}

bool SocketAddress::is_wildcard() const {
  if (storage_.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr == htonl(INADDR_ANY);
  }
  if (storage_.ss_family == AF_INET6) {
    return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr) != 0;
  }
  return false;
}

bool SocketAddress::is_loopback() const {
  if (storage_.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  if (storage_.ss_family == AF_INET6) {
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == IN_LOOPBACKNET);
  }
  return false;
}

PackedAddress SocketAddress::pack() const {
  PackedAddress packed{};
  if (storage_.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
    packed.family = 4;
    packed.port = ntohs(v4->sin_port);
    std::memcpy(packed.bytes, &v4->sin_addr, 4);
  } else if (storage_.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
    packed.family = 6;
    packed.port = ntohs(v6->sin6_port);
    packed.scope = v6->sin6_scope_id;
    std::memcpy(packed.bytes, &v6->sin6_addr, 16);
  }
  return packed;
}

}  // namespace millrace
