// An endpoint that carries one visitor after another.
#include <algorithm>
#include <cerrno>

#include "endpoint.h"
#include "worker.h"

namespace millrace {

void Endpoint::request_lane(LaneRole role, std::span<const uint8_t> head) {
  if (stage_ != Stage::Open || socket.lane() || read_max_ != 0) return destroy(true, EINVAL);
  pay_options();
  socket.frame(std::make_unique<LaneLayer>(role, head));
  serve();
}

// Between visits. Its end then is nobody's loss.
void Endpoint::serve_lane() {
  LaneLayer& lane = *socket.lane();
  if (lane.holds_back()) hold_back();
  else serve_writes();
  std::vector<uint8_t> payload;
  const Io io = lane.await(socket, worker_->buffer, payload);
  if (io == Io::Blocked && socket.error() == 0) return;
  if (io != Io::Progress) {
    if (lane.faulty()) worker_->stats.add(Stat::LanesFaults);
    return gone(socket.error(), socket.error() != 0);
  }
  fin_reported_ = reset_reported_ = false;
  worker_->stats.add(Stat::LanesVisits);
  EventRecord record{};
  record.type = EventType::LaneOpened;
  record.id = static_cast<double>(id_);
  record.values[0] = payload.size();
  record.values[1] = lane.visit();
  worker_->emit(*client_, record, std::move(payload));
}

void Endpoint::open_visit(std::span<const uint8_t> start, std::span<const uint8_t> bytes) {
  if (stage_ != Stage::Open || !opens_visits() || socket.lane()->active()) return;
  socket.lane()->open(start);
  fin_reported_ = reset_reported_ = false;
  worker_->stats.add(Stat::LanesVisits);
  write(bytes);
  if (stage_ == Stage::Open) serve();
}

void Endpoint::let_go(bool reset) {
  LaneLayer* const lane = socket.lane();
  if (!lane) return;
  const bool visited = stage_ == Stage::Open && lane->active();
  if (visited) leave_visit(!reset, LaneReset::GivenUp);
  if (!visited && !held_) return;
  held_ = false;
  settle();
}

void Endpoint::stay() {
  join_ = nullptr;
  stage_ = Stage::Open;
  serve();
}

void Endpoint::hold_back() {
  if (deadline_ != kNever) return;
  deadline_ = worker_->now + kHoldBack;
  worker_->wheel.cancel(timer_);
  rearm();
}

bool Endpoint::leave_visit(bool orderly, LaneReset reason) {
  LaneLayer* const lane = socket.lane();
  if (!lane) return false;
  // Of what the client has written, a frame that has begun is the peer's already. An orderly end comes behind all of it.
  const bool waits = socket.queued() > 0;
  if (waits) {
    const size_t owed = std::min(lane->owed(), socket.queued());
    lane->complete(socket.queue());
    if (orderly) lane->add(socket.queue().subspan(owed));
  }
  socket.drop_queue();
  lane->give_up(orderly, reason);
  join_ = nullptr;
  read_max_ = 0;
  discarded_ = 0;
  flush_asked_ = false;
  stage_ = Stage::Settling;
  deadline_ = worker_->now + (lane->reset_out() ? kLaneSettle : kLingerDrain + (waits ? kLingerFlush : 0));
  worker_->wheel.cancel(timer_);
  rearm();
  return true;
}

void Endpoint::turn_away(LaneReset reason, bool held) {
  if (!socket.lane()) return destroy(true);
  if (stage_ != Stage::Open && stage_ != Stage::Waiting) return;
  if (!socket.lane()->active()) return free_lane();
  if (held) hold_visit();
  leave_visit(false, reason);
  settle();
}

void Endpoint::settle() {
  if (stage_ != Stage::Settling) return;
  LaneLayer& lane = *socket.lane();
  size_t n = 0;
  if (!lane.holds_back() || socket.unsent_ciphertext()) socket.flush_unsent(n);
  for (size_t discarded = 0; !lane.ended_in() && socket.readable();) {
    // Whoever doesn't stop must not hold up others.
    if (discarded >= kSettleBytes) return worker_->enqueue(*this);
    const Io io = socket.receive(worker_->buffer.data(), worker_->buffer.size(), n);
    if (io != Io::Progress) break;
    discarded += n;
    discarded_ += n;
    // Nobody wants it: whoever sends so much is to stop.
    if (discarded_ > kLingerBytes && !lane.reset_out()) return insist();
  }
  if (lane.faulty()) worker_->stats.add(Stat::LanesFaults);
  if (socket.error() != 0 || lane.lost()) return gone(socket.error(), true);
  if (settled() && !held_) free_lane();
}

// It has had its time to end by itself.
void Endpoint::insist() {
  socket.lane()->give_up(false, LaneReset::GivenUp);
  deadline_ = worker_->now + kLaneSettle;
  worker_->wheel.cancel(timer_);
  rearm();
  settle();
}

void Endpoint::settle_due() {
  if (settled()) return;
  if (!socket.lane()->reset_out()) return insist();
  worker_->stats.add(Stat::LanesStuck);
  gone(ETIMEDOUT, true);
}

void Endpoint::free_lane() {
  stage_ = Stage::Open;
  deadline_ = kNever;
  worker_->wheel.cancel(timer_);
  socket.lane()->finish();
  EventRecord record{};
  record.type = EventType::LaneFree;
  record.id = static_cast<double>(id_);
  record.values[1] = socket.lane()->visit();
  worker_->emit(*client_, record);
  serve();
}

}  // namespace millrace
