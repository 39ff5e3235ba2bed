#include "join.h"

#include <algorithm>
#include <cerrno>

#include "worker.h"

namespace millrace {

namespace {

void report(Worker& worker, const JoinFrame& frame, EndReason reason, int error, const Direction* ab,
            const Direction* ba, Millis duration, uint64_t closed) {
  EventRecord record{};
  record.type = EventType::JoinEnded;
  record.code = static_cast<uint32_t>(reason) | static_cast<uint32_t>(error) << 8;
  record.id = frame.token;
  if (ab && ba) {
    record.values[0] = ab->delivered();
    record.values[1] = ba->delivered();
    record.values[2] = ab->spliced();
    record.values[3] = ba->spliced();
  }
  record.values[4] = duration;
  record.values[5] = closed;
  worker.stats.count_end(static_cast<size_t>(reason));
  worker.emit(*frame.client, record);
}

// What a connection that broke says; anything else is a fault of ours or of the system's.
bool is_reset(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNABORTED:
      return true;
    default:
      return false;
  }
}

// A sum with the clock must not overflow: what lies beyond half of its range is never.
JoinLimits normal(const JoinLimits& limits) {
  const auto one = [](Millis limit) { return limit > kNever / 2 ? 0 : limit; };
  return {one(limits.idle), one(limits.half_closed_idle), one(limits.duration), one(limits.stalled)};
}

}  // namespace

void report_unjoined(Worker& worker, const JoinSpec& spec, EndReason reason, int error, uint64_t closed) {
  report(worker, spec, reason, error, nullptr, nullptr, 0, closed);
}

Join::Join(Worker& worker, JoinSpec spec, Endpoint& a, Endpoint& b)
    : worker_(worker),
      frame_(std::move(static_cast<JoinFrame&>(spec))),
      a_(a),
      b_(b),
      a_to_b_(worker, a, b, std::move(spec.a_to_b), spec.mode, frame_.cell->a_to_b, frame_.cell->spliced_a_to_b),
      b_to_a_(worker, b, a, std::move(spec.b_to_a), spec.mode, frame_.cell->b_to_a, frame_.cell->spliced_b_to_a),
      timer_(*this),
      started_(worker.now) {
  frame_.limits = normal(frame_.limits);
  a.enter(*this);
  b.enter(*this);
}

bool Join::run() {
  if (ended_) return false;
  if (a_to_b_.caller_driven() || b_to_a_.caller_driven()) {
    a_.serve();
    b_.serve();
    if (ended_) return false;
  }
  flush_replies();
  watch_lanes();
  bool again = false;
  if (failed_ == nullptr) {
    again = step(a_to_b_);
    if (failed_ == nullptr) again |= step(b_to_a_);
    // A failure of a side that neither direction had cause to touch.
    if (failed_ == nullptr && a_.socket.failure() != 0) side_failed(a_);
    if (failed_ == nullptr && b_.socket.failure() != 0) side_failed(b_);
  }
  if (failed_ != nullptr) {
    run_reset();
    again = false;
  } else if (a_to_b_.ended() && b_to_a_.ended()) {
    end(truncated() ? EndReason::Truncated : EndReason::Eof);
  }
  if (ended_) return false;
  if (fin_at_ == kNever && (a_to_b_.source_ended() || b_to_a_.source_ended())) fin_at_ = worker_.now;
  note_paths();
  worker_.wheel.arm(timer_, next_deadline());
  return again;
}

// TLS answers its peer, whether or not a direction has something for it.
void Join::flush_replies() {
  for (Endpoint* side : {&a_, &b_}) {
    size_t n = 0;
    // What one that has failed has got is counted already.
    if (side != failed_ && side->socket.unsent_ciphertext() && side->socket.writable()) {
      side->socket.tls()->flush(side->socket, n);
    }
  }
}

// Nobody reads a lane behind its visitor's end, where a RESET may still come.
void Join::watch_lanes() {
  for (Endpoint* side : {&a_, &b_}) {
    if (LaneLayer* const lane = side->socket.lane()) lane->watch(side->socket, worker_.buffer);
  }
}

bool Join::step(Direction& direction) {
  Endpoint& source = &direction == &a_to_b_ ? a_ : b_;
  Endpoint& sink = &direction == &a_to_b_ ? b_ : a_;
  const Direction& other = &direction == &a_to_b_ ? b_to_a_ : a_to_b_;
  switch (direction.run(other.ended() && !other.abandons_source())) {
    case Direction::Outcome::Again:
      return true;
    case Direction::Outcome::SourceFailed:
      side_failed(source);
      return false;
    case Direction::Outcome::SinkFailed:
      side_failed(sink);
      return false;
    case Direction::Outcome::Blocked:
    case Direction::Outcome::Ended:
      return false;
  }
  return false;
}

void Join::side_failed(Endpoint& side) {
  failed_ = &side;
  reset_deadline_ = worker_.now + kResetFlush;
  (&side == &a_ ? b_to_a_ : a_to_b_).kill();
}

// What the failed side had sent is delivered first; then the other side is reset as soon as its kernel has nothing
// left to send, because a close with linger 0 destroys that.
void Join::run_reset() {
  const bool a_failed = failed_ == &a_;
  Endpoint& other = a_failed ? b_ : a_;
  Direction& rest = a_failed ? a_to_b_ : b_to_a_;
  if (!emptied_) {
    switch (rest.caller_driven() ? Direction::Outcome::Ended : rest.run(false)) {
      case Direction::Outcome::Again:
        worker_.enqueue(*this);
        return;
      case Direction::Outcome::Blocked:
        // Blocked on the source can't be: a failed socket says Failed once it is empty. So it is the sink, or the rate.
        if (worker_.now >= reset_deadline_) break;
        return;
      case Direction::Outcome::SinkFailed:
        return end_failed();
      case Direction::Outcome::Ended:
      case Direction::Outcome::SourceFailed:
        emptied_ = true;
        break;
    }
  }
  if (other.socket.failure() != 0 || other.socket.drained() || worker_.now >= reset_deadline_) end_failed();
}

// A lane that was lost before it had anything of its visitor: that one can go on another.
bool Join::keeps_visitor() const {
  return frame_.opens && failed_ == &b_ && b_.socket.error() != 0 && a_.socket.failure() == 0 && !a_.socket.lane() &&
         !a_to_b_.caller_driven() && !b_to_a_.caller_driven() && a_to_b_.untouched() && b_to_a_.delivered() == 0;
}

void Join::end_failed() {
  const int error = failed_->socket.failure();
  if (keeps_visitor()) return end(EndReason::Unreachable, error);
  if (error == 0 && failed_->socket.truncated()) return end(EndReason::Truncated);
  end(is_reset(error) ? EndReason::Reset : EndReason::Error, error);
}

void Join::abort(EndReason reason, int error) {
  if (!ended_) end(reason, error);
}

void Join::finish(bool a_to_b, bool fin) {
  (a_to_b ? a_to_b_ : b_to_a_).finish(fin);
  worker_.enqueue(*this);
}

void Join::count_caller_bytes(Endpoint& sink, uint64_t bytes) {
  (&sink == &b_ ? a_to_b_ : b_to_a_).count_caller_bytes(bytes);
}

void Join::on_timer(Millis now) {
  if (ended_) return;
  check_limits(now);
  if (ended_) return;
  if (owes_options() && now >= started_ + kOptionsAfter) {
    a_.pay_options();
    b_.pay_options();
    a_to_b_.limit_unsent();
    b_to_a_.limit_unsent();
  }
  if (failed_ != nullptr || a_to_b_.rate_wait() <= now || b_to_a_.rate_wait() <= now) worker_.enqueue(*this);
  worker_.wheel.arm(timer_, next_deadline());
}

void Join::check_limits(Millis now) {
  const JoinLimits& limits = frame_.limits;
  if (failed_ != nullptr) return;
  const Millis last = std::max(a_to_b_.last_progress(), b_to_a_.last_progress());
  const Millis blocked = std::min(a_to_b_.blocked_since(), b_to_a_.blocked_since());
  if (limits.duration > 0 && now >= started_ + limits.duration) return end(EndReason::Limit);
  if (limits.stalled > 0 && blocked != kNever && now >= blocked + limits.stalled) return end(EndReason::Stalled);
  if (limits.half_closed_idle > 0 && fin_at_ != kNever && now >= std::max(last, fin_at_) + limits.half_closed_idle) {
    return end(EndReason::HalfClosedIdle);
  }
  if (limits.idle > 0 && now >= last + limits.idle) return end(EndReason::Idle);
}

Millis Join::next_deadline() const {
  const JoinLimits& limits = frame_.limits;
  if (failed_ != nullptr) return std::min(reset_deadline_, worker_.now + kResetPoll);
  Millis due = std::min(a_to_b_.rate_wait(), b_to_a_.rate_wait());
  if (owes_options()) due = std::min(due, started_ + kOptionsAfter);
  const Millis last = std::max(a_to_b_.last_progress(), b_to_a_.last_progress());
  const Millis blocked = std::min(a_to_b_.blocked_since(), b_to_a_.blocked_since());
  if (limits.duration > 0) due = std::min(due, started_ + limits.duration);
  if (limits.stalled > 0 && blocked != kNever) due = std::min(due, blocked + limits.stalled);
  if (limits.half_closed_idle > 0 && fin_at_ != kNever) {
    due = std::min(due, std::max(last, fin_at_) + limits.half_closed_idle);
  }
  if (limits.idle > 0) due = std::min(due, last + limits.idle);
  return due;
}

void Join::note_paths() {
  const uint64_t paths = (a_to_b_.splicing() ? 1u : 0u) | (b_to_a_.splicing() ? 2u : 0u);
  if (paths == paths_) return;
  paths_ = paths;
  frame_.cell->paths.store(paths, std::memory_order_relaxed);
}

void Join::end(EndReason reason, int error) {
  ended_ = true;
  worker_.wheel.cancel(timer_);
  if (a_to_b_.caller_driven() || b_to_a_.caller_driven()) {
    a_.hold_visit();
    b_.hold_visit();
  }
  a_to_b_.kill();
  b_to_a_.kill();
  uint64_t closed = 2;
  if (reason == EndReason::Unreachable) {
    closed = 0;
    b_.leave_visit(false);
  } else if (failed_ == nullptr && (reason == EndReason::Eof || reason == EndReason::Truncated)) {
    // A side that may still be sending, or has yet to be told the end, gets an orderly close; the others have sent their
    // FIN.
    for (Endpoint* side : {&a_, &b_}) {
      if (side->leave_visit(true)) {
        --closed;
      } else if ((side == &a_ ? a_to_b_ : b_to_a_).abandons_source() || side->socket.owes_close()) {
        side->linger();
        --closed;
      } else {
        side->close_now(false);
      }
    }
  } else {
    // Both learn of it by RST: also the failed side, which may have failed for the system's reasons, not for its own.
    const auto why = reason == EndReason::Reset ? LaneReset::Connection : LaneReset::GivenUp;
    for (Endpoint* side : {&a_, &b_}) {
      if (side->leave_visit(false, why)) --closed;
      else side->close_now(true);
    }
  }
  worker_.remove(*this);
  Endpoint* const sides[] = {&a_, &b_};
  report(worker_, frame_, reason, error, &a_to_b_, &b_to_a_, worker_.now - started_, closed);
  if (reason == EndReason::Unreachable) sides[0]->stay();
  // What comes of the lane now is another visit's.
  for (Endpoint* side : sides) side->settle();
}

}  // namespace millrace
