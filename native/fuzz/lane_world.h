// An engine with lanes on the simulated kernel, with a client that remembers what it asked for. What is never to happen is
// that a byte of one visit reaches another: each visit's bytes are a stream of their own, and so are those of each
// connection.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "stage.h"

namespace millrace::fuzz {

// An endpoint as its client knows it: a lane, or the connection of a visitor or a service, which is in one join at most.
struct Party {
  enum class Phase : uint8_t {
    Raw,     // a connection, or one that is to become a lane
    Free,    // a lane without a visit
    Opened,  // a lane with a visit that is in no join, and that may be the client's own
    Joined,
    Left,    // a lane whose visit is given up, or was in a join: LaneFree will tell
    Gone,
  };

  std::shared_ptr<Connection> connection;
  EndpointId id = 0;
  Phase phase = Phase::Raw;
  bool hidden = false;      // a join dialed it: its client doesn't know it
  bool told_gone = false;
  bool destroyed = false;   // by the client, or by something that it must not ask
  bool wronged = false;     // something was asked of it that makes no sense now: it may be gone, or not
  bool securing = false;
  bool secured = false;
  bool refused = false;
  int join = -1;
  size_t visit = SIZE_MAX;  // of a lane, its index
  size_t told = 0;          // visits that have begun, where their far end opens them
  bool held = false;        // its join was the client's as well: it is free only once he has let go
  bool left_orderly = false;
  uint64_t left_after = 0;  // when that was asked for
  uint64_t left_at = 0;     // when a quiet moment first saw it settle; 0 is not yet
  bool reading = false;
  bool read_deadline = false;
  bool stale_read = false;   // one was asked for when its visit was left
  bool stale_flush = false;
  bool flushing = false;
  uint64_t flush_of = 0;
  uint64_t read = 0;     // of this connection, or this visit
  uint64_t written = 0;  // to it, by the client

  LaneActor* actor() const { return connection ? connection->lane.get() : nullptr; }
  bool is_lane() const { return actor() != nullptr; }
  // The visit that the client knows of; null for a connection.
  LaneVisit* now() const { return is_lane() && visit < actor()->visits.size() ? &actor()->visits[visit] : nullptr; }
  // Its visit is left: what was asked for may be answered, or not.
  void forget_asked() {
    stale_read = stale_read || reading;
    stale_flush = stale_flush || flushing;
    reading = flushing = false;
  }
  bool usable() const { return phase != Phase::Gone && !destroyed && !securing && !refused && !hidden; }
};

struct LaneDirection {
  bool caller = false;
  bool finished = false;
  bool finished_with_fin = false;
  uint64_t head = 0;
  uint64_t most = UINT64_MAX;
  double rate = 0;
  double burst = 0;
  uint64_t written_before = 0;
  uint64_t read_before = 0;
  uint64_t counted = 0;

  uint64_t ahead() const { return head < most ? head : most; }
};

struct LaneJoin {
  size_t a = 0;
  size_t b = 0;
  // The visits of those that are lanes.
  size_t visit_a = 0;
  size_t visit_b = 0;
  Mode mode = Mode::Adaptive;
  JoinLimits limits;
  LaneDirection a_to_b;
  LaneDirection b_to_a;
  std::unique_ptr<CounterCell> cell;
  uint64_t started = 0;
  // When a quiet moment first saw it run, and saw it broken; 0 is not yet.
  uint64_t begun_at = 0;
  uint64_t failed_at = 0;
  bool wrong = false;      // it can't begin
  bool opens = false;      // it begins a visit, and `b` is a lane
  bool dials = false;
  bool dialing = false;
  uint64_t dial_deadline = 0;
  bool aborted = false;
  bool ended = false;
  EndReason reason = EndReason::Eof;
  uint64_t counts[2] = {};

  size_t party(bool first) const { return first ? a : b; }
  size_t visit(bool first) const { return first ? visit_a : visit_b; }
  LaneDirection& from(bool first) { return first ? a_to_b : b_to_a; }
  const LaneDirection& from(bool first) const { return first ? a_to_b : b_to_a; }
};

class LaneWorld final : public Stage {
 public:
  static constexpr size_t kMostParties = 60;
  static constexpr size_t kMostLanes = 4;
  static constexpr size_t kMostJoins = 60;

  explicit LaneWorld(uint32_t workers);

  std::deque<Party> parties;
  std::deque<LaneJoin> joins;
  std::vector<size_t> lanes;  // those among the parties

  // --- The client's calls, each remembered. What makes no sense isn't called, but for what says so.
  // The connection of a visitor, or of a service.
  Party* adopt(bool tcp);
  // A connection that is to become a lane, and its far end; `written` goes ahead of the frames. With a suite: TLS.
  Party* connect(LaneRole role, uint64_t written, int suite);
  void make_lane(Party& party, size_t head);
  // Whichever of both is a lane has a visit then, or gets one with `open`.
  void join(LaneJoin plan, std::vector<uint8_t> open);
  void join_to(LaneJoin plan, bool tcp, uint64_t timeout);
  void abort(LaneJoin& join);
  void finish(LaneJoin& join, bool a_to_b, bool fin);
  void read(Party& party, size_t most, Millis deadline);
  void write(Party& party, uint64_t length);
  void flush(Party& party);
  // Begins a visit that is in no join, whose first bytes are so many.
  void open(Party& party, std::vector<uint8_t> start, uint64_t length);
  void leave(Party& party, bool reset);
  void destroy(Party& party, bool reset);
  // Calls that no careful client makes, between turns.
  void wrong_call(Party& party, uint8_t what);

  // Time passes, and no worker has a turn.
  void jump(uint64_t milliseconds);
  bool can_join(const Party& party, const LaneDirection& from) const;
  void end_in_order() override;

 private:
  friend class LaneOracle;

  void after_turn() override;
  void in_quiet() override;
  void take(const EventRecord& record, const uint8_t*& payload) override;
  void take_read(Party& party, const EventRecord& record, const uint8_t*& payload);
  void take_opened(Party& party, const EventRecord& record, const uint8_t*& payload);
  void take_free(Party& party, const EventRecord& record);
  void take_gone(Party& party, const EventRecord& record);
  void take_join_ended(const EventRecord& record);
  void connecting(Connection& connection, uint32_t target);
  std::unique_ptr<JoinSpec> spec_of(const LaneJoin& plan);
  void expect(Party& to, Span span);
  void keep_visitor(LaneJoin& join);
  uint32_t client_stream(const Party& party) const;
  Party* find(double id);
  void react();
  LaneDirection* direction_from(const Party& party);
  LaneDirection* direction_to(const Party& party);

  uint32_t streams_ = 0;
};

}  // namespace millrace::fuzz
