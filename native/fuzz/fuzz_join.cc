// The join state machine under scripts of everything that peers, networks, clients, clocks and kernels do to it. The
// input's first bytes choose the setting; each later one is a step. The oracle checks the join contract. With TLS some
// steps mean something else, and what is joined first has shaken hands before.
#include <sys/resource.h>

#include "join.h"
#include "player.h"
#include "targets.h"
#include "trace.h"
#include "world.h"

namespace millrace::fuzz {

namespace {

class Run final : public Player {
 public:
  Run(const uint8_t* bytes, size_t length, bool tls) : Player({bytes, length}), tls_(tls), world_(setting() & 1 ? 2 : 1) {}

  std::string run() { return play(world_); }

 private:
  void begin() override;
  void step(bool within_turn) override;
  void peer(uint8_t what);
  bool tls_peer(Connection& target, uint8_t what);
  void spoil(Connection& target);
  void encrypt(Side& side, uint8_t how, bool head);
  void client(uint8_t what);
  void join();
  void join_to();
  JoinModel plan();
  DirectionModel direction();
  Connection* connection();
  Side* side();

  const bool tls_;
  World world_;
};

// Most scripts want a join: this gives each one.
void Run::begin() {
  world_.adopt((setting() & 8) == 0);
  world_.adopt((setting() & 16) == 0);
  if (tls_) {
    const uint8_t which = script_.byte();
    for (size_t i = 0; i < 2 && i < world_.sides.size(); ++i) {
      if (which & (1 << i)) encrypt(world_.sides[i], script_.byte(), false);
    }
    // Seldom what is to be found lies in the handshake.
    if ((which & 0xc0) == 0) return;
    world_.settle();
  }
  if ((setting() & 0xe0) == 0x60) return join_to();
  if (setting() & 32) return;
  join();
}

Connection* Run::connection() {
  // The first two are the engine's probe.
  auto& all = world_.kernel.connections;
  return all.size() <= 2 ? nullptr : all[2 + script_.below(static_cast<uint32_t>(all.size() - 2))].get();
}

Side* Run::side() {
  if (world_.sides.empty()) return nullptr;
  return &world_.sides[script_.below(static_cast<uint32_t>(world_.sides.size()))];
}

void Run::step(bool within_turn) {
  const uint8_t what = script_.byte();
  trace("%s step %d: %d (at %lu ms)", within_turn ? "inner" : "outer", steps(), what, world_.kernel.now - Kernel::kStart);
  if (what < 96) return peer(what);
  if (what < 136) return client(what);
  if (what < 156) return fault();
  if (what < 168) return arm(what);
  // Time and turns are not for whoever is inside one.
  if (within_turn) return;
  if (what < 208) return world_.turn(what % world_.workers);
  if (what < 236) return world_.settle();
  if (what < 248) return world_.pass(script_.pick(kTimes));
  if (what < 252) world_.kernel.now += script_.pick(kTimes);
  else if (what < 254) join_to();
  else world_.drain();
}

// A TLS peer, and the engine's end of it. The bits of `how`: 0 peer is the server, 1 and 2 suite, 3 the engine updates its
// keys with every record, 4 what is cut is reset, 5 a deadline that may pass.
void Run::encrypt(Side& side, uint8_t how, bool head) {
  if (!side.undecided()) {
    world_.speak_tls(side, {.client = (how & 1) == 0, .suite = static_cast<Suite>(how >> 1 & 3), .restless = (how & 8) != 0});
  }
  if (head) {
    world_.read(side, 1 + script_.byte(), kNever);
    world_.settle();
  }
  world_.secure(side, (how & 16) != 0, how & 32 ? script_.pick(kTimes) : 100'000);
}

// True when the step is one of TLS.
bool Run::tls_peer(Connection& target, uint8_t what) {
  constexpr uint64_t kUpdates[] = {1, 2, 20, 40, 250};
  switch (what % 16) {
    case 4:
    case 14: {
      const uint32_t how = script_.below(6);
      trace("  TLS peer of %d ends, %u", target.fd, how);
      if (how == 5) return target.peer_cut(script_.pick(kLengths)), true;
      if (how < 4) target.tls->notify();
      target.send_wire(16 << 10);
      if (how < 2) target.peer_finish();
      return true;
    }
    case 7: {
      const uint64_t count = script_.pick(kUpdates);
      const bool asks_back = script_.flag();
      for (uint64_t i = 0; i < count; ++i) {
        target.tls->update_key(asks_back);
        // A byte between them, or they soon are a storm.
        if (count > 2 && target.sent < kMostSent) target.peer_send(1, 1);
      }
      target.send_wire(16 << 10);
      return true;
    }
    case 15:
      spoil(target);
      return true;
    default:
      return false;
  }
}

void Run::spoil(Connection& target) {
  constexpr uint8_t kTypes[] = {23, 23, 22, 21, 20, 'G'};
  constexpr uint64_t kForged[] = {32, 40, 1000, 16'384, 16'384 + 257, 65'535};
  if (script_.below(4) == 0) {
    target.tls->alert();
  } else {
    const uint8_t type = script_.pick(kTypes);
    target.tls->forge(type, script_.pick(kForged));
  }
  target.send_wire(16 << 10);
}

void Run::peer(uint8_t what) {
  Connection* target = connection();
  if (!target) return;
  if (target->tls && tls_peer(*target, what)) return;
  switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const uint64_t packet = script_.pick(kPackets);
      uint64_t length = script_.pick(kLengths);
      if (packet < 1000 && length > 64 * packet) length = 64 * packet;
      trace("  peer of %d sends %lu", target->fd, length);
      if (target->sent + length <= kMostSent) target->peer_send(length, packet);
      return;
    }
    case 4:
      target->peer_finish();
      return;
    case 5:
      target->peer_reset();
      return;
    case 6:
      target->peer_close();
      return;
    case 7:
      target->peer_urgent();
      return;
    case 8:
    case 9:
      target->reading = false;
      return;
    case 10:
      target->reading = true;
      return target->peer_read(UINT64_MAX);
    case 11:
      return target->peer_read(script_.pick(kLengths));
    case 12: {
      const uint64_t send_buffer = script_.pick(kBuffers);
      const uint64_t receive_buffer = script_.pick(kBuffers);
      return target->resize(send_buffer, receive_buffer, script_.pick(kBuffers));
    }
    case 13:
      target->held = !target->held;
      return target->carry();
    case 14:
      if (target->fd >= 0) world_.kernel.wake(*target);
      return;
    default:
      if (target->state == Connection::State::Connecting) {
        if (script_.flag()) target->establish();
        else target->refuse(script_.flag() ? ECONNREFUSED : ETIMEDOUT);
      } else if (!world_.listeners.empty() && world_.sides.size() < World::kMostSides) {
        const int listener = world_.listeners[script_.below(static_cast<uint32_t>(world_.listeners.size()))];
        world_.kernel.connect_to(listener, world_.kernel.create(true));
      }
  }
}

void Run::client(uint8_t what) {
  Side* one = side();
  World& world = world_;
  if (tls_ && one && (what % 20 == 2 || what % 20 == 3)) {
    const uint8_t how = script_.byte();
    return encrypt(*one, how, (how & 64) != 0);
  }
  switch (what % 20) {
    case 0:
      return world.adopt(script_.flag());
    case 1:
      return world.dial(script_.below(4) != 0, script_.pick(kTimes));
    case 2:
      return world.listen(script_.below(3));
    case 3:
      if (!world.listeners.empty()) world.unlisten(script_.below(static_cast<uint32_t>(world.listeners.size())));
      return;
    case 4:
    case 5:
    case 6:
      return join();
    case 7:
      if (!world.joins.empty()) world.abort(world.joins[script_.below(static_cast<uint32_t>(world.joins.size()))]);
      return;
    case 8:
    case 9:
      if (!world.joins.empty()) {
        JoinModel& join = world.joins[script_.below(static_cast<uint32_t>(world.joins.size()))];
        const bool a_to_b = script_.flag();
        world.finish(join, a_to_b, script_.flag());
      }
      return;
    case 10:
    case 11:
      if (one) world.read(*one, script_.pick(kLengths), script_.flag() ? kNever : script_.pick(kTimes));
      return;
    case 12:
    case 13:
    case 14:
      if (one) world.write(*one, script_.pick(kLengths));
      return;
    case 15:
      if (one) world.flush(*one);
      return;
    case 16:
      if (one) world.destroy(*one, script_.flag());
      return;
    case 17:
      if (one) world.release(*one);
      return;
    case 18: {
      // From here on only the reserve of descriptors is left, or no longer.
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      return world.use_descriptors_from(script_.flag() ? static_cast<int>(limit.rlim_cur) : 3);
    }
    default:
      return world.drain();
  }
}

DirectionModel Run::direction() {
  DirectionModel made;
  const uint8_t what = script_.byte();
  if (what < 128) return made;
  made.most = script_.pick(kMost);
  made.head = script_.pick(kHeads);
  made.caller = (what & 7) == 0;
  if ((what & 24) == 0) {
    made.rate = script_.pick(kRates);
    made.burst = script_.pick(kBursts);
  }
  return made;
}

void Run::join() {
  if (!world_.sides.empty()) world_.join(plan());
}

void Run::join_to() {
  if (world_.sides.empty()) return;
  const JoinModel made = plan();
  const bool tcp = script_.below(4) != 0;
  world_.join_to(made, tcp, script_.pick(kTimes));
}

JoinModel Run::plan() {
  const auto count = static_cast<uint32_t>(world_.sides.size());
  const uint8_t what = script_.byte();
  JoinModel plan;
  plan.a = (what >> 2) % count;
  plan.b = (plan.a + 1) % count;
  plan.mode = static_cast<Mode>(what & 3 ? (what & 3) - 1 : 0);
  if (what & 128) {
    plan.limits = {script_.pick(kLimits), script_.pick(kLimits), script_.pick(kLimits), script_.pick(kLimits)};
    plan.a_to_b = direction();
    plan.b_to_a = direction();
  }
  return plan;
}

}  // namespace

std::string run_join(const uint8_t* bytes, size_t length) { return Run(bytes, length, false).run(); }

std::string run_secure(const uint8_t* bytes, size_t length) {
  const FixedRandomness fixed;
  return Run(bytes, length, true).run();
}

}  // namespace millrace::fuzz
