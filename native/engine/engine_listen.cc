// The engine's calls that concern listeners.
#include <fcntl.h>

#include <cerrno>

#include "engine.h"

namespace millrace {

int Engine::open_listener(const ListenRequest& request, ListenSocket& socket) {
  const Syscalls& sys = state_.sys;
  const int fd = socket.fd;
  if (request.address.is_tcp()) {
    const int one = 1;
    sys.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    // Dual stack like Node's, where the address is ::.
    const int only = request.address.is_wildcard() ? 0 : 1;
    if (request.address.family() == AF_INET6) sys.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    set_tcp_options(sys, fd);
    if (state_.paced && request.address.is_loopback()) set_unpaced(sys, fd);
  }
  if (sys.bind(fd, request.address.get(), request.address.length()) != 0) return errno;
  socket.unlink_path = request.unlink_path;
  return 0;
}

int Engine::take_listener(ListenSocket& socket) {
  const Syscalls& sys = state_.sys;
  const int fd = socket.fd;
  const auto option = [&](int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return sys.getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
  };
  if (option(SO_ACCEPTCONN) != 1 || option(SO_TYPE) != SOCK_STREAM) return EINVAL;
  // Its flags are those of all who have it: whoever made it may not have thought of workers, which must not block.
  const int flags = sys.fcntl(fd, F_GETFL, 0);
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && sys.fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) return errno;
  if (option(SO_DOMAIN) != AF_UNIX) set_tcp_options(sys, fd);
  return 0;
}

int Engine::listen(const std::shared_ptr<Client>& client, const ListenRequest& request, Listening& listening) {
  const Syscalls& sys = state_.sys;
  const bool taken = request.fd >= 0;
  const int fd = taken ? request.fd : sys.socket(request.address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  auto socket = std::make_shared<ListenSocket>(sys, fd);
  if (const int error = taken ? take_listener(*socket) : open_listener(request, *socket); error != 0) return error;
  if (sys.listen(fd, request.backlog) != 0) return errno;
  if (sys.getsockname(fd, socket->local.get(), socket->local.reset()) != 0) return errno;
  socket->client = client;
  socket->max_endpoints = request.max_endpoints;
  socket->id = listener_ids_.fetch_add(1, std::memory_order_relaxed) + 1;
  socket->watchers.store(static_cast<uint32_t>(state_.workers.size()), std::memory_order_relaxed);
  socket->listeners = &listeners_;
  listeners_.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard lock(listen_mutex_);
    std::erase_if(listen_sockets_, [](const auto& entry) { return entry.second.expired(); });
    listen_sockets_[socket->id] = socket;
  }
  listening = {.id = socket->id, .local = socket->local.pack()};
  for (auto& worker : state_.workers) worker->post(ListenCommand{socket});
  return 0;
}

std::shared_ptr<ListenSocket> Engine::listener(ListenerId id) {
  const auto found = listen_sockets_.find(id);
  return found == listen_sockets_.end() ? nullptr : found->second.lock();
}

void Engine::unlisten(ListenerId id, bool leave) {
  {
    const std::lock_guard lock(listen_mutex_);
    const auto socket = listener(id);
    if (socket && socket->leaving) return;
    if (socket) {
      socket->leaving = true;
      socket->left = leave;
      if (leave) socket->unlink_path.clear();
    }
  }
  for (auto& worker : state_.workers) worker->post(UnlistenCommand{id});
}

int Engine::duplicate(ListenerId id) {
  const std::lock_guard lock(listen_mutex_);
  const auto socket = listener(id);
  // Once it is being left, a worker may close it at any moment.
  if (!socket || socket->leaving) return -EBADF;
  const int fd = state_.sys.fcntl(socket->fd, F_DUPFD_CLOEXEC, 3);
  return fd < 0 ? -errno : fd;
}

uint64_t Engine::refused(ListenerId id) {
  const std::lock_guard lock(listen_mutex_);
  const auto socket = listener(id);
  return socket ? socket->refused.load(std::memory_order_relaxed) : 0;
}

}  // namespace millrace
