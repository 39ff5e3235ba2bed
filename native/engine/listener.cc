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
  // EEXIST: an unwatch that the system refused.
  watched_ = error == 0 || error == EEXIST;
  return watched_ ? 0 : error;
}

void Listener::pause() {
  worker_.stats.add(Stat::AcceptPauses);
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
  int taken = 0;
  for (int i = 0; i < kBatch; ++i) {
    const Took took = accept_one();
    if (took == Took::Nothing) break;
    taken += took == Took::One ? 1 : 0;
  }
  fruitless_ = taken > 0 ? 0 : fruitless_ + 1;
  if (fruitless_ < kFruitless || !watched_) return;
  fruitless_ = 0;
  pause();
}

Listener::Took Listener::accept_one() {
  SocketAddress remote;
  const int fd = uninterrupted(
      [&] { return worker_.sys.accept4(shared_->fd, remote.get(), remote.reset(), SOCK_NONBLOCK | SOCK_CLOEXEC); });
  if (fd < 0) {
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        if (watched_) pause();
        return Took::Nothing;
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
        return Took::Failed;
      case EAGAIN:
        return Took::Nothing;
      default:
        // Refused for a reason that lasts: level-triggered, it would be asked for again at once.
        if (watched_) pause();
        return Took::Nothing;
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
    // Counted once its descriptor is free.
    Socket(worker_.sys, fd, tcp).reset();
    shared_->refused.fetch_add(1, std::memory_order_relaxed);
    worker_.stats.add(Stat::AcceptsRefused);
    return Took::One;
  }
  // A listener on loopback has given it on.
  if (worker_.paced && remote.is_loopback() && !shared_->local.is_loopback()) set_unpaced(worker_.sys, fd);
  endpoint->count_against(shared_);
  worker_.stats.add(Stat::Accepted);
  worker_.stats.add(Stat::EndpointsBorn);
  EventRecord record{};
  record.type = EventType::Accepted;
  record.id = static_cast<double>(endpoint->id());
  record.values[0] = shared_->id;
  record.remote = remote.pack();
  if (tcp && shared_->local.is_wildcard()) {
    SocketAddress local = shared_->local;
    if (worker_.sys.getsockname(fd, local.get(), local.reset()) != 0) local = shared_->local;
    record.local = local.pack();
  } else {
    record.local = shared_->local.pack();
  }
  // The client must hear of an endpoint before it hears of what happens to it.
  worker_.emit(*shared_->client, record);
  worker_.add(std::move(endpoint));
  return Took::One;
}

void Listener::close(bool client_gone) {
  if (watched_) stuck_ = worker_.unwatch(shared_->fd) != 0;
  watched_ = false;
  set_paused(false);
  worker_.wheel.cancel(timer_);
  if (shared_->watchers.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // Closing with connections queued would reset them.
  for (int failed = 0; !client_gone && !shared_->left && failed < kBatch;) {
    const Took took = accept_one();
    if (took == Took::Nothing) break;
    failed = took == Took::Failed ? failed + 1 : 0;
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
