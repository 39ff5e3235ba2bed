// An engine on the simulated kernel, with a client that remembers what it asked for: what must come of it is checked
// here against the nine points of the join contract (docs/architecture.md).
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "stage.h"

namespace millrace::fuzz {

// An endpoint as its client knows it.
struct Side {
  std::shared_ptr<Connection> connection;  // null while a dial has not reached the kernel
  EndpointId id = 0;
  int join = -1;
  bool dialing = false;
  bool hidden = false;       // a join dialed it: its client doesn't know it
  bool gone = false;         // an event said so, or its join's end
  bool told_gone = false;
  bool destroyed = false;
  bool release_asked = false;
  bool securing = false;         // it was asked for, and not answered
  bool secured = false;
  bool refused = false;          // the handshake failed
  bool cut_is_reset = false;     // SecureSpec::reset_when_truncated
  uint64_t secure_deadline = 0;
  std::vector<uint8_t> head;     // read of what was to become TLS
  bool reading = false;
  bool read_deadline = false;
  bool flushing = false;
  uint64_t flush_of = 0;  // what had been written when it was asked for
  uint64_t written = 0;
  uint64_t read = 0;

  // Commands make sense for it.
  bool usable() const { return !gone && !destroyed && !release_asked && !dialing && !securing && !refused; }
  // It hears TLS which is not decrypted: its bytes mean nothing to a join.
  bool undecided() const { return connection && connection->tls && !secured; }
};

struct DirectionModel {
  bool caller = false;
  bool finished = false;
  uint64_t head = 0;
  uint64_t most = UINT64_MAX;
  double rate = 0;
  double burst = 0;
  uint64_t written_before = 0;  // to the sink, before the join
  uint64_t read_before = 0;     // from the source
  uint64_t counted = 0;         // what its cell said last
  uint64_t stuck_at = 0;        // when a quiet moment first saw bytes wait for the sink, …
  uint64_t stuck_with = 0;      // … which had taken so many
};

struct JoinModel {
  size_t a = 0;
  size_t b = 0;
  Mode mode = Mode::Adaptive;
  JoinLimits limits;
  DirectionModel a_to_b;
  DirectionModel b_to_a;
  CounterCell* cell = nullptr;
  uint64_t started = 0;
  // When a quiet moment first saw it run, half closed, broken; 0 is not yet.
  uint64_t begun_at = 0;
  uint64_t half_closed_at = 0;
  uint64_t failed_at = 0;
  // It dials its side b, which as far as a quiet moment could tell is not connected yet; until when.
  bool dials = false;
  bool dialing = false;
  uint64_t dial_deadline = 0;
  bool ended = false;
  bool aborted = false;
  EndReason reason = EndReason::Eof;
};

class World final : public Stage {
 public:
  static constexpr size_t kMostSides = 10;
  static constexpr size_t kMostJoins = 5;

  explicit World(uint32_t workers);

  std::vector<Side> sides;
  std::vector<JoinModel> joins;
  std::vector<int> listeners;         // their descriptors
  std::vector<ListenerId> listening;  // their ids; 0 when closed
  // Descriptors were once used up but for the reserve.
  bool reserve_touched = false;

  // --- The client's calls, each remembered.
  void adopt(bool tcp);
  void dial(bool tcp, uint64_t timeout);
  void listen(uint64_t most);
  void unlisten(size_t listener);
  void join(JoinModel plan);
  // `plan.b` is not looked at: it becomes the side that is dialed.
  void join_to(JoinModel plan, bool tcp, uint64_t timeout);
  void abort(JoinModel& join);
  void finish(JoinModel& join, bool a_to_b, bool fin);
  void read(Side& side, size_t most, Millis deadline);
  void write(Side& side, uint64_t length);
  void flush(Side& side);
  void destroy(Side& side, bool reset);
  void release(Side& side);
  // Its peer speaks TLS from now on; the engine when it is told to.
  void speak_tls(Side& side, const TlsActor::Kind& kind);
  void secure(Side& side, bool cut_is_reset, Millis timeout);

  // How a run may end as well: everything is let go its way, then nothing may be left.
  void end_in_order() override;
  void use_descriptors_from(int lowest) override;

 private:
  friend class Oracle;

  void after_turn() override;
  void in_quiet() override;
  Side* find(double id);
  const DirectionModel* direction_from(const Side& side) const;
  void take(const EventRecord& record, const uint8_t*& payload) override;
  void take_secured(Side& side, const EventRecord& record, const uint8_t*& payload);
  void take_read(Side& side, const EventRecord& record, const uint8_t*& payload);
  std::unique_ptr<JoinSpec> spec_of(const JoinModel& plan);
  void connecting(Connection& connection, uint32_t target);

  std::array<CounterCell, kMostJoins> cells_{};
};

}  // namespace millrace::fuzz
