#include "player.h"

#include "trace.h"

namespace millrace::fuzz {

namespace {

// Steps beyond these change little and cost time.
constexpr int kMostSteps = 400;

}  // namespace

std::string Player::play(Stage& stage) {
  stage_ = &stage;
  begin();
  stage.kernel.between_calls = [this] { between_calls(); };
  stage.kernel.asleep = [this] { asleep(); };
  while (!script_.done() && steps_ < kMostSteps && stage.broken().empty()) take_step(false);
  if (!stage.broken().empty()) return stage.broken();
  switch ((setting_ >> 1) & 3) {
    case 1:
      stage.end_by_detaching();
      break;
    case 2:
      stage.end_at_once();
      break;
    default:
      stage.end_in_order();
  }
  return stage.broken();
}

void Player::take_step(bool within_turn) {
  ++steps_;
  step(within_turn);
}

void Player::fault() {
  KernelFaults& faults = stage_->kernel.faults;
  switch (script_.below(10)) {
    case 0:
      faults.shorts = script_.below(64);
      faults.most = script_.flag() ? 1 : script_.pick(kLengths);
      return;
    case 1:
      faults.interrupt_every = script_.below(8);
      if (faults.interrupt_every == 1) faults.interrupt_every = 0;
      return;
    case 2:
      faults.false_empties = script_.below(6);
      return;
    case 3:
      faults.false_ends = script_.below(3);
      return;
    case 4:
      faults.small_pipes = script_.flag();
      return;
    case 5:
      faults.unsent = script_.flag();
      return;
    case 6:
      faults.reverse_events = script_.flag();
      return;
    default: {
      KernelFaults::Refusal& refusal = faults.of(static_cast<Call>(script_.below(static_cast<uint32_t>(Call::kCount))));
      refusal.left = 1 + script_.below(8);
      refusal.error = script_.pick(kErrors);
    }
  }
}

void Player::arm(uint8_t what) {
  if (what % 2 == 0) {
    calls_until_ = 1 + script_.below(16);
    inner_steps_ = 1 + script_.below(3);
  } else {
    sleeping_steps_ = 1 + script_.below(4);
  }
}

void Player::between_calls() {
  if (inside_ || calls_until_ == 0 || --calls_until_ > 0) return;
  inside_ = true;
  for (; inner_steps_ > 0; --inner_steps_) take_step(true);
  inside_ = false;
}

void Player::asleep() {
  if (inside_ || sleeping_steps_ == 0) return;
  inside_ = true;
  for (; sleeping_steps_ > 0; --sleeping_steps_) {
    const uint64_t posted = stage_->posted;
    take_step(true);
    // Whoever is asleep must be woken by what it is asked (with several workers: one of them).
    if (stage_->posted != posted && stage_->workers == 1 && !stage_->kernel.has_events(0)) {
      stage_->kernel.violation("a worker is not woken by a command");
    }
  }
  inside_ = false;
}

}  // namespace millrace::fuzz
