#include "fault_scenarios.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "fault_steps.h"

namespace millrace::test {

namespace {

// listen, accept, dial, join: a proxy's whole path, from `listening` and to the service that listens on `service`.
void proxy(World& world, const ListenRequest& request, const SocketAddress& service, int service_fd, Mode mode,
           const std::function<Fd(const Listening&)>& visit, size_t size, const Arm& arm, Sight& sight) {
  sight.where = "listen";
  Listening listening;
  if (world.engine.listen(world.client, request, listening) != 0) return;
  sight.where = "accept";
  world.a.connect(visit(listening));
  const auto accepted = world.await(EventType::Accepted);
  if (accepted) {
    sight.where = "dial";
    const auto a = static_cast<EndpointId>(accepted->record.id);
    const EndpointId b = world.engine.dial(world.client, service, 10'000);
    const auto dialed = world.await(EventType::Dialed, static_cast<double>(b));
    if (dialed && dialed->record.code == 0) {
      world.b.connect(Fd(::accept4(service_fd, nullptr, nullptr, SOCK_CLOEXEC)));
      converse(world, size, size + size / 3);
      arm();
      join(world, spec_of(world, a, b, mode), sight);
      see_the_end(world, sight);
    } else {
      world.engine.destroy(a, true);
      world.engine.destroy(b, true);
    }
  }
  world.engine.unlisten(listening.id);
}

Fd serve(const SocketAddress& there, int backlog) {
  Fd service(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  set_option(service.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  ::bind(service.get(), there.get(), there.length());
  ::listen(service.get(), backlog);
  return service;
}

void tcp_proxy(World& world, size_t size, const Arm& arm, Sight& sight) {
  const SocketAddress there = fresh_loopback();
  const SocketAddress front = fresh_loopback();
  const Fd service = serve(there, 8);
  proxy(world, {.address = front}, there, service.get(), Mode::Adaptive,
        [&](const Listening&) { return connect_to(front); }, size, arm, sight);
}

void unix_proxy(World& world, size_t size, const Arm& arm, Sight& sight) {
  const TemporaryPath front;
  const TemporaryPath back;
  const Fd service(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  SocketAddress there;
  there.set_unix(back.get());
  ::bind(service.get(), there.get(), there.length());
  ::listen(service.get(), 8);
  ListenRequest request;
  request.address.set_unix(front.get());
  request.unlink_path = front.get();
  proxy(world, request, there, service.get(), Mode::Splice,
        [&](const Listening&) { return connect_to_unix(front.get()); }, size, arm, sight);
}

void spliced(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  converse(world, size, size / 2);
  arm();
  join(world, spec_of(world, a, b, Mode::Splice), sight);
  see_the_end(world, sight);
}

// The sink turns out not to take splices while a pipe is full.
void fallen_back(World& world, size_t size, const Arm& arm, Sight& sight) {
  faults().add(Call::Flush, {.error = EINVAL, .skip = 2});
  spliced(world, size, arm, sight);
}

void heads_and_bounds(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  // Bytes that the caller has read already, a rate, and a bound with bytes behind it.
  world.a.say(words(true), size + 1000, Exit::Fin);
  world.b.say(words(false), size, Exit::Fin);
  world.a.expect(words(false), size);
  world.b.expect(words(true), size);
  auto spec = spec_of(world, a, b, Mode::Adaptive);
  spec->a_to_b.max_bytes = size;
  spec->b_to_a.rate = std::make_shared<TokenBucket>(static_cast<double>(size) * 2, static_cast<double>(size) / 4);
  sight.where = "the head";
  world.engine.read(b, size / 10, kLimit);
  const auto read = world.await(EventType::Read, static_cast<double>(b));
  if (!read || read->payload.empty()) {
    for (const EndpointId id : {a, b}) world.engine.destroy(id, true);
    return;
  }
  spec->b_to_a.head = read->payload;
  arm();
  join(world, std::move(spec), sight);
  see_the_end(world, sight);
}

void reset_behind_bytes(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  world.a.say(words(true), size, Exit::Reset);
  world.b.expect(words(true), size);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

void aborted(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  world.a.say(words(true), 4 * size);
  world.b.expect(words(true), 4 * size);
  arm();
  auto spec = spec_of(world, a, b, Mode::Splice);
  join(world, std::move(spec), sight);
  world.drive([&] { return world.b.heard() > size / 2 || world.count(EventType::JoinEnded) > 0; });
  world.engine.abort(a);
  see_the_end(world, sight);
}

void stalled(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight, 4096)) return;
  // Far more than such buffers hold, whatever the size of the segments.
  const size_t much = size + 60'000;
  world.a.say(words(true), much);
  world.a.expect(words(false), 100);
  world.b.say(words(false), 100);
  world.b.stop_reading();
  world.b.expect(words(true), much);
  auto spec = spec_of(world, a, b, Mode::Adaptive);
  spec->limits.stalled = kLimit / 2;
  arm();
  join(world, std::move(spec), sight);
  sight.where = "the end";
  sight.got_through = world.drive([&] { return world.count(EventType::JoinEnded) > 0 && world.a.over(); });
  world.b.leave();
}

void idle(World& world, size_t, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  for (Peer* peer : {&world.a, &world.b}) {
    peer->say(words(peer == &world.a), 100);
    peer->expect(words(peer != &world.a), 100);
  }
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

// Carries one direction as a caller does: read, write, flushed, and again; true while it isn't over.
class Carrier {
 public:
  Carrier(World& world, EndpointId home, EndpointId source, EndpointId sink, bool a_to_b)
      : world_(world), home_(home), source_(source), sink_(sink), a_to_b_(a_to_b) {}
  void begin() { world_.engine.read(source_, 20'000, kLimit); }
  void step() {
    if (over_) return;
    if (const auto read = world_.take(EventType::Read, static_cast<double>(source_))) {
      if (read->payload.empty()) {
        over_ = true;
        const bool end = read->record.code == static_cast<uint32_t>(ReadStatus::Ended);
        // Whoever's source breaks off cuts the sink off as well.
        if (end) world_.engine.finish(home_, a_to_b_, true);
        else world_.engine.abort(home_);
        return;
      }
      world_.engine.write(sink_, read->payload);
      world_.engine.flush(sink_);
    }
    if (world_.take(EventType::Flushed, static_cast<double>(sink_))) begin();
  }

 private:
  World& world_;
  EndpointId home_;
  EndpointId source_;
  EndpointId sink_;
  bool a_to_b_;
  bool over_ = false;
};

void driven_by_the_caller(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  converse(world, size, size / 2);
  auto spec = spec_of(world, a, b, Mode::Adaptive);
  spec->a_to_b.caller_driven = spec->b_to_a.caller_driven = true;
  arm();
  join(world, std::move(spec), sight);
  sight.where = "the end";
  Carrier there(world, a, a, b, true);
  Carrier back(world, a, b, a, false);
  there.begin();
  back.begin();
  sight.got_through = world.drive([&] {
    there.step();
    back.step();
    return world.count(EventType::JoinEnded) > 0 && world.a.over() && world.b.over();
  });
}

// A visitor in `world.a`, joined with whoever answers at `there`; false when it could not be taken over.
bool join_to(World& world, const SocketAddress& there, size_t head, const Arm& arm, Sight& sight) {
  sight.where = "adopt";
  const EndpointId a = adopt(world, world.a, 0);
  if (a == 0) return false;
  auto spec = spec_of(world, a, 0, Mode::Adaptive);
  spec->a_to_b.head = {words(true).begin(), words(true).begin() + static_cast<std::ptrdiff_t>(head)};
  arm();
  sight.began = true;
  sight.where = "dialing";
  world.engine.join_to(std::move(spec), there, 10'000);
  return true;
}

void dialed_by_the_join(World& world, size_t size, const Arm& arm, Sight& sight) {
  const SocketAddress there = fresh_loopback();
  const Fd service = serve(there, 8);
  converse(world, size, size + size / 3);
  if (!join_to(world, there, 0, arm, sight)) return;
  sight.got_through = world.drive([&] {
    if (!world.b.connected()) {
      world.b.connect(Fd(::accept4(service.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)));
      if (world.b.connected()) sight.where = "joined";
    }
    return world.count(EventType::JoinEnded) > 0 && world.a.over() && world.b.over();
  });
}

// The service's queue is full, so that its system answers nothing.
void dialed_in_vain(World& world, size_t, const Arm& arm, Sight& sight) {
  const SocketAddress there = fresh_loopback();
  const Fd service = serve(there, 0);
  const Fd filler = connect_to(there);
  world.a.say(words(true), 1000);
  world.a.expect(words(false), 0);
  if (!join_to(world, there, 100, arm, sight)) return;
  see_the_end(world, sight);
}

// No join: a head is read, an answer written, the endpoint closed in order; another one is given away.
void refused_and_released(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  world.a.say(words(true), 1000);
  world.a.expect(words(false), size);
  world.b.expect(words(false), size);
  arm();
  sight.where = "read";
  world.engine.read(a, 100, kLimit);
  const auto read = world.await(EventType::Read, static_cast<double>(a));
  for (const EndpointId id : {a, b}) world.engine.write(id, {words(false).begin(), words(false).begin() + static_cast<std::ptrdiff_t>(size)});
  world.engine.flush(a);
  const auto flushed = world.await(EventType::Flushed, static_cast<double>(a));
  world.engine.destroy(a, false);
  world.engine.release(b);
  sight.where = "released";
  std::optional<WorldEvent> released;
  world.drive([&] {
    if (!released) released = world.take(EventType::Released, static_cast<double>(b));
    return (released || world.count(EventType::Gone) > 1) && world.a.over();
  });
  if (released) {
    ::close(static_cast<int>(released->record.values[0]));
    world.drive([&] { return world.b.over(); });
  } else {
    world.engine.destroy(b, true);
  }
  sight.got_through = read && read->payload.size() > 0 && flushed && flushed->record.code == 0 && released &&
                      world.a.over() && world.a.heard_all() && world.b.heard_all();
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      {"a TCP proxy's whole path", EndReason::Eof, true, true, tcp_proxy},
      {"a proxy on unix sockets", EndReason::Eof, true, false, unix_proxy},
      {"splice", EndReason::Eof, true, true, spliced},
      {"splice given up with bytes in the pipe", EndReason::Eof, true, true, fallen_back},
      {"heads, a rate and a bound", EndReason::Eof, true, true, heads_and_bounds},
      {"a reset behind bytes", EndReason::Reset, true, true, reset_behind_bytes},
      {"an abort in full flow", EndReason::Aborted, true, true, aborted},
      {"a sink that takes nothing", EndReason::Stalled, true, true, stalled},
      {"nothing to say", EndReason::Idle, true, true, idle},
      {"driven by the caller", EndReason::Eof, true, true, driven_by_the_caller},
      {"a join that dials", EndReason::Eof, true, true, dialed_by_the_join},
      {"a join that dials in vain", EndReason::Unreachable, true, true, dialed_in_vain},
      {"a refusal and a release, no join", EndReason::Eof, false, true, refused_and_released},
  };
  return all;
}

bool let_go(World& world) {
  return world.drive([&] {
    // Whoever was accepted when the scenario had moved on.
    while (const auto late = world.take(EventType::Accepted)) {
      world.engine.destroy(static_cast<EndpointId>(late->record.id), true);
    }
    const EngineStats stats = world.engine.stats();
    return stats.endpoints == 0 && stats.joins == 0 && stats.listeners == 0;
  });
}

}  // namespace millrace::test
