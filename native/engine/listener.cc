#include "listener.h"

#include <cerrno>

#include "worker.h"

namespace millrace {

ListenSocket::~ListenSocket() { close(); }

void ListenSocket::close() {
  if (fd < 0) return;
  sys.close(fd);
  fd = -1;
  if (!unlink_path.empty()) sys.unlink(unlink_path.c_str());
  if (listeners) listeners->fetch_sub(1, std::memory_order_relaxed);
}

Listener::~Listener() {
  set_paused(false);
  worker_.wheel.cancel(timer_);
}

void Listener::set_paused(bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  worker_.paused_listeners += paused ? 1 : -1;
}

void Listener::begin() {
  if (watch() != 0) pause();
}

int Listener::watch() {
  if (watched_) return 0;
  const int error = worker_.watch(shared_->fd, *this, EPOLLIN | EPOLLEXCLUSIVE);
  watched_ = error == 0;
  return error;
}

void Listener::pause() {
  if (watched_) worker_.unwatch(shared_->fd);
  watched_ = false;
  set_paused(true);
  worker_.wheel.arm(timer_, worker_.now + kPause);
}

void Listener::resume() {
  if (!paused_ || shared_->client->backlog() >= kBacklog || watch() != 0) return;
  set_paused(false);
}

void Listener::on_timer(Millis now) {
  resume();
  if (paused_) worker_.wheel.arm(timer_, now + kPause);
}

void Listener::on_ready(uint32_t) {
  if (!watched_) return;
  if (shared_->client->backlog() >= kBacklog) return pause();
  for (int i = 0; i < kBatch && accept_one(); ++i) {
  }
}

bool Listener::accept_one() {
  SocketAddress remote;
  const int fd = worker_.sys.accept4(shared_->fd, remote.get(), remote.reset(), SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        pause();
        return false;
      case EINTR:
      // The errors of a connection that failed before it was accepted, accept(2): the next may be fine.
      case ECONNABORTED:
      case EPROTO:
      case ENETDOWN:
      case ENOPROTOOPT:
      case EHOSTDOWN:
      case ENONET:
      case EHOSTUNREACH:
      case EOPNOTSUPP:
      case ENETUNREACH:
        return true;
      default:
        return false;
    }
  }
  const bool tcp = shared_->local.is_tcp();
  const int64_t live = shared_->live.fetch_add(1, std::memory_order_relaxed);
  const bool full = shared_->max_endpoints > 0 && live >= shared_->max_endpoints;
  std::unique_ptr<Endpoint> endpoint;
  if (!full && !worker_.reserve_reached(fd)) {
    endpoint = worker_.create(shared_->client, fd, tcp, Endpoint::Stage::Open);
  }
  if (!endpoint) {
    shared_->live.fetch_sub(1, std::memory_order_relaxed);
    shared_->refused.fetch_add(1, std::memory_order_relaxed);
    Socket(worker_.sys, fd, tcp).reset();
    return true;
  }
  endpoint->count_against(shared_);
  EventRecord record{};
  record.type = EventType::Accepted;
  record.id = static_cast<double>(endpoint->id());
  record.values[0] = shared_->id;
  record.remote = remote.pack();
  if (tcp && shared_->local.is_wildcard()) {
    SocketAddress local;
    worker_.sys.getsockname(fd, local.get(), local.reset());
    record.local = local.pack();
  } else {
    record.local = shared_->local.pack();
  }
  // The client must hear of an endpoint before it hears of what happens to it.
  worker_.emit(*shared_->client, record);
  worker_.add(std::move(endpoint));
  return true;
}

void Listener::close(bool client_gone) {
  if (watched_) worker_.unwatch(shared_->fd);
  watched_ = false;
  set_paused(false);
  if (shared_->watchers.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // Closing with connections queued would reset them.
  while (!client_gone && accept_one()) {
  }
  // Before the report: whoever hears of it may want the address again.
  shared_->close();
  EventRecord record{};
  record.type = EventType::ListenerClosed;
  record.id = shared_->id;
  record.values[0] = shared_->refused.load(std::memory_order_relaxed);
  worker_.emit(*shared_->client, record);
}

}  // namespace millrace
