// Socket addresses of TCP (IPv4, IPv6) and unix stream sockets.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string_view>

namespace millrace {

// What an event record carries of an address; family 0 is none or unix.
struct PackedAddress {
  uint16_t family;  // 0, 4 or 6
  uint16_t port;
  uint32_t scope;  // interface index of a link-local IPv6 address
  uint8_t bytes[16];
  uint8_t unused[8];
};
static_assert(sizeof(PackedAddress) == 32);

class SocketAddress {
 public:
  // `host` is an IP literal, without brackets, with or without a %zone. False when it is not.
  bool set_inet(std::string_view host, uint16_t port);
  // False when the path is empty or longer than sun_path (107 bytes).
  bool set_unix(std::string_view path);

  bool is_tcp() const { return storage_.ss_family == AF_INET || storage_.ss_family == AF_INET6; }
  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  socklen_t* reset() {
    length_ = sizeof storage_;
    return &length_;
  }
  bool is_wildcard() const;
  // 127.0.0.0/8, ::1, or the former as IPv6.
  bool is_loopback() const;
  PackedAddress pack() const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace millrace
