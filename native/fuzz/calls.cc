// The simulated kernel's system calls, in the signatures of the engine's table.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "kernel.h"
#include "trace.h"

namespace millrace::fuzz {

namespace {

Kernel* current = nullptr;

int fail(int error) {
  errno = error;
  return -1;
}

constexpr size_t kMostSpliced = 1 << 20;

}  // namespace

Kernel::Kernel() { current = this; }
Kernel::~Kernel() { current = nullptr; }

// Not members of Kernel, as the table wants plain functions.
struct Calls {
  using Kind = Kernel::Object::Kind;

  static Connection* socket_at(int fd) {
    Kernel::Object* object = current->find(fd, Kind::Socket);
    return object ? object->connection.get() : nullptr;
  }

  static int socket(int domain, int, int) {
    current->before(false);
    if (current->refused(Call::Socket)) return ++current->sockets_refused, -1;
    return current->open(current->create(domain != AF_UNIX));
  }

  // For the engine's probe only: what is written to the first becomes readable at the second.
  static int socketpair(int, int, int, int fds[2]) {
    if (current->refused(Call::Socket)) return -1;
    for (int i = 0; i < 2; ++i) {
      const auto made = current->create(false);
      made->state = Connection::State::Connected;
      made->expected.push_back({made->stream, 0, 1});
      fds[i] = current->open(made);
    }
    return 0;
  }

  static int bind(int, const sockaddr*, socklen_t) { return 0; }

  static int listen(int fd, int) {
    Kernel::Object* object = current->find(fd, Kind::Socket);
    if (!object) return -1;
    object->kind = Kind::Listener;
    object->connection.reset();
    return 0;
  }

  static void name(bool tcp, uint16_t port, sockaddr* address, socklen_t* length) {
    if (!tcp) {
      *length = sizeof(sa_family_t);
      address->sa_family = AF_UNIX;
      return;
    }
    sockaddr_in inet{};
    inet.sin_family = AF_INET;
    inet.sin_port = htons(port);
    inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memcpy(address, &inet, sizeof inet);
    *length = sizeof inet;
  }

  static int accept4(int fd, sockaddr* address, socklen_t* length, int) {
    current->before(true);
    Kernel::Object* object = current->find(fd, Kind::Listener);
    if (!object) return -1;
    if (current->interrupted() || current->refused(Call::Accept)) return -1;
    if (object->pending.empty()) return fail(EAGAIN);
    auto connection = std::move(object->pending.front());
    object->pending.pop_front();
    name(connection->tcp, static_cast<uint16_t>(connection->stream), address, length);
    return current->open(std::move(connection));
  }

  static int connect(int fd, const sockaddr* address, socklen_t) {
    current->before(false);
    Connection* connection = socket_at(fd);
    if (!connection) return -1;
    if (address->sa_family == AF_UNSPEC) return 0;
    if (current->connecting) current->connecting(*connection, target(address));
    if (current->refused(Call::Connect)) return connection->faulted = true, -1;
    if (connection->state != Connection::State::Fresh) return fail(EALREADY);
    if (!connection->tcp) return connection->establish(), 0;
    connection->state = Connection::State::Connecting;
    return fail(EINPROGRESS);
  }

  // See Kernel::connecting.
  static uint32_t target(const sockaddr* address) {
    if (address->sa_family != AF_UNIX) return ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port);
    const char* const path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
    return static_cast<uint32_t>(std::atoi(path + std::strcspn(path, "0123456789")));
  }

  static int getsockname(int fd, sockaddr* address, socklen_t* length) {
    const auto found = current->objects_.find(fd);
    if (found == current->objects_.end()) return fail(EBADF);
    name(found->second.tcp, 1, address, length);
    return 0;
  }

  static int getpeername(int fd, sockaddr* address, socklen_t* length) {
    const Connection* connection = socket_at(fd);
    if (!connection) return -1;
    if (connection->state != Connection::State::Connected) return fail(ENOTCONN);
    name(connection->tcp, static_cast<uint16_t>(connection->stream), address, length);
    return 0;
  }

  static int getsockopt(int fd, int, int, void* value, socklen_t*) {
    Connection* connection = socket_at(fd);
    if (!connection) return -1;
    const int error = connection->take_error();
    std::memcpy(value, &error, sizeof error);
    return 0;
  }

  static int setsockopt(int fd, int level, int option, const void*, socklen_t) {
    const auto found = current->objects_.find(fd);
    if (found == current->objects_.end()) return fail(EBADF);
    if (level == SOL_SOCKET && option == SO_LINGER) found->second.hard_close = true;
    return 0;
  }

  static ssize_t recv(int fd, void* buffer, size_t length, int) {
    current->before(true);
    Connection* connection = socket_at(fd);
    if (!connection || current->interrupted()) return -1;
    if (current->refused(Call::Recv)) return connection->faulted = true, -1;
    return connection->recv(static_cast<uint8_t*>(buffer), length);
  }

  static ssize_t send(int fd, const void* bytes, size_t length, int) {
    current->before(true);
    Connection* connection = socket_at(fd);
    if (!connection || current->interrupted()) return -1;
    if (current->refused(Call::Send)) return connection->faulted = true, -1;
    return connection->send(static_cast<const uint8_t*>(bytes), length);
  }

  // What says only that splice can't be used here is no failure of the connection.
  static bool unsupported(int error) {
    return error == EINVAL || error == ENOSYS || error == EPERM || error == EOPNOTSUPP || error == EACCES ||
           error == ENOMEM;
  }

  static ssize_t splice(int from, int to, size_t length, unsigned) {
    current->before(true);
    KernelFaults& faults = current->faults;
    if (length == 0 || length > kMostSpliced) current->violation("a splice of a length that no kernel likes");
    const auto source = current->objects_.find(from);
    if (source == current->objects_.end()) return current->violation("splice from a closed descriptor"), fail(EBADF);
    if (current->interrupted()) return -1;
    if (source->second.kind == Kind::ReadEnd) {
      PipeObject& pipe = *source->second.pipe;
      Connection* sink = socket_at(to);
      if (!sink) return -1;
      if (pipe.bytes() != length) current->violation("a flush that is not exactly what the pipe holds");
      if (current->refused(Call::Flush)) {
        if (!unsupported(errno)) sink->faulted = true;
        return -1;
      }
      return sink->splice_from(pipe, length);
    }
    Connection* connection = socket_at(from);
    Kernel::Object* end = current->find(to, Kind::WriteEnd);
    if (!connection || !end) return -1;
    if (!end->pipe->spans.empty()) current->violation("a pipe is filled that is not empty");
    if (current->refused(Call::Fill)) {
      if (!unsupported(errno)) connection->faulted = true;
      return -1;
    }
    if (connection->readable_bytes()) {
      if (faults.false_empties > 0) return --faults.false_empties, fail(EAGAIN);
      if (faults.false_ends > 0) return --faults.false_ends, 0;
    }
    return connection->splice_to(*end->pipe, faults.cut(length));
  }

  static ssize_t read(int fd, void* buffer, size_t length) {
    current->before(false);
    const auto found = current->objects_.find(fd);
    if (found == current->objects_.end()) return current->violation("read from a closed descriptor"), fail(EBADF);
    if (current->interrupted()) return -1;
    if (found->second.kind == Kind::Event) return found->second.count = 0, 8;
    PipeObject& pipe = *found->second.pipe;
    size_t moved = 0;
    while (moved < length && !pipe.spans.empty()) {
      Span& span = pipe.spans.front();
      const uint64_t part = std::min<uint64_t>(span.length, length - moved);
      std::memcpy(static_cast<uint8_t*>(buffer) + moved, pattern(span.stream, span.position), part);
      moved += part;
      span.position += part;
      span.length -= part;
      if (span.length == 0) pipe.spans.pop_front();
    }
    return moved > 0 ? static_cast<ssize_t>(moved) : fail(EAGAIN);
  }

  static ssize_t write(int fd, const void*, size_t length) {
    current->before(false);
    const auto found = current->objects_.find(fd);
    if (found == current->objects_.end()) return current->violation("write to a closed descriptor"), fail(EBADF);
    if (current->interrupted()) return -1;
    if (found->second.kind == Kind::Event) {
      ++found->second.count;
      current->wake(fd);
      return static_cast<ssize_t>(length);
    }
    // The probe's: see socketpair.
    const auto next = current->objects_.find(fd + 1);
    if (next != current->objects_.end() && next->second.connection) next->second.connection->peer_send(length, length);
    return static_cast<ssize_t>(length);
  }

  static int pipe2(int fds[2], int) {
    current->before(false);
    if (current->refused(Call::Pipe)) return -1;
    const auto pipe = std::make_shared<PipeObject>();
    if (current->faults.small_pipes) pipe->slots = 2;
    fds[0] = current->add({.kind = Kind::ReadEnd, .pipe = pipe});
    fds[1] = current->add({.kind = Kind::WriteEnd, .pipe = pipe});
    return 0;
  }

  static int fcntl(int fd, int command, long argument) {
    if (command != F_SETPIPE_SZ && command != F_GETPIPE_SZ) return 0;
    Kernel::Object* end = current->find(fd, Kind::WriteEnd);
    if (!end) return -1;
    if (command == F_GETPIPE_SZ) return static_cast<int>(end->pipe->slots * 4096);
    if (current->faults.small_pipes) return fail(EPERM);
    if (current->refused(Call::SetPipeSize)) return -1;
    end->pipe->slots = static_cast<size_t>(argument) / 4096;
    return static_cast<int>(argument);
  }

  static int outq(int fd, int* bytes) {
    const Connection* connection = socket_at(fd);
    if (!connection) return -1;
    *bytes = std::max(connection->unsent(), current->faults.unsent ? 1 : 0);
    return 0;
  }

  static int shutdown(int fd, int) {
    current->before(false);
    Connection* connection = socket_at(fd);
    if (!connection || current->interrupted()) return -1;
    if (current->refused(Call::Shutdown)) return connection->faulted = true, -1;
    return connection->shutdown_write();
  }

  static int close(int fd) {
    current->before(false);
    const auto found = current->objects_.find(fd);
    if (found == current->objects_.end()) return current->violation("a descriptor is closed twice"), fail(EBADF);
    Kernel::Object object = std::move(found->second);
    current->objects_.erase(found);
    for (const auto& epoll : current->epolls_) {
      epoll->entries.erase(fd);
      std::erase(epoll->ready, fd);
    }
    ++current->progress;
    if (object.connection) {
      object.connection->fd = -1;
      object.connection->close(object.hard_close);
    }
    for (const auto& pending : object.pending) pending->close(true);
    return 0;
  }

  static int unlink(const char*) { return 0; }

  static int eventfd(unsigned, int) { return current->add({.kind = Kind::Event}); }

  static int epoll_create1(int) {
    const auto epoll = std::make_shared<Kernel::Epoll>();
    current->epolls_.push_back(epoll);
    return current->add({.kind = Kind::Epoll, .epoll = epoll});
  }

  static int epoll_ctl(int fd, int operation, int target, epoll_event* event) {
    current->before(false);
    Kernel::Object* object = current->find(fd, Kind::Epoll);
    if (!object) return -1;
    if (!current->objects_.contains(target)) return current->violation("epoll_ctl of a closed descriptor"), fail(EBADF);
    auto& entries = object->epoll->entries;
    if (operation == EPOLL_CTL_DEL) {
      if (entries.erase(target) == 0) return fail(ENOENT);
      std::erase(object->epoll->ready, target);
      return 0;
    }
    if (operation == EPOLL_CTL_ADD) {
      if (entries.contains(target)) return fail(EEXIST);
      if (current->refused(Call::Watch)) {
        if (Connection* connection = current->connection(target)) connection->faulted = true;
        return -1;
      }
    }
    entries[target] = {.events = event->events, .data = event->data, .queued = false};
    std::erase(object->epoll->ready, target);
    // Both report at once what is ready already.
    if ((current->poll(target) & (event->events | EPOLLERR | EPOLLHUP)) != 0) {
      entries[target].queued = true;
      object->epoll->ready.push_back(target);
    }
    return 0;
  }

  static int epoll_wait(int fd, epoll_event* events, int capacity, int timeout) {
    current->before(false);
    Kernel::Object* object = current->find(fd, Kind::Epoll);
    if (!object) return -1;
    const auto epoll = object->epoll;
    epoll->slept = false;
    epoll->timeout = timeout;
    int count = current->collect(*epoll, events, capacity);
    if (count > 0 || timeout == 0) return count;
    epoll->slept = true;
    if (!current->asleep) return 0;
    current->asleep();
    count = current->collect(*epoll, events, capacity);
    if (count > 0) epoll->slept = false;
    return count;
  }

  static uint64_t clock() { return current->now; }
};

namespace {

// The call of this name, told where a run is traced.
template <auto kCall, class... Arguments>
auto told(const char* name, int fd, Arguments... arguments) {
  const auto result = kCall(fd, arguments...);
  trace("  %s(%d) = %ld%s%s", name, fd, static_cast<long>(result), result < 0 ? " " : "", result < 0 ? std::strerror(errno) : "");
  return result;
}

}  // namespace

const Syscalls& Kernel::table() {
  static const Syscalls calls = {
      .socket = Calls::socket,
      .socketpair = Calls::socketpair,
      .bind = Calls::bind,
      .listen = Calls::listen,
      .accept4 = [](int fd, sockaddr* address, socklen_t* length, int flags) -> int { return told<Calls::accept4>("accept4", fd, address, length, flags); },
      .connect = [](int fd, const sockaddr* address, socklen_t length) -> int { return told<Calls::connect>("connect", fd, address, length); },
      .getsockname = Calls::getsockname,
      .getpeername = Calls::getpeername,
      .getsockopt = Calls::getsockopt,
      .setsockopt = Calls::setsockopt,
      .recv = [](int fd, void* buffer, size_t length, int flags) -> ssize_t { return told<Calls::recv>("recv", fd, buffer, length, flags); },
      .send = [](int fd, const void* buffer, size_t length, int flags) -> ssize_t { return told<Calls::send>("send", fd, buffer, length, flags); },
      .splice = [](int from, int to, size_t length, unsigned flags) -> ssize_t { return told<Calls::splice>("splice", from, to, length, flags); },
      .read = Calls::read,
      .write = Calls::write,
      .pipe2 = Calls::pipe2,
      .fcntl = Calls::fcntl,
      .outq = Calls::outq,
      .shutdown = [](int fd, int how) -> int { return told<Calls::shutdown>("shutdown", fd, how); },
      .close = [](int fd) -> int { return told<Calls::close>("close", fd); },
      .unlink = Calls::unlink,
      .eventfd = Calls::eventfd,
      .epoll_create1 = Calls::epoll_create1,
      .epoll_ctl = Calls::epoll_ctl,
      .epoll_wait = Calls::epoll_wait,
      .clock = Calls::clock,
  };
  return calls;
}

}  // namespace millrace::fuzz
