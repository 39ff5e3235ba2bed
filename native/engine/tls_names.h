// Server names: as a ClientHello carries them (RFC 6066 section 3), and as certificates are chosen by them.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace millrace {

class TlsContext;

// The host name in the extension's contents, in lower case and without the dot at its end; empty when there is none,
// or none that could be a host's.
std::string parse_server_name(std::span<const uint8_t> extension);

// Which context answers for which name. Immutable: a change is a new set, and who has begun with one keeps it.
class TlsNames {
 public:
  // Names are in lower case; `*.domain` stands for one more label in front of `domain`. `otherwise` answers for what no
  // name fits, and for clients that ask for none; null: those are refused.
  TlsNames(std::unordered_map<std::string, std::shared_ptr<const TlsContext>> contexts,
           std::shared_ptr<const TlsContext> otherwise)
      : contexts_(std::move(contexts)), otherwise_(std::move(otherwise)) {}

  // The exact name before the wildcard before `otherwise`.
  std::shared_ptr<const TlsContext> find(std::string_view name) const;
  // One to begin the handshake with, before the name is known; null only when the set is empty.
  std::shared_ptr<const TlsContext> any() const;

 private:
  std::unordered_map<std::string, std::shared_ptr<const TlsContext>> contexts_;
  std::shared_ptr<const TlsContext> otherwise_;
};

// Where a front's present set lies, for any thread: connections that begin after a change see the new one.
class TlsFront {
 public:
  explicit TlsFront(std::shared_ptr<const TlsNames> names) : names_(std::move(names)) {}

  void set(std::shared_ptr<const TlsNames> names) {
    const std::lock_guard lock(mutex_);
    names_.swap(names);
  }
  std::shared_ptr<const TlsNames> get() const {
    const std::lock_guard lock(mutex_);
    return names_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsNames> names_;
};

}  // namespace millrace
