// Visitors through two of our own ends: relay's lane to agent's lane, plain and with TLS. Each visitor's bytes are its
// own pattern, which the far end checks: nothing may reach any other.
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "fault_world.h"
#include "harness.h"
#include "lane_peer.h"
#include "tls_peer.h"

namespace millrace::test {

namespace {

struct Ends {
  EndpointId relay = 0;
  EndpointId agent = 0;
};

Ends make_ends(Harness& harness, bool tls, int buffers) {
  SocketPair pair = connect_pair(Family::Tcp, buffers);
  Ends ends{harness.adopt(std::move(pair.near)), harness.adopt(std::move(pair.far))};
  if (tls) {
    harness.engine.secure(ends.relay, server_spec(), 40'000);
    harness.engine.secure(ends.agent, client_spec(), 40'000);
    CHECK(harness.expect(EventType::Secured, ends.relay).record.code == 0);
    CHECK(harness.expect(EventType::Secured, ends.agent).record.code == 0);
  }
  harness.engine.lane(ends.relay, LaneRole::Opens, {});
  harness.engine.lane(ends.agent, LaneRole::Accepts, {});
  return ends;
}

enum class Story { Whole, HalfClosed, VisitorResets, ServiceResets, Aborted, kCount };

bool is_prefix(const Bytes& got, const Bytes& whole) {
  return got.size() <= whole.size() && std::equal(got.begin(), got.end(), whole.begin());
}

// Sends in pieces, with pauses now and then.
void speak(int fd, const Bytes& bytes, Random& random) {
  for (size_t at = 0; at < bytes.size();) {
    const size_t n = std::min<size_t>(bytes.size() - at, random.below(5) == 0 ? 200'000 : random.between(1, 9'000));
    if (!send_all(fd, std::span(bytes).subspan(at, n))) return;
    at += n;
    if (random.below(40) == 0) pause_ms(1);
  }
}

// RST, connect(2), from a descriptor on which another thread reads. Not by the library's call, after which ThreadSanitizer
// takes the descriptor for a new one.
void cut_off(int fd) {
  const sockaddr nowhere{.sa_family = AF_UNSPEC, .sa_data = {}};
  ::syscall(SYS_connect, fd, &nowhere, sizeof nowhere);
}

struct Tally {
  std::atomic<uint64_t> visitors{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> mixed{0};
};

// One thread at a time.
Joined start(Harness& harness, EndpointId a, EndpointId b, const Plan& plan) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  return harness.start(a, b, plan);
}

// One visitor, from its OPEN until the lane is free again at both ends.
void serve_one(Harness& harness, const Ends& ends, uint64_t key, Mode mode, int buffers, Tally& tally) {
  Random random(key);
  constexpr auto kStories = static_cast<uint64_t>(Story::kCount);
  const auto story = random.below(3) > 0 ? Story::Whole : static_cast<Story>(random.below(kStories));
  // Else it is a prefix, and how it ends is not to be told: whoever sends may have taken the error.
  const bool orderly = story == Story::Whole || story == Story::HalfClosed;
  const auto size = [&] { return random.below(6) == 0 ? random.below(400'000) : random.below(3'000); };
  const Bytes request = pattern(2 * key, size());
  const Bytes answer = pattern(2 * key + 1, size());
  const uint64_t cut = random.below(2) == 0 ? 0 : random.below(answer.size() + 1);
  Fd visitor;
  Fd service;
  const EndpointId left = harness.adopt_one(visitor, Family::Tcp, buffers);
  Plan plan;
  plan.mode = mode;
  plan.open.resize(sizeof key);
  std::memcpy(plan.open.data(), &key, sizeof key);
  const Joined out = start(harness, left, ends.relay, plan);
  const Event opened = harness.expect(EventType::LaneOpened, ends.agent);
  uint64_t seen = 0;
  if (opened.payload.size() == sizeof seen) std::memcpy(&seen, opened.payload.data(), sizeof seen);
  if (seen != key) ++tally.mixed;
  plan.open.clear();
  const EndpointId right = harness.adopt_one(service, Family::Tcp, buffers);
  const Joined in = start(harness, ends.agent, right, plan);

  std::thread server([&] {
    Random own(key + 1);
    std::thread reader([&] {
      const Received got = receive_all(service.get());
      tally.bytes += got.bytes.size();
      if (!is_prefix(got.bytes, request) || (orderly && got.bytes != request)) ++tally.mixed;
    });
    if (story == Story::ServiceResets) {
      speak(service.get(), {answer.begin(), answer.begin() + static_cast<ptrdiff_t>(cut)}, own);
      cut_off(service.get());
    } else {
      if (story == Story::HalfClosed) reader.join();
      speak(service.get(), answer, own);
      finish(service.get());
    }
    if (reader.joinable()) reader.join();
  });
  std::thread speaker([&] {
    Random own(key + 2);
    speak(visitor.get(), request, own);
    if (story == Story::VisitorResets) {
      cut_off(visitor.get());
    } else if (story == Story::Aborted) {
      harness.engine.abort(left);
    } else {
      finish(visitor.get());
    }
  });
  const Received got = receive_all(visitor.get());
  tally.bytes += got.bytes.size();
  if (!is_prefix(got.bytes, answer) || (orderly && got.bytes != answer)) ++tally.mixed;
  speaker.join();
  server.join();
  const EndReason reason = harness.ended(out).reason;
  harness.ended(in);
  if (orderly && reason != EndReason::Eof) ++tally.mixed;
  harness.expect(EventType::LaneFree, ends.relay);
  harness.expect(EventType::LaneFree, ends.agent);
  ++tally.visitors;
}

// `visitors` of them over each of `lanes` lanes at once.
void reuse(Harness& harness, bool tls, Mode mode, int lanes, int visitors, int buffers, uint64_t seed) {
  Tally tally;
  std::vector<Ends> ends;
  for (int i = 0; i < lanes; ++i) ends.push_back(make_ends(harness, tls, buffers));
  std::vector<std::thread> threads;
  for (int i = 0; i < lanes; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < visitors; ++n) {
        const auto key = seed + static_cast<uint64_t>(i) * 1'000'000 + static_cast<uint64_t>(n);
        serve_one(harness, ends[static_cast<size_t>(i)], key, mode, buffers, tally);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(tally.mixed.load() == 0);
  CHECK(tally.visitors == static_cast<uint64_t>(lanes * visitors));
  MESSAGE(tally.visitors.load(), " visitors over ", lanes, " lanes, ", tally.bytes.load(), " bytes, none astray");
  for (const Ends& both : ends) {
    harness.engine.destroy(both.relay, false);
    harness.engine.destroy(both.agent, false);
  }
  CHECK(harness.quiet());
}

}  // namespace

TEST_CASE("lane reuse: keyed visitors over plain lanes") {
  for_each_mode([](Mode mode) {
    Harness harness;
    reuse(harness, false, mode, 4, 60, 0, 1);
    reuse(harness, false, mode, 2, 30, 16'384, 2);
  });
}

TEST_CASE("lane reuse: keyed visitors over TLS lanes") {
  Harness harness;
  reuse(harness, true, Mode::Adaptive, 4, 100, 0, 3);
  reuse(harness, true, Mode::Adaptive, 2, 40, 16'384, 4);
}

TEST_CASE("lane reuse: with short counts and interrupted calls") {
  for (const bool tls : {false, true}) {
    FaultScope scope;
    Harness harness(faulty_syscalls());
    faults().interrupt_every(7);
    faults().set(Call::Send, {.effect = Effect::Short, .most = 5, .every = 3});
    faults().set(Call::Flush, {.effect = Effect::Short, .most = 900, .every = 2});
    faults().set(Call::Recv, {.effect = Effect::Short, .most = 3, .every = 4, .edge = true});
    reuse(harness, tls, Mode::Adaptive, 2, 25, 0, 5);
    reuse(harness, tls, tls ? Mode::Copy : Mode::Splice, 2, 25, 0, 6);
    faults().reset();
  }
}

}  // namespace millrace::test
