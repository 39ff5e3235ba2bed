#include "kernel.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "trace.h"

namespace millrace::fuzz {

namespace {

// More in one turn is a loop that doesn't end.
constexpr uint64_t kMostCalls = 200'000;

}  // namespace

uint64_t PipeObject::bytes() const {
  uint64_t total = 0;
  for (const Span& span : spans) total += span.length;
  return total;
}

void Kernel::violation(const std::string& what) {
  trace("broken: %s", what.c_str());
  if (broken.empty()) broken = what;
}

std::shared_ptr<Connection> Kernel::create(bool tcp) {
  connections.push_back(std::make_shared<Connection>(*this, static_cast<uint32_t>(connections.size()), tcp));
  return connections.back();
}

int Kernel::add(Object object) {
  int fd = lowest_fd;
  while (objects_.contains(fd)) ++fd;
  if (object.connection) object.connection->fd = fd;
  objects_.emplace(fd, std::move(object));
  ++progress;
  return fd;
}

int Kernel::open(std::shared_ptr<Connection> connection) {
  const bool tcp = connection->tcp;
  return add({.kind = Object::Kind::Socket, .connection = std::move(connection), .tcp = tcp});
}

Kernel::Object* Kernel::find(int fd, Object::Kind kind) {
  const auto found = objects_.find(fd);
  if (found == objects_.end() || found->second.kind != kind) {
    violation("a call on a descriptor that is closed or of another kind");
    errno = EBADF;
    return nullptr;
  }
  return &found->second;
}

Connection* Kernel::connection(int fd) const {
  const auto found = objects_.find(fd);
  return found == objects_.end() ? nullptr : found->second.connection.get();
}

bool Kernel::connect_to(int listener, std::shared_ptr<Connection> connection) {
  const auto found = objects_.find(listener);
  if (found == objects_.end() || found->second.kind != Object::Kind::Listener) return false;
  connection->state = Connection::State::Connected;
  found->second.pending.push_back(std::move(connection));
  wake(listener);
  return true;
}

void Kernel::wake(int fd) {
  for (const auto& epoll : epolls_) {
    const auto entry = epoll->entries.find(fd);
    if (entry == epoll->entries.end() || entry->second.queued) continue;
    entry->second.queued = true;
    epoll->ready.push_back(fd);
  }
}

void Kernel::wake(const Connection& connection) {
  if (connection.fd >= 0) wake(connection.fd);
}

bool Kernel::watched(int fd) const {
  return std::any_of(epolls_.begin(), epolls_.end(), [fd](const auto& epoll) { return epoll->entries.contains(fd); });
}

size_t Kernel::pipes() const {
  return static_cast<size_t>(std::count_if(objects_.begin(), objects_.end(), [](const auto& entry) {
    return entry.second.kind == Object::Kind::ReadEnd;
  }));
}

size_t Kernel::filled_pipes() const {
  return static_cast<size_t>(std::count_if(objects_.begin(), objects_.end(), [](const auto& entry) {
    return entry.second.kind == Object::Kind::ReadEnd && !entry.second.pipe->spans.empty();
  }));
}

uint32_t Kernel::poll(int fd) {
  Object& object = objects_.at(fd);
  switch (object.kind) {
    case Object::Kind::Socket:
      return object.connection->poll();
    case Object::Kind::Listener:
      return object.pending.empty() ? 0u : uint32_t{EPOLLIN};
    case Object::Kind::Event:
      return EPOLLOUT | (object.count > 0 ? uint32_t{EPOLLIN} : 0u);
    default:
      return 0;
  }
}

bool Kernel::has_events(size_t index) {
  Epoll& epoll = *epolls_[index];
  return std::any_of(epoll.ready.begin(), epoll.ready.end(), [&](int fd) {
    return (poll(fd) & (epoll.entries.at(fd).events | EPOLLERR | EPOLLHUP)) != 0;
  });
}

int Kernel::collect(Epoll& epoll, epoll_event* events, int capacity) {
  int count = 0;
  for (size_t left = epoll.ready.size(); left > 0 && count < capacity; --left) {
    const int fd = faults.reverse_events ? epoll.ready.back() : epoll.ready.front();
    if (faults.reverse_events) epoll.ready.pop_back();
    else epoll.ready.pop_front();
    Entry& entry = epoll.entries.at(fd);
    entry.queued = false;
    const uint32_t mask = poll(fd) & (entry.events | EPOLLERR | EPOLLHUP);
    if (mask == 0) continue;
    trace("  ready(%d) = %#x", fd, mask);
    events[count++] = {.events = mask, .data = entry.data};
    if ((entry.events & EPOLLET) != 0) continue;
    entry.queued = true;
    if (faults.reverse_events) epoll.ready.push_front(fd);
    else epoll.ready.push_back(fd);
  }
  return count;
}

bool Kernel::refused(Call call) {
  KernelFaults::Refusal& refusal = faults.of(call);
  if (refusal.left == 0) return false;
  --refusal.left;
  errno = refusal.error;
  return true;
}

bool Kernel::interrupted() {
  if (faults.interrupt_every == 0 || ++interruptible_ % faults.interrupt_every != 0) return false;
  errno = EINTR;
  return true;
}

void Kernel::before(bool transfer) {
  if (++calls_this_turn > kMostCalls) {
    std::fprintf(stderr, "a turn without end\n");
    std::abort();
  }
  if (transfer && between_calls) between_calls();
}

}  // namespace millrace::fuzz
