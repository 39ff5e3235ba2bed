// A client's sessions, kept so that the next handshake with the same server is a short one. For any thread.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "tls_library.h"

namespace millrace {

class TlsSessions {
 public:
  // Sessions kept for one server, as each opens one connection at most, and many may be opened at once; servers that are
  // remembered.
  static constexpr size_t kEach = 64;
  static constexpr size_t kServers = 256;

  explicit TlsSessions(const TlsLibrary& library) : library_(library) {}
  ~TlsSessions();
  TlsSessions(const TlsSessions&) = delete;
  TlsSessions& operator=(const TlsSessions&) = delete;

  // The newest session of that server, which then is the caller's; null when there is none. A ticket that is used twice
  // would let an onlooker link the two connections (RFC 8446 appendix C.4).
  SSL_SESSION* take(const std::string& server);
  // Takes the session over.
  void put(const std::string& server, SSL_SESSION* session);
  size_t size() const;

 private:
  struct Server {
    std::string name;
    std::vector<SSL_SESSION*> sessions;
  };
  void drop(Server& server);

  const TlsLibrary& library_;
  mutable std::mutex mutex_;
  std::list<Server> servers_;  // the one used last is the first
  std::unordered_map<std::string, std::list<Server>::iterator> index_;
};

}  // namespace millrace
