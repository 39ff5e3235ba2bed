// The lives of whole tunnels: a proxy connection and a join at either end of it.
#include "fault_steps.h"

namespace millrace::test {

namespace {

// The whole of a tunnel in one engine: `a` is the visitor, `b` the service, and between them the relay's join, which is the
// one that is judged, the proxy connection and the agent's join.
class Tunnel {
 public:
  Tunnel(World& world, bool tls, bool lane) : world_(world), tls_(tls), lane_(lane) {}
  ~Tunnel() {
    for (const EndpointId id : {visitor_, service_, relay_, agent_}) world_.engine.destroy(id, true);
  }
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  bool open(Sight& sight) {
    if (!take_over(world_, visitor_, service_, sight)) return false;
    sight.where = "the proxy connection";
    SocketPair pair = connect_pair(Family::Tcp);
    int error = 0;
    relay_ = world_.engine.adopt(world_.client, pair.near.take(), error);
    agent_ = world_.engine.adopt(world_.client, pair.far.take(), error);
    if (relay_ == 0 || agent_ == 0) return false;
    if (tls_ && !secure()) return false;
    if (!lane_) return true;
    world_.engine.lane(relay_, LaneRole::Opens, {});
    world_.engine.lane(agent_, LaneRole::Accepts, {});
    return true;
  }

  void play(Sight& sight) {
    static CounterCell beyond;
    auto near = spec_of(world_, visitor_, relay_, Mode::Adaptive);
    if (lane_) near->open = {1, 2, 3};
    join(world_, std::move(near), sight);
    if (lane_) {
      const auto agent = static_cast<double>(agent_);
      bool is_open = false;
      world_.drive([&] {
        is_open = is_open || world_.take(EventType::LaneOpened, agent).has_value();
        return is_open || world_.take(EventType::Gone, agent).has_value();
      });
      if (!is_open) {
        world_.drive([&] { return world_.count(EventType::JoinEnded) > 0; });
        return;
      }
    }
    auto far = spec_of(world_, agent_, service_, Mode::Adaptive);
    far->token = 2;
    far->cell = &beyond;
    world_.engine.join(std::move(far));
    sight.where = "the end";
    std::optional<WorldEvent> end;
    const bool through = world_.drive([&] {
      if (!end) end = world_.take(EventType::JoinEnded, 2);
      return end && world_.count(EventType::JoinEnded) > 0 && world_.a.over() && world_.b.over();
    });
    sight.beyond = !end || (end->record.code & 0xff) != static_cast<uint32_t>(EndReason::Eof);
    sight.got_through = through && (!lane_ || (is_free(relay_) && is_free(agent_)));
  }

 private:
  bool secure() {
    world_.secure(relay_, server_spec(true), kLimit);
    world_.secure(agent_, client_spec("localhost", true), kLimit);
    for (const EndpointId id : {relay_, agent_}) {
      const auto secured = world_.await(EventType::Secured, static_cast<double>(id));
      if (!secured || secured->record.code != 0) return false;
    }
    return true;
  }
  bool is_free(EndpointId id) { return world_.await(EventType::LaneFree, static_cast<double>(id)).has_value(); }

  World& world_;
  const bool tls_;
  const bool lane_;
  EndpointId visitor_ = 0;
  EndpointId service_ = 0;
  EndpointId relay_ = 0;
  EndpointId agent_ = 0;
};

void tunnel(World& world, bool tls, bool lane, size_t size, const Arm& arm, Sight& sight) {
  Tunnel tunnel(world, tls, lane);
  if (!tunnel.open(sight)) return;
  converse(world, size, size / 2);
  arm();
  tunnel.play(sight);
}

void tls_tunnel(World& world, size_t size, const Arm& arm, Sight& sight) {
  tunnel(world, true, false, size, arm, sight);
}

void lane_tunnel(World& world, size_t size, const Arm& arm, Sight& sight) {
  tunnel(world, false, true, size, arm, sight);
}

// Less, as each byte may take a turn of every worker, twice.
void tls_lane_tunnel(World& world, size_t size, const Arm& arm, Sight& sight) {
  tunnel(world, true, true, size / 3, arm, sight);
}

void reset_over_a_lane(World& world, size_t size, const Arm& arm, Sight& sight) {
  Tunnel tunnel(world, false, true);
  if (!tunnel.open(sight)) return;
  world.a.say(words(true), size, Exit::Reset);
  world.b.expect(words(true), size);
  arm();
  tunnel.play(sight);
}

}  // namespace

const std::vector<Scenario>& tunnel_scenarios() {
  static const std::vector<Scenario> all = {
      {"a tunnel, its proxy connection with TLS", EndReason::Eof, true, true, tls_tunnel, 3},
      {"a tunnel over a lane", EndReason::Eof, true, true, lane_tunnel},
      {"a tunnel over a lane with TLS", EndReason::Eof, true, true, tls_lane_tunnel, 3},
      {"a lane whose visitor resets", EndReason::Reset, true, true, reset_over_a_lane},
  };
  return all;
}

}  // namespace millrace::test
