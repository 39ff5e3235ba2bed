#include "socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace millrace {

void Socket::note(uint32_t events) {
  if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable_ = true;
  if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hinted_ = true;
  if (events & (EPOLLRDHUP | EPOLLHUP)) peer_ended_ = true;
  if (events & EPOLLPRI) urgent_ = true;
  if (events & EPOLLERR) {
    // Whoever asks first takes the error away, and the next receive would report a false EOF: keep it here.
    int error = 0;
    socklen_t length = sizeof error;
    if (sys_.getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0) fail(error);
  }
}

void Socket::frame(std::unique_ptr<LaneLayer> lane) {
  lane_ = std::move(lane);
  lane_->queue(queue_.bytes());
  queue_.clear();
}

Io Socket::receive(void* buffer, size_t length, size_t& moved) {
  if (lane_) return lane_->receive(*this, static_cast<uint8_t*>(buffer), length, moved);
  return receive_carried(buffer, length, moved);
}

Io Socket::send(const void* bytes, size_t length, size_t& moved) {
  if (lane_) return lane_->send(*this, static_cast<const uint8_t*>(bytes), length, moved);
  return send_carried(bytes, length, moved, {});
}

Io Socket::send_roomy(uint8_t* bytes, size_t length, size_t& moved) {
  return lane_ ? lane_->send_roomy(*this, bytes, length, moved) : send_carried(bytes, length, moved, {});
}

Io Socket::receive_carried(void* buffer, size_t length, size_t& moved) {
  return tls_ ? tls_->receive(*this, buffer, length, moved) : receive_raw(buffer, length, moved);
}

Io Socket::send_carried(const void* bytes, size_t length, size_t& moved, SendHow how) {
  if (tls_) return tls_->send(*this, bytes, length, moved, how.uncounted, how.behind);
  return send_raw(bytes, length, moved, how.more);
}

Io Socket::receive_raw(void* buffer, size_t length, size_t& moved) {
  const ssize_t n = uninterrupted([&] { return sys_.recv(fd_, buffer, length, MSG_DONTWAIT); });
  if (n > 0) {
    moved = static_cast<size_t>(n);
    if (moved < length && !hinted_ && !urgent_) readable_ = false;
    return Io::Progress;
  }
  if (n == 0) return error_ != 0 ? Io::Failed : Io::Ended;
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    readable_ = false;
    hinted_ = false;
    return error_ != 0 ? Io::Failed : Io::Blocked;
  }
  fail(errno);
  return Io::Failed;
}

Io Socket::send_raw(const void* bytes, size_t length, size_t& moved, bool more) {
  if (error_ != 0) return Io::Failed;
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  const ssize_t n = uninterrupted([&] { return sys_.send(fd_, bytes, length, flags); });
  if (n > 0) {
    moved = static_cast<size_t>(n);
    return Io::Progress;
  }
  if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
    writable_ = false;
    return Io::Blocked;
  }
  fail(errno);
  return Io::Failed;
}

namespace {

// What splice(2) may say of a descriptor or a system on which it doesn't work at all, or not now. None of these says
// anything about the connection.
bool splice_unsupported(int error) {
  return error == EINVAL || error == ENOSYS || error == EPERM || error == EOPNOTSUPP || error == EACCES || error == ENOMEM;
}

}  // namespace

Io Socket::splice_to(Pipe& pipe, size_t length, size_t& moved) {
  const ssize_t n =
      uninterrupted([&] { return sys_.splice(fd_, pipe.write_end, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK); });
  if (n > 0) {
    moved = static_cast<size_t>(n);
    return Io::Progress;
  }
  if (n == 0) return Io::Ended;
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Io::Blocked;
  if (splice_unsupported(errno)) return Io::Unsupported;
  fail(errno);
  return Io::Failed;
}

Io Socket::splice_from(Pipe& pipe, size_t length, size_t& moved) {
  if (error_ != 0) return Io::Failed;
  const ssize_t n =
      uninterrupted([&] { return sys_.splice(pipe.read_end, fd_, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK); });
  if (n > 0) {
    moved = static_cast<size_t>(n);
    return Io::Progress;
  }
  if (n == 0 || errno == EAGAIN || errno == EWOULDBLOCK) {
    writable_ = false;
    return Io::Blocked;
  }
  if (splice_unsupported(errno)) return Io::Unsupported;
  fail(errno);
  return Io::Failed;
}

Io Socket::flush(size_t& moved) {
  moved = 0;
  while (!queue_.empty()) {
    size_t n = 0;
    const Io io = send(queue_.data(), queue_.size(), n);
    if (io != Io::Progress) return io;
    queue_.consume(n);
    moved += n;
  }
  size_t unsent = 0;
  return flush_unsent(unsent);
}

void Socket::limit_unsent(size_t bytes) {
  if (!tcp_) return;
  const int value = static_cast<int>(bytes);
  sys_.setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof value);
}

Io Socket::shutdown_write() {
  if (error_ != 0) return Io::Failed;
  if (tls_) {
    if (const Io io = tls_->close(*this); io != Io::Progress) return io;
  }
  // ENOTCONN: the connection is gone already, which epoll tells with the reason.
  if (uninterrupted([&] { return sys_.shutdown(fd_, SHUT_WR); }) == 0 || errno == ENOTCONN) return Io::Progress;
  fail(errno);
  return Io::Failed;
}

bool Socket::drained() const {
  if (lane_) return true;
  if (unsent()) return false;
  if (!tcp_) return true;
  // A kernel that doesn't tell may still have some.
  int unsent = 0;
  return sys_.outq(fd_, &unsent) == 0 && unsent == 0;
}

void Socket::close() {
  if (fd_ < 0) return;
  sys_.close(fd_);
  fd_ = -1;
}

void Socket::reset() {
  if (fd_ < 0) return;
  if (tcp_) {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    if (sys_.setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard) != 0) {
      // The other way to send RST, connect(2): nobody may take a cut connection for a whole one.
      const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
      sys_.connect(fd_, &nowhere, sizeof nowhere);
    }
  }
  close();
}

void set_tcp_options(const Syscalls& sys, int fd) {
  set_no_delay(sys, fd);
  set_long_options(sys, fd);
}

void set_no_delay(const Syscalls& sys, int fd) {
  const int on = 1;
  sys.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void set_long_options(const Syscalls& sys, int fd) {
  const auto set = [&](int level, int name, int value) { sys.setsockopt(fd, level, name, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 105'000);
  set(IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<int>(Socket::kUnsent));
}

void set_unpaced(const Syscalls& sys, int fd) {
  constexpr std::string_view kName = "reno";
  sys.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kName.data(), kName.size());
}

bool paces(const Syscalls& sys) {
  const int fd = sys.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  char name[16] = {};  // TCP_CA_NAME_MAX
  socklen_t length = sizeof name;
  const bool known = sys.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0;
  sys.close(fd);
  return known && std::string_view(name, strnlen(name, sizeof name)).starts_with("bbr");
}

}  // namespace millrace
