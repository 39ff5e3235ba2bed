// One simulated connection as the engine's side of it sees it: Linux's tcp(7) or unix(7) stream socket, its peer and
// the network between them, as far as a relay can tell. What the kernel's sources decide (tcp_poll, tcp_recvmsg,
// tcp_splice_read, tcp_reset, unix_release_sock) is decided the same way here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "lane_actor.h"
#include "pattern.h"
#include "tls_actor.h"

namespace millrace::fuzz {

class Kernel;
struct PipeObject;

class Connection {
 public:
  enum class State : uint8_t { Fresh, Connecting, Connected, Dead };

  Connection(Kernel& owner, uint32_t number, bool is_tcp) : kernel(owner), stream(number), tcp(is_tcp) {}

  // --- What the engine's system calls do; -1 with errno as in the man pages.
  uint32_t poll();
  long recv(uint8_t* buffer, size_t length);
  long send(const uint8_t* bytes, size_t length);
  long splice_to(PipeObject& pipe, size_t length);
  long splice_from(PipeObject& pipe, size_t length);
  int shutdown_write();
  int take_error();
  int unsent() const { return static_cast<int>(tx); }
  void close(bool hard);

  // --- What the peer and the network do.
  void establish();
  void refuse(int error);
  // Writes `length` bytes in packets of `packet`; false after its FIN, or when it is gone.
  bool peer_send(uint64_t length, uint64_t packet);
  bool peer_urgent();
  void peer_finish();
  void peer_reset();
  // close(2): unread bytes make it a reset.
  void peer_close();
  void peer_read(uint64_t length);
  // From now on the peer speaks TLS; all that it has sent so far must have been consumed.
  void speak_tls(const TlsActor::Kind& kind);
  // The engine does as well, once it has sent so many bytes.
  void encrypt_behind(uint64_t bytes) { plain_until = bytes; }
  // Puts what the peer has said in TLS on its way, in such packets.
  void send_wire(uint64_t packet);
  // The same of what a lane's far end has said, `most` bytes of it, which may cut a frame.
  void send_frames(uint64_t packet, uint64_t most = UINT64_MAX);
  bool owes_frames() const { return lane && frames_sent < lane->wire().size(); }
  // FIN, before which the last `lost` bytes that are not delivered yet are gone.
  void peer_cut(uint64_t lost);
  // Gives it other buffers, as either system's administrator or autotuning may.
  void resize(uint64_t send_buffer, uint64_t receive_buffer, uint64_t peer_receive_buffer);
  // Carries what fits from either side to the other.
  void carry();

  // Bytes that recv would return now, before the urgent mark or behind it.
  bool readable_bytes() const;
  // All that the peer has to say has been taken, as far as an end was reached.
  bool at_end() const { return notified() || (fin_arrived && !readable_bytes()); }
  // The engine has taken the peer's close_notify.
  bool notified() const { return tls && tls->ended(consumed); }
  // It has taken the end, and there was no close_notify.
  bool truncated() const { return plain_until != kAll && !notified() && fin_arrived && !readable_bytes() && !spoiled(); }
  // It has taken something from a TLS peer that makes no sense.
  bool spoiled() const { return tls && tls->spoiled(consumed); }
  // What it hears can't be told any more.
  bool deaf() const { return tls && tls->deaf(); }
  bool tls_storms() const { return tls && tls->storms(); }
  // It has taken some of it.
  bool doubtful() const { return tls && (consumed > tls->spoiled_from() || tls->storms()); }
  // Of plaintext: what it has taken in whole records, and what of it is in its kernel.
  uint64_t consumed_plain() const { return tls ? tls->plain(consumed) : consumed; }
  uint64_t arrived_plain() const { return tls ? tls->plain(arrived) : arrived; }
  bool writable() const {
    return state == State::Connected && !shut && (tcp || !peer_gone) && sndbuf >= tx + sndbuf / 3 + 1;
  }

  Kernel& kernel;
  const uint32_t stream;  // what the peer sends; what a client writes to it is stream + kClientStreams
  const bool tcp;
  State state = State::Fresh;
  int fd = -1;
  bool established = false;  // for the peer's side
  bool closed = false;       // by the engine
  bool held = false;         // the network carries nothing
  bool reading = true;       // the peer reads whatever comes
  bool faulted = false;      // a call of the engine's was made to fail
  bool touched = false;      // an error was seen by either side
  bool peer_gone = false;    // the peer has closed, both ways
  bool saw_fin = false;      // the peer saw the end
  bool saw_reset = false;
  bool reset_by_peer = false;
  bool fin_sent = false;     // the peer's
  bool fin_arrived = false;
  bool shut = false;         // the engine's FIN
  int died_of = 0;           // errno
  uint64_t reset_at = 0;
  uint64_t unsent_at_close = 0;

  // Null: the peer speaks no TLS.
  std::unique_ptr<TlsActor> tls;
  // Null: the peer is no lane's.
  std::unique_ptr<LaneActor> lane;
  uint64_t frames_sent = 0;   // of its wire
  bool holds_frames = false;  // what it says isn't sent until it is told to
  static constexpr uint64_t kAll = UINT64_MAX;
  bool secured = false;         // both have heard that the handshake is done
  uint64_t plain_until = kAll;  // what the engine sends behind is ciphertext

  uint64_t sent = 0;      // plaintext, by the peer, urgent bytes not counted
  uint64_t arrived = 0;   // bytes in the engine's kernel, ciphertext or not
  uint64_t consumed = 0;  // of them, by the engine
  uint64_t consumed_this_turn = 0;
  uint64_t accepted = 0;  // plaintext in whole records, or without any, that the engine's kernel took of the engine
  uint64_t took = 0;      // bytes of the engine that it took
  uint64_t accepted_at = 0;
  uint64_t received = 0;  // of them, by the peer's kernel
  uint64_t unread = 0;    // of it, not yet read by the peer
  // What the engine may send, in this order.
  std::deque<Span> expected;

  uint64_t sndbuf = 64 << 10;
  uint64_t rcvbuf = 64 << 10;
  uint64_t peer_rcvbuf = 64 << 10;

 private:
  struct Packet {
    uint64_t length;
    bool urgent;
  };
  void deliver();
  void wake_for_room();
  void die(int error);
  bool at_mark() const { return !rx_.empty() && rx_.front().urgent; }
  void consume(uint64_t length);
  void accept(uint64_t length);
  // Checks what the engine sends against what it may, and counts it.
  void take(const uint8_t* bytes, uint64_t length);
  void take_frames(const uint8_t* bytes, uint64_t length);
  void take_ciphertext(const uint8_t* bytes, uint64_t length);
  long refuse_send();

  std::deque<Packet> out_;  // written by the peer, not yet arrived
  std::deque<Packet> rx_;   // arrived; an urgent byte is a packet of its own
  uint64_t rx_bytes = 0;    // in it, the urgent byte counted
  uint64_t on_wire_ = 0;    // of the TLS peer's bytes, on their way or beyond
  uint64_t tx = 0;          // taken, not yet acknowledged
  int error_ = 0;
  bool no_space_ = false;   // the engine waits for room
  bool urgent_ = false;     // an urgent byte is not yet passed
  bool end_on_the_way_ = false;  // the engine's FIN, behind tx
};

inline constexpr uint32_t kClientStreams = 1000;

}  // namespace millrace::fuzz
