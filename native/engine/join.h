// Two endpoints on one worker whose bytes are exchanged until both directions have ended. A join decides when and how
// it ends; moving bytes is its directions' business.
#pragma once

#include <memory>

#include "direction.h"

namespace millrace {

// All milliseconds; 0 is off, and so is kNever.
struct JoinLimits {
  Millis idle = 0;
  Millis half_closed_idle = 0;
  Millis duration = 0;
  Millis stalled = 0;
};

// What a join needs until its end.
struct JoinFrame {
  double token = 0;  // the client's name for the join, echoed in JoinEnded
  std::shared_ptr<Client> client;
  CounterCell* cell = nullptr;  // valid until JoinEnded is pushed or the client is detached
  EndpointId a = 0;
  JoinLimits limits;
  bool opens = false;  // side b is a lane, on which the join begins a visit
};

struct JoinSpec : JoinFrame {
  EndpointId b = 0;
  Mode mode = Mode::Adaptive;
  DirectionSpec a_to_b;
  DirectionSpec b_to_a;
  std::vector<uint8_t> open;  // what the OPEN carries that begins the visit, where a side is a lane that opens visits
};

// Reports the end of a join that never began, and with it that of `closed` endpoints.
void report_unjoined(Worker& worker, const JoinSpec& spec, EndReason reason, int error, uint64_t closed = 0);

class Join final : public TimerTarget {
 public:
  // After a reset: how long what came before it may take to reach the other side's kernel, and be acknowledged.
  static constexpr Millis kResetFlush = 5000;
  static constexpr Millis kResetPoll = 10;
  // A join that lives so long is a long one.
  static constexpr Millis kOptionsAfter = 1000;

  Join(Worker& worker, JoinSpec spec, Endpoint& a, Endpoint& b);
  ~Join() = default;
  Join(const Join&) = delete;
  Join& operator=(const Join&) = delete;

  EndpointId key() const { return frame_.a; }
  const std::shared_ptr<Client>& client() const { return frame_.client; }

  // One visit; true when it wants another although nothing new happened.
  bool run();
  void abort(EndReason reason, int error = 0);
  void finish(bool a_to_b, bool fin);
  void count_caller_bytes(Endpoint& sink, uint64_t bytes);
  void on_timer(Millis now) override;

  bool queued = false;  // the worker's mark: it is in the run queue

 private:
  bool step(Direction& direction);
  void side_failed(Endpoint& side);
  void run_reset();
  void check_limits(Millis now);
  Millis next_deadline() const;
  void note_paths();
  bool keeps_visitor() const;
  bool truncated() const { return a_to_b_.truncated() || b_to_a_.truncated(); }
  void flush_replies();
  void watch_lanes();
  bool owes_options() const { return a_.owes_options() || b_.owes_options(); }
  void end(EndReason reason, int error = 0);
  void end_failed();

  Worker& worker_;
  JoinFrame frame_;
  Endpoint& a_;
  Endpoint& b_;
  Direction a_to_b_;
  Direction b_to_a_;
  Timer timer_;
  const Millis started_;
  Millis fin_at_ = kNever;
  // Set once a side has failed: the direction towards the other one is still emptied.
  Endpoint* failed_ = nullptr;
  bool emptied_ = false;
  Millis reset_deadline_ = kNever;
  uint64_t paths_ = 0;
  bool ended_ = false;
};

}  // namespace millrace
