#include "fault_steps.h"

namespace millrace::test {

namespace {

constexpr size_t kMost = 2 << 20;

}  // namespace

const Bytes& words(bool of_a) {
  static const Bytes a = pattern(1, kMost);
  static const Bytes b = pattern(2, kMost);
  return of_a ? a : b;
}

void converse(World& world, size_t from_a, size_t from_b) {
  world.a.say(words(true), from_a, Exit::Fin);
  world.b.say(words(false), from_b, Exit::Fin);
  world.a.expect(words(false), from_b);
  world.b.expect(words(true), from_a);
}

EndpointId adopt(World& world, Peer& peer, int buffers) {
  SocketPair pair = connect_pair(Family::Tcp, buffers);
  int error = 0;
  const EndpointId id = world.engine.adopt(world.client, pair.near.take(), error);
  if (id != 0) peer.connect(std::move(pair.far));
  return id;
}

std::unique_ptr<JoinSpec> spec_of(World& world, EndpointId a, EndpointId b, Mode mode) {
  auto spec = std::make_unique<JoinSpec>();
  spec->token = 1;
  spec->client = world.client;
  spec->cell = &world.cell;
  spec->a = a;
  spec->b = b;
  spec->mode = mode;
  spec->limits = {.idle = kLimit, .half_closed_idle = kLimit, .duration = 0, .stalled = kLimit};
  return spec;
}

void see_the_end(World& world, Sight& sight) {
  sight.where = "the end";
  sight.got_through = world.drive([&] {
    return world.count(EventType::JoinEnded) > 0 && world.a.over() && world.b.over();
  });
}

void join(World& world, std::unique_ptr<JoinSpec> spec, Sight& sight) {
  sight.began = true;
  sight.where = "joined";
  world.engine.join(std::move(spec));
}

bool take_over(World& world, EndpointId& a, EndpointId& b, Sight& sight, int buffers) {
  sight.where = "adopt";
  a = adopt(world, world.a, buffers);
  b = adopt(world, world.b, buffers);
  if (a != 0 && b != 0) return true;
  for (const EndpointId id : {a, b}) world.engine.destroy(id, true);
  return false;
}

}  // namespace millrace::test
