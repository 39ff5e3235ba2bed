// How a direction takes bytes from its source: by which way, and when it changes that.
#include <algorithm>

#include "direction.h"
#include "worker.h"

namespace millrace {

namespace {

// A direction streams once reads of at least kLargeRead came in a row for kStreaming bytes.
constexpr uint64_t kLargeRead = 16 << 10;
constexpr uint64_t kStreaming = 128 << 10;
// It no longer does after three fills below kSmallFill in a row, or a pause.
constexpr uint64_t kSmallFill = 8 << 10;
constexpr uint8_t kSmallFills = 3;
constexpr Millis kPause = 1000;
// Messages that came within this time count as an exchange that goes on.
constexpr Millis kExchange = 100;
constexpr uint64_t kProbe = 16 << 10;
constexpr uint64_t kDiscard = 64 << 10;

}  // namespace

uint64_t Direction::budget() const {
  if (encrypted_) return kTlsBudget;
  return worker_.now - worker_.last_message < kExchange ? kSharedBudget : kBudget;
}

bool Direction::wants_splice() {
  if (splice_off_ || mode_ == Mode::Copy || !worker_.splice_works) return false;
  if (source_.socket.urgent()) {
    worker_.stats.count(Fallback::Urgent);
    splice_off_ = true;
    set_splicing(false);
    return false;
  }
  if (mode_ == Mode::Splice) {
    set_splicing(true);
    return true;
  }
  if (worker_.now - last_fill_ > kPause) {
    demote();
    streak_ = 0;
  }
  if (!splicing_ && streak_ >= kStreaming) {
    set_splicing(true);
    worker_.stats.add(Stat::Promotions);
    short_fills_ = 0;
  }
  return splicing_;
}

void Direction::note_fill(uint64_t filled, bool spliced) {
  last_fill_ = worker_.now;
  if (filled < kLargeRead && !splicing_) worker_.last_message = worker_.now;
  streak_ = filled >= kLargeRead ? streak_ + filled : 0;
  if (!spliced || mode_ != Mode::Adaptive) return;
  if (short_fill(filled)) demote();
}

bool Direction::short_fill(uint64_t filled) {
  short_fills_ = filled < kSmallFill ? static_cast<uint8_t>(short_fills_ + 1) : uint8_t{0};
  return short_fills_ >= kSmallFills;
}

// What would be promoted to splice gets full records instead.
void Direction::follow_stream(uint64_t filled) {
  const bool paused = worker_.now - last_fill_ > kPause;
  note_fill(filled, false);
  if (paused) streak_ = 0;
  if (streaming_) {
    if (paused || short_fill(filled)) set_streaming(false);
  } else if (streak_ >= kStreaming) {
    short_fills_ = 0;
    set_streaming(true);
  }
}

void Direction::set_streaming(bool on) {
  if (streaming_ == on) return;
  streaming_ = on;
  if (TlsLayer* const tls = source_.socket.tls()) tls->set_streaming_in(on);
  if (TlsLayer* const tls = sink_.socket.tls()) tls->set_streaming_out(on);
  if (on) sink_.pay_options();
  limit_unsent();
}

// What streams may leave a pipe's worth unsent in the sink's kernel: with less, every flush is cut short and waits for
// another edge, which costs half as much again. What doesn't stream hides no more there than it has to.
void Direction::set_splicing(bool on) {
  if (splicing_ == on) return;
  splicing_ = on;
  if (on) sink_.pay_options();
  limit_unsent();
}

void Direction::limit_unsent() { sink_.socket.limit_unsent(splicing_ || streaming_ ? PipePool::kWanted : Socket::kUnsent); }

// It no longer streams.
void Direction::demote() {
  if (splicing_) worker_.stats.add(Stat::Demotions);
  set_splicing(false);
}

Io Direction::fill(uint64_t want, uint64_t& filled) {
  if (encrypted_) {
    const Io io = forward(want, filled);
    if (filled > 0) follow_stream(filled);
    return io;
  }
  if (wants_splice()) {
    if (probe_next_) {
      probe_next_ = false;
      return forward(std::min(want, kProbe), filled);
    }
    if (pipe_.read_end >= 0 || worker_.pipes.lease(pipe_)) return fill_pipe(want, filled);
    streak_ = 0;
    set_splicing(false);
  }
  const Io io = forward(want, filled);
  if (filled > 0) note_fill(filled, false);
  return io;
}

Io Direction::fill_pipe(uint64_t want, uint64_t& filled) {
  size_t n = 0;
  uint64_t limit = want;
  if (LaneLayer* const lane = source_.socket.lane()) {
    // What it has already read is to be received, and so is its end.
    const Io io = lane->prepare_splice(source_.socket, limit);
    if (io == Io::Unsupported) return forward(want, filled);
    if (io != Io::Progress) return io;
  }
  if (sink_.socket.lane() != nullptr) limit = std::min<uint64_t>(limit, LaneFrame::kMaxData);
  const size_t length = std::min({limit, want, uint64_t{pipe_.capacity}});
  const Io io = source_.socket.splice_to(pipe_, length, n);
  switch (io) {
    case Io::Progress:
      if (LaneLayer* const lane = source_.socket.lane()) lane->note_spliced_in(n);
      pending_ = n;
      filled = n;
      suspicions_ = 0;
      probe_next_ = n < length;
      note_fill(n, true);
      return io;
    case Io::Failed:
      return io;
    case Io::Unsupported:
      worker_.stats.count(Fallback::Unsupported);
      splice_off_ = true;
      set_splicing(false);
      return forward(want, filled);
    case Io::Blocked:
    case Io::Ended:
      break;
  }
  // Both may be false: only recv says for certain that there is nothing, or nothing more.
  const Io truth = forward(want, filled);
  if (filled > 0 && (io == Io::Ended || ++suspicions_ >= 2)) {
    worker_.stats.count(Fallback::Unreliable);
    splice_off_ = true;
    set_splicing(false);
  }
  return truth;
}

// Copies through the worker's buffer; only what the sink doesn't take at once is kept.
Io Direction::forward(uint64_t want, uint64_t& filled) {
  size_t n = 0;
  uint8_t* const buffer = worker_.buffer.data();
  const size_t room = sink_.socket.encrypted() ? TlsScratch::kPlaintext - LaneLayer::kRoom : worker_.buffer.size();
  const size_t length = std::min<uint64_t>(want, room);
  const Io io = source_.socket.receive(buffer, length, n);
  if (io != Io::Progress) return io;
  size_t more = 0;
  LaneLayer* const lane = take_end(buffer + n, length - n, more) ? sink_.socket.lane() : nullptr;
  n += more;
  filled = n;
  // Nothing but this end can come next, and it comes in this visit.
  const LaneLayer* const source_lane = source_.socket.lane();
  const bool ends_now = source_lane && source_lane->ended_behind() && sink_.socket.lane() == nullptr && !rate_ &&
                        remaining_ == UINT64_MAX;
  size_t sent = 0;
  while (sent < n) {
    size_t m = 0;
    const Io out = lane       ? lane->send_last(sink_.socket, buffer + sent, n - sent, m)
                   : ends_now ? sink_.socket.send_before_end(buffer + sent, n - sent, m)
                              : sink_.socket.send_roomy(buffer + sent, n - sent, m);
    if (out == Io::Failed) return Io::Failed;
    if (out != Io::Progress) break;
    sent += m;
    count(m, false);
  }
  kept_.append({buffer + sent, n - sent});
  return Io::Progress;
}

// An end that came with the bytes before it leaves a lane with them: looks for it. There may be more bytes instead.
bool Direction::take_end(uint8_t* behind, size_t room, size_t& more) {
  if (sink_.socket.lane() == nullptr || !source_.socket.peer_ended() || room <= LaneFrame::kHeader) return false;
  if (remaining_ != UINT64_MAX || source_.socket.lane() != nullptr || !source_.socket.readable()) return false;
  switch (source_.socket.receive(behind, room - LaneFrame::kHeader, more)) {
    case Io::Ended:
      note_end();
      return source_ended_;
    case Io::Failed:
      source_failed_ = true;
      return false;
    default:
      return false;
  }
}

// Behind a direction that ended before its source did: reads on within a bound, to notice the source's end and so
// that a close doesn't turn into a reset.
void Direction::discard() {
  while (!source_ended_ && !source_failed_ && discarded_ < kDiscard && source_.socket.readable()) {
    size_t n = 0;
    const Io io = source_.socket.receive(worker_.buffer.data(), kDiscard, n);
    if (io == Io::Blocked) return;
    if (io == Io::Ended) source_ended_ = true;
    if (io == Io::Failed) source_failed_ = true;
    discarded_ += n;
    touched_ = touched_ || n > 0;
  }
}

}  // namespace millrace
