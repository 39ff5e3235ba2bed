// The first bytes that a TLS server sees. The input's first byte chooses: the contents of the extension with the
// server's name, alone; a name that is wrapped as it should be; or the bytes of a connection, to a server with two names.
#include <algorithm>
#include <cctype>

#include "targets.h"
#include "tls_names.h"
#include "tls_stream.h"
#include "tls_world.h"

namespace millrace::fuzz {

namespace {

std::string check_name(const std::string& name) {
  if (name.size() > 255) return "a name that is too long";
  const bool allowed = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
  return allowed ? std::string() : "a name with characters that no host has";
}

std::string check_extension(std::span<const uint8_t> extension) {
  const std::string name = parse_server_name(extension);
  if (!name.empty() && extension.size() < name.size() + 5) return "a name longer than what it was read from";
  return check_name(name);
}

std::string check_wrapped(std::span<const uint8_t> given) {
  std::string wanted(given.begin(), given.end());
  const size_t length = given.size();
  std::vector<uint8_t> extension;
  for (const size_t value : {length + 3, size_t{0}, length}) {
    if (value != 0 || extension.size() != 2) extension.push_back(static_cast<uint8_t>(value >> 8));
    extension.push_back(static_cast<uint8_t>(value));
  }
  extension.insert(extension.end(), given.begin(), given.end());
  if (wanted.ends_with('.')) wanted.pop_back();
  for (char& c : wanted) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::string name = parse_server_name(extension);
  if (!name.empty()) return name == wanted ? std::string() : "another name than the one that was wrapped";
  return wanted.empty() || wanted.size() > 255 || !check_name(wanted).empty() ? std::string() : "a good name is not found";
}

std::string check_connection(std::span<const uint8_t> bytes, Speaks version, size_t piece) {
  static const auto names = [](Speaks speaks) {
    return std::make_shared<const TlsNames>(
        std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{{"localhost", serving(speaks)},
                                                                           {"*.test", serving(speaks, true)}},
        serving(speaks));
  };
  const auto server = TlsStream::server(names(version));
  if (!server) return "no stream";
  std::vector<uint8_t> room(64 << 10);
  TlsIo io = TlsIo::WantInput;
  while (io == TlsIo::WantInput) {
    const size_t length = std::min(piece, bytes.size());
    TlsInput input{.bytes = bytes.first(length), .ended = bytes.size() == length};
    TlsOutput output{.room = room};
    io = server->handshake(input, output);
    if (server->established()) return "a handshake with who has no key";
    if (io == TlsIo::WantInput && !input.bytes.empty()) return "input is left although more is wanted";
    bytes = bytes.subspan(length);
    if (io == TlsIo::WantInput && bytes.empty() && input.ended) return "more is wanted behind the end";
  }
  if (io != TlsIo::Failed) return "a handshake that neither fails nor wants anything";
  if (server->error().fault == TlsFault::None || server->error().text.empty()) return "a failure without a reason";
  return check_name(server->server_name());
}

}  // namespace

std::string run_hello(const uint8_t* bytes, size_t length) {
  if (length < 2) return {};
  const std::span<const uint8_t> rest(bytes + 2, length - 2);
  switch (bytes[0] % 4) {
    case 0:
      return check_extension(rest);
    case 1:
      return check_wrapped(rest);
    default:
      return check_connection(rest, bytes[0] % 4 == 2 ? Speaks::Tls12 : Speaks::Tls13, bytes[1] == 0 ? SIZE_MAX : bytes[1]);
  }
}

}  // namespace millrace::fuzz
