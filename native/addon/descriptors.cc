// Calls about descriptors of the process, from one process to another: handing listeners over, and notes to a service
// manager. None of it is the engine's business: nothing here waits, and no worker takes part.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "arguments.h"
#include "calls.h"

namespace millrace::addon {

namespace {

// SCM_MAX_FD of Linux, unix(7).
constexpr size_t kMostDescriptors = 253;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

struct UnixName {
  sockaddr_un address{};
  socklen_t length = 0;
};

// An absolute path, or with `abstract` also a name behind an @; false for anything else.
bool read_name(const std::string& text, bool abstract, UnixName& name) {
  const bool is_abstract = abstract && text.size() > 1 && text[0] == '@';
  const size_t most = sizeof name.address.sun_path - (is_abstract ? 0 : 1);
  if (text.empty() || text.size() > most || text.find('\0') != std::string::npos) return false;
  if (!is_abstract && text[0] != '/') return false;
  name.address.sun_family = AF_UNIX;
  std::memcpy(name.address.sun_path, text.data(), text.size());
  if (is_abstract) name.address.sun_path[0] = '\0';
  name.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (is_abstract ? 0 : 1));
  return true;
}

const sockaddr* generic(const UnixName& name) { return reinterpret_cast<const sockaddr*>(&name.address); }

int option(int fd, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

// Who the other end's process is, SO_PEERCRED of unix(7); false for anything but a unix socket.
bool read_peer(int fd, ucred& peer) {
  socklen_t length = sizeof peer;
  if (option(fd, SO_DOMAIN) != AF_UNIX) return false;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
}

// Whether the other end's process is of our user, or root's.
bool is_trusted(int fd) {
  ucred peer{};
  return read_peer(fd, peer) && (peer.uid == 0 || peer.uid == ::geteuid());
}

// 0 or -errno.
int send_message(int fd, std::span<const uint8_t> bytes, std::span<const int> descriptors) {
  iovec part{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostDescriptors)]{};
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const ssize_t sent = uninterrupted([&] { return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
  return sent < 0 ? -errno : 0;
}

// The message's length, or -errno; takes what came with it in any case. `descriptors[0]` is how many follow.
ssize_t receive_message(int fd, std::span<uint8_t> bytes, std::span<int> descriptors) {
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostDescriptors)]{};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t length = uninterrupted([&] { return ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
  if (length < 0) return -errno;
  bool fits = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  size_t count = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < here; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof received);
      if (fits && count + 1 < descriptors.size()) descriptors[++count] = received;
      else {
        fits = false;
        ::close(received);
      }
    }
  }
  if (!fits) {
    for (size_t i = 1; i <= count; ++i) ::close(descriptors[i]);
    return -EMSGSIZE;
  }
  descriptors[0] = static_cast<int>(count);
  return length;
}

}  // namespace

// openDoor(path): a descriptor to which another process of this user can send descriptors, or -errno
napi_value open_door(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const std::string path = args.text(0);
  UnixName name;
  if (!args.ok()) return fault(env);
  if (!read_name(path, false, name)) return to_js(env, -EINVAL);
  Descriptor door(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // Before the bind, so that the file is never open to others.
  if (door.get() < 0 || ::fchmod(door.get(), S_IRUSR | S_IWUSR) != 0 ||
      ::bind(door.get(), generic(name), name.length) != 0 || ::listen(door.get(), 4096) != 0) {
    return to_js(env, -errno);
  }
  return to_js(env, door.take());
}

// sendDescriptors(path, fds, bytes): one message to the door at `path`, its process of our user or root's: 0 or -errno
napi_value send_descriptors(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const std::string path = args.text(0);
  const auto numbers = args.bytes(1);
  const auto bytes = args.bytes(2);
  UnixName name;
  if (!args.ok()) return fault(env);
  const size_t count = numbers.size() / sizeof(int);
  if (!read_name(path, false, name) || count > kMostDescriptors || bytes.empty()) return to_js(env, -EINVAL);
  int descriptors[kMostDescriptors];
  if (count > 0) std::memcpy(descriptors, numbers.data(), count * sizeof(int));
  const Descriptor connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connection.get() < 0 || ::connect(connection.get(), generic(name), name.length) != 0) return to_js(env, -errno);
  if (!is_trusted(connection.get())) return to_js(env, -EPERM);
  return to_js(env, send_message(connection.get(), bytes, {descriptors, count}));
}

// receiveDescriptors(door, fds, bytes): the length of the next message, or -errno; `fds` takes how many came, then them
napi_value receive_descriptors(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto door = args.whole<int>(0);
  const auto numbers = args.words(1);
  const auto bytes = args.bytes(2);
  if (!args.ok() || numbers.size() < sizeof(int)) return fault(env);
  if (option(door, SO_DOMAIN) != AF_UNIX || option(door, SO_TYPE) != SOCK_SEQPACKET) return to_js(env, -EINVAL);
  const Descriptor connection(uninterrupted([&] { return ::accept4(door, nullptr, nullptr, SOCK_CLOEXEC); }));
  if (connection.get() < 0) return to_js(env, -errno);
  if (!is_trusted(connection.get())) return to_js(env, -EPERM);
  const std::span<int> descriptors(reinterpret_cast<int*>(numbers.data()), numbers.size() / sizeof(int));
  return to_js(env, static_cast<double>(receive_message(connection.get(), bytes, descriptors)));
}

// peerUser(fd): the user id of the process at the other end of a unix socket, or -errno
napi_value peer_user(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto fd = args.whole<int>(0);
  if (!args.ok()) return fault(env);
  ucred peer{};
  if (!read_peer(fd, peer)) return to_js(env, -ENOTSOCK);
  return to_js(env, static_cast<double>(peer.uid));
}

// notify(address, bytes): one datagram to a path or an @name: 0 or -errno
napi_value notify(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const std::string address = args.text(0);
  const auto bytes = args.bytes(1);
  UnixName name;
  if (!args.ok()) return fault(env);
  if (!read_name(address, true, name)) return to_js(env, -EINVAL);
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return to_js(env, -errno);
  const ssize_t sent = uninterrupted([&] {
    return ::sendto(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL, generic(name), name.length);
  });
  return to_js(env, sent < 0 ? -errno : 0);
}

// duplicateListener(id): a second descriptor of a listener, or -errno
napi_value duplicate_listener(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto id = args.whole<ListenerId>(0);
  if (!args.ok() || !args.attached()) return fault(env);
  return to_js(env, args.environment().engine().duplicate(id));
}

}  // namespace millrace::addon
