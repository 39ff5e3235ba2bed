// Hundreds of joins with random traffic, ends, resets and aborts at once: nothing hangs, nothing leaks, every byte that
// arrives is the right one, and joins that both peers ended in order are complete.
#include <poll.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

// What one peer of a join does, played from a loop over many.
class Player {
 public:
  enum class Exit { Fin, Reset, Close };

  Player(Fd fd, uint64_t seed) : fd_(std::move(fd)), random_(seed), seed_(seed), to_send_(random_.below(300'000)) {
    if (random_.below(4) == 0) to_send_ = random_.below(100);
    const uint64_t kind = random_.below(10);
    exit_ = kind < 7 ? Exit::Fin : kind < 9 ? Exit::Reset : Exit::Close;
  }

  bool done() const { return fd_.get() < 0 || (finished_ && ended_); }
  int fd() const { return fd_.get(); }
  short wanted() const {
    return static_cast<short>((ended_ ? 0 : POLLIN) | (finished_ ? 0 : POLLOUT));
  }
  Exit exit() const { return exit_; }
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  uint64_t seed() const { return seed_; }
  bool broken() const { return broken_; }
  // The peer whose bytes arrive here.
  void listen_to(const Player& other) { other_ = pattern(other.seed_, other.to_send_); }
  bool wrong() const { return wrong_; }
  void leave() { fd_.close(); }

  void step(short events) {
    if (events & (POLLIN | POLLERR | POLLHUP)) take();
    if (fd_.get() >= 0 && events & (POLLOUT | POLLERR | POLLHUP)) give();
  }

 private:
  void take() {
    uint8_t buffer[20'000];
    const ssize_t n = ::recv(fd_.get(), buffer, random_.between(1, sizeof buffer), MSG_DONTWAIT);
    if (n > 0) {
      const auto size = static_cast<size_t>(n);
      if (received_ + size > other_.size() || !std::equal(buffer, buffer + size, other_.begin() + static_cast<std::ptrdiff_t>(received_))) {
        wrong_ = true;
      }
      received_ += size;
    } else if (n == 0) {
      ended_ = true;
    } else if (errno != EAGAIN) {
      broken_ = true;
      fd_.close();
    }
  }

  void give() {
    if (finished_) return;
    if (sent_ < to_send_) {
      const Bytes& all = bytes();
      const uint64_t size = std::min(to_send_ - sent_, random_.between(1, 30'000));
      const ssize_t n = ::send(fd_.get(), all.data() + sent_, size, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent_ += static_cast<uint64_t>(n);
      else if (n < 0 && errno != EAGAIN) {
        broken_ = true;
        fd_.close();
      }
      return;
    }
    finished_ = true;
    if (exit_ == Exit::Fin) finish(fd_.get());
    else if (exit_ == Exit::Reset) reset(fd_);
    else fd_.close();
  }

  const Bytes& bytes() {
    if (own_.empty()) own_ = pattern(seed_, to_send_);
    return own_;
  }

  Fd fd_;
  Random random_;
  uint64_t seed_;
  uint64_t to_send_;
  Bytes own_;
  Bytes other_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  Exit exit_;
  bool finished_ = false;
  bool ended_ = false;
  bool broken_ = false;
  bool wrong_ = false;
};

struct Match {
  Joined joined;
  std::unique_ptr<Player> a;
  std::unique_ptr<Player> b;
  bool aborted = false;
};

Match begin(Harness& harness, Random& random, const std::shared_ptr<TokenBucket>& rate) {
  Plan plan;
  plan.a = random.below(4) == 0 ? Family::Unix : Family::Tcp;
  plan.b = random.below(4) == 0 ? Family::Unix : Family::Tcp;
  plan.mode = static_cast<Mode>(random.below(3));
  plan.buffers = random.below(3) == 0 ? 8192 : 0;
  plan.limits = {.idle = 20'000, .half_closed_idle = 20'000, .duration = 60'000, .stalled = 20'000};
  if (random.below(8) == 0) plan.a_to_b.rate = rate;
  Match match;
  match.joined = harness.start(plan);
  match.a = std::make_unique<Player>(std::move(match.joined.a), random.next());
  match.b = std::make_unique<Player>(std::move(match.joined.b), random.next());
  match.a->listen_to(*match.b);
  match.b->listen_to(*match.a);
  return match;
}

void check(Harness& harness, const Match& match) {
  const JoinEnd end = harness.ended(match.joined);
  CAPTURE(match.a->seed());
  CAPTURE(name(end.reason));
  CHECK_FALSE(match.a->wrong());
  CHECK_FALSE(match.b->wrong());
  // What arrived had been counted, and what was counted had been sent.
  CHECK(match.b->received() <= end.a_to_b);
  CHECK(match.a->received() <= end.b_to_a);
  CHECK(end.a_to_b <= match.a->sent());
  CHECK(end.b_to_a <= match.b->sent());
  const bool orderly = match.a->exit() == Player::Exit::Fin && match.b->exit() == Player::Exit::Fin && !match.aborted;
  if (!orderly) return;
  CHECK(end.reason == EndReason::Eof);
  CHECK(end.a_to_b == match.a->sent());
  CHECK(end.b_to_a == match.b->sent());
  CHECK(match.b->received() == match.a->sent());
  CHECK(match.a->received() == match.b->sent());
}

void play(Harness& harness, uint64_t seed, size_t total, size_t at_once) {
  Random random(seed);
  const auto rate = std::make_shared<TokenBucket>(20e6, 1e5);
  std::vector<Match> matches;
  size_t begun = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (begun < total || !matches.empty()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    while (begun < total && matches.size() < at_once) {
      matches.push_back(begin(harness, random, rate));
      ++begun;
    }
    std::vector<pollfd> polled;
    for (const Match& match : matches) {
      for (const Player* player : {match.a.get(), match.b.get()}) {
        polled.push_back({player->done() ? -1 : player->fd(), player->wanted(), 0});
      }
    }
    ::poll(polled.data(), polled.size(), 50);
    for (size_t i = 0; i < matches.size(); ++i) {
      if (polled[2 * i].revents) matches[i].a->step(polled[2 * i].revents);
      if (polled[2 * i + 1].revents) matches[i].b->step(polled[2 * i + 1].revents);
      if (!matches[i].aborted && random.below(1500) == 0) {
        matches[i].aborted = true;
        harness.engine.abort(matches[i].joined.left);
      }
    }
    // Over once both peers are, or, as one that left tells nobody, once one has left and the join has ended.
    std::erase_if(matches, [&](Match& match) {
      const bool ended = harness.inbox.has(EventType::JoinEnded, match.joined.token);
      const bool left = match.a->fd() < 0 || match.b->fd() < 0;
      if (!(match.a->done() && match.b->done()) && !(left && ended)) return false;
      match.a->leave();
      match.b->leave();
      check(harness, match);
      return true;
    });
  }
}

uint64_t seed() {
  const char* const text = std::getenv("MILLRACE_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 20261;
}

}  // namespace

TEST_CASE("stress: joins with random ends, resets and aborts") {
  const uint64_t start = seed();
  INFO("MILLRACE_SEED=", start);
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const size_t base = open_descriptors();
  play(harness, start, 400, 60);
  CHECK(harness.quiet());
  CHECK(open_descriptors() == base + 2 * static_cast<size_t>(harness.engine.stats().pipes));
}

TEST_CASE("stress: the same with faults all the time") {
  const uint64_t start = seed() + 1;
  INFO("MILLRACE_SEED=", start - 1);
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  const size_t base = open_descriptors();
  faults().interrupt_every(5);
  faults().send_at_most(9000);
  std::atomic<bool> over{false};
  // Now and then no pipe, a small one, or a splice that lies.
  std::thread saboteur([&] {
    Random random(start);
    while (!over) {
      faults().set(Call::Pipe2, {.error = EMFILE, .times = random.below(3)});
      faults().clear(Call::SetPipeSize);
      if (random.below(4) == 0) faults().two_slot_pipes();
      faults().clear(Call::Fill);
      faults().add(Call::Fill, {.effect = Effect::Short, .most = 30'000});
      faults().add(Call::Fill, {.error = EINTR, .skip = 4, .every = 5});
      faults().add(Call::Fill, {.error = EAGAIN, .times = random.below(3)});
      if (random.below(10) == 0) faults().add(Call::Fill, {.effect = Effect::End, .times = 1});
      pause_ms(3);
    }
  });
  play(harness, start, 200, 40);
  over = true;
  saboteur.join();
  CHECK(harness.quiet());
  CHECK(open_descriptors() == base + 2 * static_cast<size_t>(harness.engine.stats().pipes));
}

}  // namespace millrace::test
