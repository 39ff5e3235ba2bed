// Correct under everything: each system call of the engine × each fault × each moment × each scenario. Whatever is
// injected, nothing is lost in silence, nothing leaks, nothing hangs or spins, and a join ends once, for one reason.
#include <cstdlib>
#include <cstring>

#include "fault_scenarios.h"
#include "fault_table.h"

namespace millrace::test {

namespace {

constexpr size_t kSize = 300'000;
// Where every byte is a system call of its own.
constexpr size_t kSmall = 3000;

// Stops the clock for one world.
class StoppedClock {
 public:
  StoppedClock() { FakeClock::instance().stop(); }
  ~StoppedClock() { FakeClock::instance().resume(); }
  StoppedClock(const StoppedClock&) = delete;
  StoppedClock& operator=(const StoppedClock&) = delete;
};

// What one playing of a scenario showed; `wrong` is empty when nothing was.
struct Played {
  std::string wrong;
  bool met = false;
  bool same_end = false;
  EngineStats stats{};
};

void complain(Played& played, const std::string& what) { played.wrong += (played.wrong.empty() ? "" : "; ") + what; }

// What must hold whatever happens.
void judge(const Scenario& scenario, World& world, const Sight& sight, Played& played) {
  if (!world.trouble().empty()) complain(played, world.trouble());
  for (const Peer* peer : {&world.a, &world.b}) {
    if (peer->wrong()) complain(played, "wrong bytes");
    // Nobody takes a cut connection for a whole one.
    if (sight.began && scenario.tcp && peer->end() == End::Fin && !peer->heard_all()) {
      complain(played, "a FIN behind " + std::to_string(peer->heard()) + " of " + std::to_string(peer->expected()) + " bytes");
    }
  }
  for (const auto& [id, told] : world.handshakes()) {
    const bool once = told.secured <= 1 && told.gone <= 1;
    if (!once || !told.over() || (told.refused && told.gone != 1)) {
      complain(played, std::to_string(told.secured) + " handshakes and " + std::to_string(told.gone) + " ends of an endpoint");
    }
  }
  const size_t ends = world.count(EventType::JoinEnded);
  if (ends != (sight.began ? 1 : 0)) complain(played, std::to_string(ends) + " ends");
  if (ends != 1) return;
  const EventRecord end = world.take(EventType::JoinEnded)->record;
  const auto reason = static_cast<EndReason>(end.code & 0xff);
  if (reason > EndReason::Unreachable) complain(played, "an unknown reason");
  const bool complete = world.a.heard_all() && world.b.heard_all();
  if (reason == EndReason::Eof && !complete && !sight.beyond) complain(played, "eof, but incomplete");
  const bool named = reason == EndReason::Error || reason == EndReason::Unreachable;
  if (named && end.code >> 8 == 0) complain(played, "an error without a name");
  if (end.values[0] < world.b.heard() || end.values[1] < world.a.heard()) complain(played, "counters behind the bytes");
  if (end.values[0] > world.b.expected() || end.values[1] > world.a.expected()) complain(played, "counters ahead of the bytes");
  if (end.values[2] > end.values[0] || end.values[3] > end.values[1]) complain(played, "more spliced than delivered");
  if (world.cell.a_to_b != end.values[0] || world.cell.b_to_a != end.values[1]) complain(played, "cells that differ");
  const bool told = scenario.reason == EndReason::Eof || scenario.reason == EndReason::Reset ||
                    scenario.reason == EndReason::Truncated || scenario.reason == EndReason::Idle;
  played.same_end = sight.got_through && reason == scenario.reason && (!told || (world.a.heard_all() && world.b.heard_all()));
}

Played play(const Scenario& scenario, uint32_t workers, const Combination* combination) {
  Played played;
  const StoppedClock clock;
  faults().clear();
  const size_t descriptors = open_descriptors();
  const bool bytewise = combination && combination->fault.effect == Effect::Short && combination->moment->times != 1;
  {
    World world(workers);
    Sight sight;
    uint64_t met_before = 0;
    const auto arm = [&](bool at_join) {
      if (combination == nullptr || combination->moment->at_join != at_join) return;
      met_before = faults().met(combination->call);
      combination->arm();
    };
    arm(false);
    const int refused = world.start();
    if (refused == 0) {
      scenario.play(world, bytewise ? kSmall : kSize, [&] { arm(true); }, sight);
      if (!let_go(world)) complain(played, "not all was let go");
      judge(scenario, world, sight, played);
      if (!scenario.joins) played.same_end = sight.got_through;
      if (watched().count() != 0) complain(played, "still watched by epoll");
    }
    if (combination) played.met = faults().met(combination->call) > met_before;
    played.stats = world.engine.stats();
    if (!played.wrong.empty()) played.wrong += " (at: " + sight.where + ")";
  }
  faults().clear();
  if (const size_t now = open_descriptors(); now != descriptors) {
    complain(played, std::to_string(now) + " descriptors instead of " + std::to_string(descriptors));
  }
  return played;
}

// Every n-th combination only: for sanitizers that make each ten times as long.
size_t stride() {
  if (const char* text = std::getenv("MILLRACE_FAULTS_EVERY")) return static_cast<size_t>(std::max(1, std::atoi(text)));
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  return 5;
#endif
#endif
  return 1;
}

// A handshake costs more than a whole scenario without one: of the table, TLS is asked only what an encrypted socket calls.
bool concerns_tls(Call call) {
  switch (call) {
    case Call::Recv:
    case Call::Send:
    case Call::Outq:
    case Call::Shutdown:
    case Call::Close:
    case Call::Setsockopt:
    case Call::EpollCtl:
    case Call::EpollWait:
    case Call::Pipe2:
      return true;
    default:
      return false;
  }
}

void check_scenario(const Scenario& scenario, size_t index, bool tls) {
  const FaultScope scope;
  const uint32_t workers = worker_count();
  const Played undisturbed = play(scenario, workers, nullptr);
  CHECK_MESSAGE(undisturbed.wrong.empty(), undisturbed.wrong);
  REQUIRE(undisturbed.same_end);
  size_t played = 0;
  size_t met = 0;
  size_t same = 0;
  const char* const only = std::getenv("MILLRACE_FAULTS_ONLY");
  const std::vector<Combination>& all = combinations();
  // Each scenario another part of them.
  const size_t step = stride() * scenario.every;
  for (size_t i = index % step; i < all.size(); i += step) {
    if (tls && !concerns_tls(all[i].call)) continue;
    if (only && all[i].name().find(only) == std::string::npos) continue;
    const Played result = play(scenario, workers, &all[i]);
    ++played;
    met += result.met;
    same += result.met && result.same_end;
    CHECK_MESSAGE(result.wrong.empty(), all[i].name(), ": ", result.wrong);
    if (all[i].harmless() || !result.met) {
      CHECK_MESSAGE(result.same_end, all[i].name(), " must change nothing");
    }
  }
  std::printf("fault table: %s: %zu combinations of %zu, %zu of them met their call, %zu of those changed nothing\n",
              scenario.name, played, all.size(), met, same);
}

}  // namespace

#define MILLRACE_FAULTS_IN(index, text) \
  TEST_CASE("fault table: " text) { check_scenario(scenarios()[index], index, false); }

MILLRACE_FAULTS_IN(0, "a TCP proxy's whole path")
MILLRACE_FAULTS_IN(1, "a proxy on unix sockets")
MILLRACE_FAULTS_IN(2, "splice")
MILLRACE_FAULTS_IN(3, "splice given up with bytes in the pipe")
MILLRACE_FAULTS_IN(4, "heads, a rate and a bound")
MILLRACE_FAULTS_IN(5, "a reset behind bytes")
MILLRACE_FAULTS_IN(6, "an abort in full flow")
MILLRACE_FAULTS_IN(7, "a sink that takes nothing")
MILLRACE_FAULTS_IN(8, "nothing to say")
MILLRACE_FAULTS_IN(9, "driven by the caller")
MILLRACE_FAULTS_IN(10, "a join that dials")
MILLRACE_FAULTS_IN(11, "a join that dials in vain")
MILLRACE_FAULTS_IN(12, "a refusal and a release, no join")

#define MILLRACE_TUNNEL_FAULTS_IN(index, text) \
  TEST_CASE("fault table: " text) { check_scenario(tunnel_scenarios()[index], index, false); }

MILLRACE_TUNNEL_FAULTS_IN(0, "a tunnel, its proxy connection with TLS")
MILLRACE_TUNNEL_FAULTS_IN(1, "a tunnel over a lane")
MILLRACE_TUNNEL_FAULTS_IN(2, "a tunnel over a lane with TLS")
MILLRACE_TUNNEL_FAULTS_IN(3, "a lane whose visitor resets")

#define MILLRACE_TLS_FAULTS_IN(index, text) \
  TEST_CASE("fault table: " text) { check_scenario(tls_scenarios()[index], index, true); }

MILLRACE_TLS_FAULTS_IN(0, "TLS to plain, behind a hello that was read")
MILLRACE_TLS_FAULTS_IN(1, "TLS to TLS, small buffers")
MILLRACE_TLS_FAULTS_IN(2, "TLS, a reset behind bytes")
MILLRACE_TLS_FAULTS_IN(3, "TLS, an end without close_notify passed on")
MILLRACE_TLS_FAULTS_IN(4, "TLS, an end without close_notify as a reset")
MILLRACE_TLS_FAULTS_IN(5, "TLS, ciphertext that nobody has read yet, no join")
MILLRACE_TLS_FAULTS_IN(6, "TLS, a handshake given up and one refused, no join")

}  // namespace millrace::test
