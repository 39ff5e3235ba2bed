// A data socket from birth to end: connecting, open (idle, or with a read, a write or a release under way), joined, or
// closing. Owned by exactly one worker, which alone touches it.
#pragma once

#include <memory>

#include "client.h"
#include "secure.h"
#include "socket.h"
#include "timer_wheel.h"

namespace millrace {

class Join;
class Worker;
struct JoinSpec;
struct ListenSocket;

// What a worker registers with its epoll.
class Pollable {
 public:
  virtual void on_ready(uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

class Endpoint final : public Pollable, public TimerTarget {
 public:
  enum class Stage : uint8_t {
    Connecting,
    Open,
    Securing,  // in a TLS handshake
    Waiting,  // for the other side of its join, on its way from another worker or still connecting
    Joined,
    Settling,  // a lane whose visit is given up: until both ends have said its end
    Closing,  // sending its last bytes, then FIN, then discarding what the peer still sends
    Closed,   // no descriptor any more; freed at the end of the turn
  };

  static constexpr size_t kMaxRead = 64 << 10;
  static constexpr size_t kMaxQueued = 1 << 20;
  static constexpr Millis kLingerFlush = 5000;
  static constexpr Millis kLingerDrain = 2000;
  static constexpr size_t kLingerBytes = 64 << 10;
  // docs/protocol.md: laneSettleMs.
  static constexpr Millis kLaneSettle = 10'000;
  // How long a lane's END waits for the next visit, to leave with its OPEN.
  static constexpr Millis kHoldBack = 2;
  // What a step of a lane that settles discards.
  static constexpr size_t kSettleBytes = 256 << 10;

  Endpoint(EndpointId id, std::shared_ptr<Client> client, const Syscalls& sys, int fd, bool tcp, Stage stage)
      : socket(sys, fd, tcp), id_(id), client_(std::move(client)), timer_(*this), stage_(stage) {}
  ~Endpoint();

  Socket socket;
  bool queued = false;  // the worker's mark: it is among those that have a step to do

  EndpointId id() const { return id_; }
  const std::shared_ptr<Client>& client() const { return client_; }
  Stage stage() const { return stage_; }
  Timer& timer() { return timer_; }

  // Binds it to the worker that owns it from now on (null while under way between two).
  void attach(Worker* worker);
  void count_against(std::shared_ptr<ListenSocket> listener);
  void set_deadline(Millis deadline) { deadline_ = deadline; }

  // The socket options that only matter to long connections are owed until it proves to be one, or to be no join's.
  // `unpaced`: with set_unpaced.
  void owe_options(bool unpaced) {
    owes_options_ = socket.tcp();
    owes_unpaced_ = owes_options_ && unpaced;
  }
  bool owes_options() const { return owes_options_; }
  void pay_options();

  // One read: data, end, time-out or reset is reported once.
  void request_read(size_t max, Millis deadline);
  void write(std::span<const uint8_t> bytes);
  void request_flush();
  void request_release();
  // A TLS handshake, reported once: done, or why not, and then the endpoint is closed.
  void request_secure(std::unique_ptr<SecureSpec> spec);
  // A step of a handshake, or of a lane that settles, which may cost as much as hundreds of visits of a join.
  void step();
  // Makes it a lane; `head` has already been read of it. From then on a LaneOpened event tells of each visit that its peer
  // begins, LaneFree of the end of each, and Gone of its own.
  void request_lane(LaneRole role, std::span<const uint8_t> head);
  // A lane that can be side of a join: with a visit, or at the end that opens one with `open`.
  bool ready_to_join(bool open) const { return !socket.lane() || socket.lane()->active() != (open && opens_visits()); }
  bool opens_visits() const { return socket.lane() && socket.lane()->role() == LaneRole::Opens; }
  // Ends a visit, whose lane goes on, as settle() sees to; false when this is no lane. Not orderly: by RESET.
  bool leave_visit(bool orderly, LaneReset reason = LaneReset::Connection);
  void settle();
  // Its join can't begin: resets a visitor, and leaves a lane as it was. `held`: as hold_visit().
  void turn_away(LaneReset reason, bool held = false);
  // On a lane that opens visits, and has none: begins one that is in no join.
  void open_visit(std::span<const uint8_t> start, std::span<const uint8_t> bytes);
  // The client has no part in the visit any more: ends it, unless its join has.
  void let_go(bool reset);
  // The visit in a join is the client's as well, whose commands may be under way: it is over only once he lets go.
  void hold_visit() { held_ = socket.lane() != nullptr; }
  // Its join is over, and has taken nothing of it: it is the client's as before.
  void stay();
  // As SecureSpec.
  bool resets_when_truncated() const { return resets_when_truncated_; }
  // `errno` other than 0: the engine gives the endpoint up on its own.
  void destroy(bool reset, int error = 0);

  // For the other side, on its way from another worker or (`dialed`) still connecting.
  void wait_for_join(EndpointId dialed = 0) {
    stage_ = Stage::Waiting;
    dialed_ = dialed;
  }
  EndpointId dialed() const { return dialed_; }
  void forget_dial() { dialed_ = 0; }
  // The join to begin once it is connected, instead of a Dialed event.
  void join_when_connected(std::unique_ptr<JoinSpec> spec);
  std::unique_ptr<JoinSpec> take_spec();
  void enter(Join& join);
  // Ends its part in a join: an orderly close that discards what the peer still sends, or a close at once.
  void linger();
  void close_now(bool reset);

  // Serves reads, writes and flush requests: at once when open, on the join's behalf when joined.
  void serve();

  void on_ready(uint32_t events) override;
  void on_timer(Millis now) override;

 private:
  bool start_tls();
  void secured();
  void refuse_secure(const TlsError& error, bool reset);
  void leave_secure();
  void step_secure();
  void serve_lane();
  void hold_back();
  void free_lane();
  void finish_connect(uint32_t events);
  void begin_join(uint32_t events);
  void serve_read();
  void serve_writes();
  void report_end();
  void step_close();
  void end(bool reset, int error);
  void settle_due();
  // Its visit is over at both ends, and nothing of it waits.
  bool settled() const { return socket.lane()->over() && !socket.unsent_ciphertext(); }
  void insist();
  void gone(int error, bool reset = false);
  void rearm();
  void emit(EventType type, uint32_t code, uint64_t value = 0, std::vector<uint8_t> payload = {});

  const EndpointId id_;
  std::shared_ptr<Client> client_;
  std::shared_ptr<ListenSocket> listener_;
  Worker* worker_ = nullptr;
  Join* join_ = nullptr;
  std::unique_ptr<JoinSpec> spec_;
  std::unique_ptr<SecureSpec> secure_;
  EndpointId dialed_ = 0;
  Timer timer_;
  Millis deadline_ = kNever;
  size_t read_max_ = 0;  // 0 = no read is asked for
  size_t discarded_ = 0;
  Stage stage_;
  bool flush_asked_ = false;
  bool held_ = false;  // as hold_visit()
  bool release_asked_ = false;
  bool fin_reported_ = false;
  bool reset_reported_ = false;
  bool fin_sent_ = false;
  bool owes_options_ = false;
  bool owes_unpaced_ = false;
  bool resets_when_truncated_ = false;
};

}  // namespace millrace
