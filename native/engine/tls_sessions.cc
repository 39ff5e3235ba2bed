#include "tls_sessions.h"

namespace millrace {

TlsSessions::~TlsSessions() {
  for (Server& server : servers_) drop(server);
}

void TlsSessions::drop(Server& server) {
  for (SSL_SESSION* const session : server.sessions) library_.SSL_SESSION_free(session);
  server.sessions.clear();
}

SSL_SESSION* TlsSessions::take(const std::string& server) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(server);
  if (found == index_.end()) return nullptr;
  std::vector<SSL_SESSION*>& sessions = found->second->sessions;
  SSL_SESSION* const newest = sessions.back();
  sessions.pop_back();
  if (sessions.empty()) {
    servers_.erase(found->second);
    index_.erase(found);
  } else {
    servers_.splice(servers_.begin(), servers_, found->second);
  }
  return newest;
}

void TlsSessions::put(const std::string& server, SSL_SESSION* session) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(server);
  if (found == index_.end()) {
    if (servers_.size() >= kServers) {
      drop(servers_.back());
      index_.erase(servers_.back().name);
      servers_.pop_back();
    }
    servers_.push_front({.name = server, .sessions = {session}});
    index_[server] = servers_.begin();
    return;
  }
  servers_.splice(servers_.begin(), servers_, found->second);
  std::vector<SSL_SESSION*>& sessions = found->second->sessions;
  if (sessions.size() >= kEach) {
    library_.SSL_SESSION_free(sessions.front());
    sessions.erase(sessions.begin());
  }
  sessions.push_back(session);
}

size_t TlsSessions::size() const {
  const std::lock_guard lock(mutex_);
  size_t total = 0;
  for (const Server& server : servers_) total += server.sessions.size();
  return total;
}

}  // namespace millrace
