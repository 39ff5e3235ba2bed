#include "tls_names.h"

namespace millrace {

namespace {

constexpr uint8_t kHostName = 0;
constexpr size_t kMaxName = 255;

// Lower case, or 0 for what no host name has. The underscore is in no host name of RFC 1123, yet in many of the DNS.
char host_character(uint8_t byte) {
  const char c = static_cast<char>(byte);
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  return allowed ? c : '\0';
}

std::string host_name(std::span<const uint8_t> bytes) {
  if (!bytes.empty() && bytes.back() == '.') bytes = bytes.first(bytes.size() - 1);
  if (bytes.empty() || bytes.size() > kMaxName) return {};
  std::string name;
  name.reserve(bytes.size());
  for (const uint8_t byte : bytes) {
    const char c = host_character(byte);
    if (c == '\0') return {};
    name.push_back(c);
  }
  return name;
}

size_t two_bytes(std::span<const uint8_t> bytes) { return static_cast<size_t>(bytes[0] << 8 | bytes[1]); }

}  // namespace

std::string parse_server_name(std::span<const uint8_t> extension) {
  if (extension.size() < 2 || two_bytes(extension) != extension.size() - 2) return {};
  std::span<const uint8_t> list = extension.subspan(2);
  while (list.size() >= 3) {
    const uint8_t type = list[0];
    const size_t length = two_bytes(list.subspan(1));
    list = list.subspan(3);
    if (length > list.size()) return {};
    if (type == kHostName) return host_name(list.first(length));
    list = list.subspan(length);
  }
  return {};
}

std::shared_ptr<const TlsContext> TlsNames::find(std::string_view name) const {
  if (!name.empty()) {
    if (const auto exact = contexts_.find(std::string(name)); exact != contexts_.end()) return exact->second;
    const size_t dot = name.find('.');
    if (dot != std::string_view::npos && dot > 0) {
      const auto wildcard = contexts_.find("*" + std::string(name.substr(dot)));
      if (wildcard != contexts_.end()) return wildcard->second;
    }
  }
  return otherwise_;
}

std::shared_ptr<const TlsContext> TlsNames::any() const {
  if (otherwise_ || contexts_.empty()) return otherwise_;
  return contexts_.begin()->second;
}

}  // namespace millrace
