// A non-blocking stream socket under edge-triggered epoll: its readiness, its failure and every transfer from and to
// it. Alternatives would be libuv handles (bytes on the JavaScript thread) or io_uring (its splice goes to helper
// threads, and container profiles block it). The price of edge triggering is that readiness must be remembered here,
// and may be forgotten only on an unambiguous sign that the kernel has nothing more. Once it is encrypted, what it takes
// and gives is plaintext, and nothing can be spliced; once it is a lane, that of its visitor.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "held_bytes.h"
#include "lane_layer.h"
#include "pipe_pool.h"
#include "syscalls.h"
#include "tls_layer.h"

namespace millrace {

enum class Io : uint8_t {
  Progress,     // at least one byte
  Blocked,      // nothing now; an edge will tell
  Ended,        // the peer's FIN
  Failed,       // error() says why
  Unsupported,  // splice only: not on this socket; nothing was moved
};

// How bytes are sent that aren't a visitor's, or not only.
struct SendHow {
  size_t uncounted = 0;  // the first so many are nobody's payload
  size_t behind = 0;     // and neither are the last so many
  bool more = false;     // others follow at once (MSG_MORE)
};

class Socket {
 public:
  // limit_unsent of sockets that are made here.
  static constexpr size_t kUnsent = 128 << 10;

  // Takes `fd` over, which must be non-blocking.
  Socket(const Syscalls& sys, int fd, bool tcp) : sys_(sys), fd_(fd), tcp_(tcp) {}
  ~Socket() { close(); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  bool tcp() const { return tcp_; }
  bool readable() const { return readable_carried() || (lane_ && lane_->readable()); }
  bool writable() const { return writable_; }
  // errno of the failure, 0 while there is none. What the kernel received before it stays readable (receive first
  // returns that, then Failed).
  int error() const { return error_; }
  // The same of the visit that a lane carries, which can fail although the lane does not.
  int failure() const { return error_ == 0 && lane_ && lane_->was_reset() ? ECONNRESET : error_; }
  // RDHUP or HUP was seen: the peer has sent its FIN, or is gone; bytes may still be unread.
  bool peer_ended() const { return peer_ended_; }
  // MSG_OOB was seen. From then on splice must not be used: at the mark it reports EAGAIN for ever and, behind a FIN,
  // a false EOF.
  bool urgent() const { return urgent_; }

  // Takes what epoll reported.
  void note(uint32_t events);
  void fail(int error) {
    if (error_ == 0) error_ = error;
    // Whoever empties it must meet the error, though no edge may come.
    readable_ = true;
  }

  // From now on it carries what `tls` makes of its bytes. What has been queued must be out.
  void encrypt(std::unique_ptr<TlsLayer> tls) { tls_ = std::move(tls); }
  bool encrypted() const { return tls_ != nullptr; }
  TlsLayer* tls() const { return tls_.get(); }
  // From now on it carries visitors in frames. What has been queued leaves before them.
  void frame(std::unique_ptr<LaneLayer> lane);
  LaneLayer* lane() const { return lane_.get(); }
  // The peer ended without close_notify.
  bool truncated() const { return tls_ && !lane_ && tls_->truncated(); }
  // Its end must be told before it is closed.
  bool owes_close() const { return tls_ && !tls_->said_close(); }

  // On a lane `buffer` has LaneLayer::kRoom in front of it.
  Io receive(void* buffer, size_t length, size_t& moved);
  Io send(const void* bytes, size_t length, size_t& moved);
  // The same where LaneLayer::kRoom in front of `bytes` may be written over.
  Io send_roomy(uint8_t* bytes, size_t length, size_t& moved);
  // The last bytes before a FIN, which is to follow at once: they leave with it where that is possible.
  Io send_before_end(const void* bytes, size_t length, size_t& moved) {
    return tls_ || lane_ ? send(bytes, length, moved) : send_raw(bytes, length, moved, true);
  }
  // `pipe` must be empty, as EAGAIN could else mean either end. Blocked and Ended are hints only: receive() confirms.
  Io splice_to(Pipe& pipe, size_t length, size_t& moved);
  // `length` must be exactly what the pipe holds: more stalls 200 ms when it holds 16 buffers.
  Io splice_from(Pipe& pipe, size_t length, size_t& moved);

  // Bytes that wait to be sent before anything else.
  size_t queued() const { return queue_.size(); }
  void queue(std::span<const uint8_t> bytes) { queue_.append(bytes); }
  std::span<const uint8_t> queue() const { return queue_.bytes(); }
  void drop_queue() { queue_.clear(); }
  // Of what was sent, some is ciphertext or a lane's frame that the kernel has not taken.
  bool unsent() const { return unsent_ciphertext() || (lane_ && lane_->unsent()); }
  bool unsent_ciphertext() const { return tls_ && tls_->unsent(); }
  bool waiting() const { return !queue_.empty() || unsent(); }
  // Sends from the queue; Progress when nothing is waiting. `moved` counts also when Blocked.
  Io flush(size_t& moved);
  // The same of what is unsent.
  Io flush_unsent(size_t& moved) { return lane_ ? lane_->flush(*this, false, moved) : flush_carried(moved); }
  // Receives what nobody will look at, as long as discardable(): ciphertext that was read already is nobody's either.
  bool discardable() const { return readable_; }
  Io discard(void* buffer, size_t length, size_t& moved) { return receive_raw(buffer, length, moved); }

  // How many bytes the kernel may hold that are not sent yet before the socket counts as full (TCP_NOTSENT_LOWAT, tcp(7)).
  void limit_unsent(size_t bytes);
  // Ends what is carried: FIN, as shutdown_write(), or a lane's END, of which LaneLayer::end() says what `last` is.
  Io end(bool last) { return lane_ ? lane_->end(*this, last) : shutdown_write(); }
  // Sends FIN, and the close_notify before it: Blocked until that is out. What is queued must be.
  Io shutdown_write();
  // True when the peer's kernel has acknowledged everything sent (unix sockets and lanes, whose RESET overtakes nothing:
  // always).
  bool drained() const;
  void close();
  // Closes with RST (TCP); the bytes that the kernel still held for the peer are lost.
  void reset();
  // Gives the descriptor up. Not of an encrypted one.
  int take() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  friend class LaneLayer;
  friend class TlsLayer;
  // What a lane's frames go through: TLS, or the socket itself.
  bool readable_carried() const { return readable_ || (tls_ && tls_->readable()); }
  Io receive_carried(void* buffer, size_t length, size_t& moved);
  Io send_carried(const void* bytes, size_t length, size_t& moved, SendHow how);
  Io flush_carried(size_t& moved) { return tls_ ? tls_->flush(*this, moved) : Io::Progress; }
  bool readable_raw() const { return readable_; }
  Io receive_raw(void* buffer, size_t length, size_t& moved);
  Io send_raw(const void* bytes, size_t length, size_t& moved, bool more = false);

  const Syscalls& sys_;
  int fd_;
  int error_ = 0;
  bool tcp_;
  bool readable_ = false;
  bool writable_ = true;
  bool peer_ended_ = false;
  bool urgent_ = false;
  // PRI, RDHUP, HUP or ERR since the last EAGAIN: a short receive then doesn't mean that nothing is left.
  bool hinted_ = false;
  HeldBytes queue_;
  std::unique_ptr<TlsLayer> tls_;
  std::unique_ptr<LaneLayer> lane_;
};

// TCP_NODELAY, and set_long_options. Accepted sockets inherit all of it from their listener. Best effort.
void set_tcp_options(const Syscalls& sys, int fd);
void set_no_delay(const Syscalls& sys, int fd);
// What matters to connections that last or stall: keep-alive probes after 60 s, every 15 s, 3 times; TCP_USER_TIMEOUT
// 105 s; TCP_NOTSENT_LOWAT 128 KiB.
void set_long_options(const Syscalls& sys, int fd);
// For connections over loopback where the system's congestion control paces (BBR): Reno, which every user may choose. To
// measure a path that is this machine's memory costs more than to send on it. Accepted sockets inherit it as well.
void set_unpaced(const Syscalls& sys, int fd);
// Whether new connections are paced.
bool paces(const Syscalls& sys);

}  // namespace millrace
