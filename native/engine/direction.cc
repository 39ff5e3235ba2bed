#include "direction.h"

#include <algorithm>
#include <cerrno>

#include "worker.h"

namespace millrace {

Direction::Direction(Worker& worker, Endpoint& source, Endpoint& sink, DirectionSpec spec, Mode mode,
                     std::atomic<uint64_t>& delivered, std::atomic<uint64_t>& spliced)
    : worker_(worker),
      source_(source),
      sink_(sink),
      mode_(mode),
      caller_driven_(spec.caller_driven),
      encrypted_(source.socket.encrypted() || sink.socket.encrypted()),
      rate_(std::move(spec.rate)),
      delivered_cell_(delivered),
      spliced_cell_(spliced),
      remaining_(spec.max_bytes),
      uncounted_(sink.socket.queued()),
      sink_taken_(sink.socket.encrypted() ? sink.socket.tls()->taken() : 0),
      last_progress_(worker.now) {
  if (spec.head.size() > remaining_) spec.head.resize(remaining_);
  remaining_ -= remaining_ == UINT64_MAX ? 0 : spec.head.size();
  // Driven by the caller: where what he writes can't overtake it.
  if (caller_driven_) sink_.socket.queue(spec.head);
  else kept_.set(std::move(spec.head));
}

Direction::~Direction() { drop(); }

void Direction::kill() {
  settle();
  hand_over();
  // The connection goes on, and what is encrypted for it leaves.
  if (sink_.socket.lane() != nullptr && sink_.socket.error() == 0) deliver(in_flight_);
  in_flight_ = 0;
  set_streaming(false);
  drop();
}

// A frame that has begun must be whole, whatever becomes of the visit.
void Direction::hand_over() {
  LaneLayer* const lane = sink_.socket.lane();
  if (lane == nullptr || lane->owed() == 0 || sink_.socket.error() != 0) return;
  if (pending_ > 0 && !take_pending()) return;
  if (sink_.socket.queued() > 0 || kept_.size() < lane->owed()) return;
  deliver(lane->owed());
  lane->complete(kept_.bytes());
}

void Direction::deliver(uint64_t bytes) {
  delivered_ += bytes;
  delivered_cell_.store(delivered_, std::memory_order_relaxed);
  worker_.stats.add(encrypted_ ? Stat::BytesTls : Stat::BytesCopy, bytes);
}

void Direction::drop() {
  kept_.clear();
  if (pending_ > 0) worker_.pipes.discard(pipe_);
  else worker_.pipes.give_back(pipe_);
  pending_ = 0;
  blocked_since_ = kNever;
}

void Direction::finish(bool fin) {
  finishing_ = true;
  finish_fin_ = fin;
}

void Direction::count(uint64_t bytes, bool by_splice) {
  touched_ = true;
  if (encrypted_) {
    in_flight_ += bytes;
    return settle();
  }
  delivered_ += bytes;
  delivered_cell_.store(delivered_, std::memory_order_relaxed);
  worker_.stats.add(by_splice ? Stat::BytesSplice : Stat::BytesCopy, bytes);
  if (by_splice) {
    spliced_ += bytes;
    spliced_cell_.store(spliced_, std::memory_order_relaxed);
  }
  last_progress_ = worker_.now;
  blocked_since_ = kNever;
}

// What is encrypted counts once the kernel has taken all of its record: then the peer can read it.
void Direction::settle() {
  note_taken();
  const uint64_t unsent = sink_.socket.encrypted() ? sink_.socket.tls()->unsent_plaintext() : 0;
  if (in_flight_ <= unsent) return;
  const uint64_t bytes = in_flight_ - unsent;
  in_flight_ = unsent;
  deliver(bytes);
  last_progress_ = worker_.now;
  blocked_since_ = kNever;
}

// Ciphertext that waited is progress once the kernel takes it, whoever handed it over.
void Direction::note_taken() {
  if (!sink_.socket.encrypted() || sink_.socket.tls()->taken() == sink_taken_) return;
  sink_taken_ = sink_.socket.tls()->taken();
  last_progress_ = worker_.now;
  blocked_since_ = kNever;
}

void Direction::count_caller_bytes(uint64_t bytes) {
  const uint64_t before = std::min(bytes, uncounted_);
  uncounted_ -= before;
  if (bytes > 0) blocked_since_ = kNever;
  if (caller_driven_ && bytes > before) count(bytes - before, false);
  settle();
}

Direction::Outcome Direction::end(bool fin, bool last) {
  // The close would send the FIN, but nothing before it.
  if (fin && (!last || sink_.socket.encrypted() || sink_.socket.lane())) {
    const Io io = sink_.socket.end(last);
    if (io == Io::Failed) return Outcome::SinkFailed;
    if (io != Io::Progress) return blocked();
  }
  kill();
  ended_ = true;
  return Outcome::Ended;
}

Direction::Outcome Direction::blocked() {
  if (blocked_since_ == kNever) blocked_since_ = worker_.now;
  return Outcome::Blocked;
}

Direction::Outcome Direction::run(bool last) {
  if (ended_) {
    note_taken();
    discard();
    return Outcome::Ended;
  }
  rate_wait_ = kNever;
  uint64_t budget = this->budget();
  for (;;) {
    switch (flush()) {
      case Io::Progress:
        break;
      case Io::Failed:
        return Outcome::SinkFailed;
      default:
        return blocked();
    }
    if (source_ended_ && !caller_driven_) return end(true, last);
    if (source_failed_) return Outcome::SourceFailed;
    if (caller_driven_) return finishing_ ? end(finish_fin_, false) : Outcome::Blocked;
    if (remaining_ == 0) return end(false, false);
    if (!source_.socket.readable()) {
      worker_.pipes.give_back(pipe_);
      return Outcome::Blocked;
    }
    if (budget == 0) {
      worker_.stats.add(Stat::BudgetsExhausted);
      return Outcome::Again;
    }

    // Ciphertext is taken as it comes: to stop short of its end costs another call for the rest.
    uint64_t want = encrypted_ ? remaining_ : std::min(remaining_, budget);
    if (rate_) {
      want = rate_->take(want, worker_.now);
      if (want == 0) {
        worker_.pipes.give_back(pipe_);
        worker_.stats.add(Stat::RateWaits);
        rate_wait_ = rate_->ready_at(worker_.now);
        return Outcome::Blocked;
      }
    }
    uint64_t filled = 0;
    const Io io = fill(want, filled);
    touched_ = touched_ || filled > 0;
    if (rate_) rate_->give_back(want - filled);
    if (remaining_ != UINT64_MAX) remaining_ -= filled;
    budget -= std::min(budget, filled);
    if (io == Io::Ended) note_end();
    // A failure may be the sink's, met while forwarding what had just been read.
    if (io == Io::Failed) {
      if (sink_.socket.failure() != 0) return Outcome::SinkFailed;
      source_failed_ = true;
    }
  }
}

// A peer that promised to tell its end, and was cut off, has failed.
void Direction::note_end() {
  const bool truncated = source_.socket.truncated();
  if (truncated) worker_.stats.add(Stat::Truncated);
  if (truncated && source_.resets_when_truncated()) source_failed_ = true;
  else source_ended_ = true;
}

Io Direction::flush_unsent() {
  size_t n = 0;
  const Io io = sink_.socket.flush_unsent(n);
  settle();
  return io;
}

Io Direction::flush() {
  if (sink_.socket.unsent() && !merges()) {
    if (const Io io = flush_unsent(); io != Io::Progress) return io;
  }
  if (sink_.socket.queued() > 0) {
    size_t n = 0;
    const Io io = sink_.socket.flush(n);
    count_caller_bytes(n);
    if (io != Io::Progress) return io;
  }
  settle();
  while (!kept_.empty()) {
    size_t n = 0;
    const Io io = sink_.socket.send(kept_.data(), kept_.size(), n);
    if (io != Io::Progress) return io;
    kept_.consume(n);
    count(n, false);
  }
  return sink_.socket.unsent_ciphertext() ? flush_unsent() : flush_pipe();
}

// What a lane says before its visitor's first bytes waits for these, when they are there.
bool Direction::merges() const {
  const LaneLayer* const lane = sink_.socket.lane();
  return lane != nullptr && !sink_.socket.unsent_ciphertext() && lane->can_merge() && sink_.socket.queued() == 0 &&
         pending_ == 0 && !source_ended_ && !source_failed_ && !caller_driven_ && !rate_ &&
         (!kept_.empty() || (remaining_ > 0 && source_.socket.readable()));
}

Io Direction::flush_pipe() {
  while (pending_ > 0) {
    size_t n = 0;
    LaneLayer* const lane = sink_.socket.lane();
    if (lane != nullptr) {
      if (const Io io = lane->begin_splice(sink_.socket, pending_); io != Io::Progress) return io;
    }
    const Io io = sink_.socket.splice_from(pipe_, pending_, n);
    if (io == Io::Unsupported) return leave_splice() ? flush() : Io::Failed;
    if (io != Io::Progress) return io;
    if (lane != nullptr) lane->note_spliced_out(n);
    pending_ -= n;
    count(n, true);
  }
  return Io::Progress;
}

// This sink can't be spliced to.
bool Direction::leave_splice() {
  worker_.stats.count(Fallback::Unsupported);
  splice_off_ = true;
  set_splicing(false);
  return take_pending();
}

// Takes back what is in the pipe. False when that fails: the bytes are lost, and what comes behind them must not be
// delivered.
bool Direction::take_pending() {
  std::vector<uint8_t> held(pending_);
  size_t taken = 0;
  while (taken < pending_) {
    const ssize_t n =
        uninterrupted([&] { return worker_.sys.read(pipe_.read_end, held.data() + taken, pending_ - taken); });
    if (n <= 0) {
      sink_.socket.fail(n < 0 ? errno : EIO);
      return false;
    }
    taken += static_cast<size_t>(n);
  }
  kept_.set(std::move(held));
  pending_ = 0;
  worker_.pipes.discard(pipe_);
  return true;
}

}  // namespace millrace
