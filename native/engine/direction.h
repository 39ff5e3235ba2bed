// One direction of a join: a source, a sink and what lies between them. It is a small state machine whose rule is
// "flush exactly what is held, and only then fill something empty", from which follow that EAGAIN on a fill means the
// source, that FIN can't overtake bytes, and that memory per direction is bounded by one buffer or one pipe.
#pragma once

#include <memory>
#include <vector>

#include "client.h"
#include "endpoint.h"
#include "token_bucket.h"

namespace millrace {

enum class Mode : uint8_t { Adaptive, Copy, Splice };

struct DirectionSpec {
  std::vector<uint8_t> head;          // delivered first, counted
  uint64_t max_bytes = UINT64_MAX;    // the direction ends without a FIN after so many
  std::shared_ptr<TokenBucket> rate;  // may be null
  bool caller_driven = false;         // the client reads and writes; the direction only counts and ends
};

class Direction {
 public:
  enum class Outcome : uint8_t { Blocked, Again, Ended, SourceFailed, SinkFailed };

  // Bytes filled in one visit before the next join gets its turn. A pipe's worth: the kernel grows a receive buffer by
  // what is taken out of it at once (tcp_rcv_space_adjust), and where it stays full, each byte is sent at the moment
  // when room is made, on a loopback by the thread that makes it.
  static constexpr uint64_t kBudget = 1 << 20;
  // The same while others on the worker exchange messages, whose delay it is.
  static constexpr uint64_t kSharedBudget = 512 << 10;
  // The same where each byte is encrypted, which takes twice as long.
  static constexpr uint64_t kTlsBudget = 256 << 10;

  Direction(Worker& worker, Endpoint& source, Endpoint& sink, DirectionSpec spec, Mode mode,
            std::atomic<uint64_t>& delivered, std::atomic<uint64_t>& spliced);
  ~Direction();
  Direction(const Direction&) = delete;
  Direction& operator=(const Direction&) = delete;

  // Moves bytes until something blocks or the budget is used up. SourceFailed comes only once all that the source
  // gave is out. `last`: the other direction has met its source's end, so that both sockets are closed when this one
  // ends, and the close sends the FIN.
  Outcome run(bool last);
  // Drops what is held: the sink is gone.
  void kill();
  void finish(bool fin);
  // Counts what the client wrote to the sink, beyond what was queued there before the join.
  void count_caller_bytes(uint64_t bytes);

  // Nothing has been taken of the source, and nothing of the head has left.
  bool untouched() const { return !touched_; }
  bool ended() const { return ended_; }
  bool caller_driven() const { return caller_driven_; }
  // The source's FIN has been seen (driven by the caller: perhaps with bytes before it still unread).
  bool source_ended() const { return source_ended_ || (caller_driven_ && source_.socket.peer_ended()); }
  // The source's connection ended without close_notify.
  bool truncated() const { return source_.socket.truncated(); }
  // The source may still send, and nobody will read it.
  bool abandons_source() const { return !source_ended_; }
  bool splicing() const { return splicing_; }
  // Sets how much the sink's kernel may hold unsent.
  void limit_unsent();
  uint64_t delivered() const { return delivered_; }
  uint64_t spliced() const { return spliced_; }
  Millis last_progress() const { return last_progress_; }
  // Since when the sink has taken nothing although bytes wait; kNever while it isn't so.
  Millis blocked_since() const { return blocked_since_; }
  // When the rate limit lets bytes pass again; kNever while it doesn't hold them back.
  Millis rate_wait() const { return rate_wait_; }

 private:
  Io flush();
  Io flush_unsent();
  Io flush_pipe();
  Io fill(uint64_t want, uint64_t& filled);
  Io fill_pipe(uint64_t want, uint64_t& filled);
  Io forward(uint64_t want, uint64_t& filled);
  bool wants_splice();
  uint64_t budget() const;
  void follow_stream(uint64_t filled);
  bool take_end(uint8_t* behind, size_t room, size_t& more);
  bool short_fill(uint64_t filled);
  void set_streaming(bool on);
  void note_fill(uint64_t filled, bool full);
  void demote();
  void set_splicing(bool on);
  bool leave_splice();
  bool take_pending();
  void hand_over();
  // Counts what the sink has, or is certain to get, and no splice has moved.
  void deliver(uint64_t bytes);
  bool merges() const;
  void count(uint64_t bytes, bool by_splice);
  void settle();
  void note_taken();
  void discard();
  void drop();
  void note_end();
  Outcome blocked();
  Outcome end(bool fin, bool last);

  Worker& worker_;
  Endpoint& source_;
  Endpoint& sink_;
  const Mode mode_;
  const bool caller_driven_;
  const bool encrypted_;
  const std::shared_ptr<TokenBucket> rate_;
  std::atomic<uint64_t>& delivered_cell_;
  std::atomic<uint64_t>& spliced_cell_;

  HeldBytes kept_;  // what a short send left behind
  Pipe pipe_;
  size_t pending_ = 0;  // bytes in the pipe

  uint64_t remaining_;          // of max_bytes, still to be filled
  uint64_t uncounted_;          // bytes queued at the sink before the join
  uint64_t in_flight_ = 0;      // encrypted, and its record is not wholly out
  uint64_t sink_taken_;         // ciphertext that the sink's kernel had taken when this was last looked at
  uint64_t delivered_ = 0;
  uint64_t spliced_ = 0;
  uint64_t streak_ = 0;         // bytes of reads in a row that were large
  uint64_t discarded_ = 0;
  Millis last_progress_;
  Millis last_fill_ = 0;
  Millis blocked_since_ = kNever;
  Millis rate_wait_ = kNever;
  uint8_t short_fills_ = 0;
  uint8_t suspicions_ = 0;      // EAGAIN from splice in a row, with bytes readable
  bool splicing_ = false;
  bool streaming_ = false;      // encrypted, and it would splice if it were not
  bool splice_off_ = false;     // for good
  bool probe_next_ = false;     // the last splice was short: ask recv, whose EAGAIN is unambiguous
  bool source_ended_ = false;
  bool source_failed_ = false;
  bool finishing_ = false;
  bool finish_fin_ = false;
  bool ended_ = false;
  bool touched_ = false;
};

}  // namespace millrace
