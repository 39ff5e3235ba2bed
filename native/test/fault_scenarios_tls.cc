// The lives of endpoints with TLS.
#include <algorithm>

#include "fault_steps.h"

namespace millrace::test {

namespace {

constexpr int kSmallBuffers = 8192;
// More ciphertext than a hello has.
constexpr uint64_t kHello = 1000;

void be_client(Peer& peer) {
  static const auto context = client_context(client_options());
  peer.secure(TlsStream::client(context, "localhost", "192.0.2.1:443"));
}

void be_server(Peer& peer) {
  static const auto context = server_context(server_options());
  peer.secure(TlsStream::server(context));
}

// Until every handshake is over. False when one has failed, and the scenario with it.
bool shake(World& world, EndpointId a, EndpointId b, Sight& sight) {
  sight.where = "the handshakes";
  world.drive([&] {
    return std::all_of(world.handshakes().begin(), world.handshakes().end(), [](const auto& entry) { return entry.second.over(); });
  });
  const bool done = std::all_of(world.handshakes().begin(), world.handshakes().end(), [](const auto& entry) {
    return entry.second.secured == 1 && !entry.second.refused;
  });
  if (done) return true;
  for (const EndpointId id : {a, b}) world.engine.destroy(id, true);
  return false;
}

// The engine is a's server, and b speaks in the clear.
bool secure_a(World& world, EndpointId& a, EndpointId& b, Sight& sight, bool reset_when_truncated = false, int buffers = 0) {
  if (!take_over(world, a, b, sight, buffers)) return false;
  be_client(world.a);
  world.secure(a, server_spec(reset_when_truncated), kLimit);
  return shake(world, a, b, sight);
}

// The owner has read the hello already.
void to_plain(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  be_client(world.a);
  sight.where = "the hello";
  world.engine.read(a, 10'000, kLimit);
  const auto hello = world.await(EventType::Read, static_cast<double>(a));
  if (!hello || hello->payload.empty()) {
    for (const EndpointId id : {a, b}) world.engine.destroy(id, true);
    return;
  }
  auto spec = server_spec();
  spec->head = hello->payload;
  world.secure(a, std::move(spec), kLimit);
  if (!shake(world, a, b, sight)) return;
  converse(world, size, size / 2);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

// The engine is the client of one side and the server of the other, and the kernel takes little at a time.
void to_tls(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight, kSmallBuffers)) return;
  be_client(world.a);
  be_server(world.b);
  world.secure(a, server_spec(true), kLimit);
  world.secure(b, client_spec(), kLimit);
  if (!shake(world, a, b, sight)) return;
  converse(world, size / 2, size / 3);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

void reset_by_tls(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!secure_a(world, a, b, sight)) return;
  world.a.say(words(true), size, Exit::Reset);
  world.b.expect(words(true), size);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

void truncated(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!secure_a(world, a, b, sight)) return;
  converse(world, size, size / 2);
  world.a.say(words(true), size, Exit::Cut);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

void truncated_and_reset(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!secure_a(world, a, b, sight, true)) return;
  world.a.say(words(true), size, Exit::Cut);
  world.b.expect(words(true), size);
  arm();
  join(world, spec_of(world, a, b, Mode::Adaptive), sight);
  see_the_end(world, sight);
}

// No join: more is written than the kernel takes, and the endpoint closed in order behind it.
void unsent(World& world, size_t size, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!secure_a(world, a, b, sight, false, kSmallBuffers)) return;
  world.engine.destroy(b, true);
  world.a.expect(words(false), size / 2);
  arm();
  sight.where = "the end";
  world.engine.write(a, {words(false).begin(), words(false).begin() + static_cast<std::ptrdiff_t>(size / 2)});
  world.engine.destroy(a, false);
  sight.got_through = world.drive([&] { return world.a.over(); }) && world.a.heard_all() && world.a.end() == End::Fin;
  world.a.leave();
}

// No join: one handshake is destroyed on its way, the other refuses its peer's name.
void given_up(World& world, size_t, const Arm& arm, Sight& sight) {
  EndpointId a = 0;
  EndpointId b = 0;
  if (!take_over(world, a, b, sight)) return;
  be_server(world.b);
  arm();
  world.secure(a, server_spec(), kLimit);
  world.secure(b, client_spec("elsewhere.test"), kLimit);
  sight.where = "refused";
  be_client(world.a);
  // Hands are half shaken once the server's flight is there; the client's last one need not be.
  world.drive([&] { return world.a.ciphertext() > kHello || world.handshakes().at(a).over(); });
  world.engine.destroy(a, false);
  sight.got_through = world.drive([&] {
    return world.a.over() && world.b.over() && world.handshakes().at(b).gone == 1 && world.handshakes().at(a).gone == 1;
  }) && world.handshakes().at(b).refused;
}

}  // namespace

const std::vector<Scenario>& tls_scenarios() {
  static const std::vector<Scenario> all = {
      {"TLS to plain, behind a hello that was read", EndReason::Eof, true, true, to_plain},
      {"TLS to TLS, small buffers", EndReason::Eof, true, true, to_tls},
      {"TLS, a reset behind bytes", EndReason::Reset, true, true, reset_by_tls},
      {"TLS, an end without close_notify passed on", EndReason::Truncated, true, true, truncated},
      {"TLS, an end without close_notify as a reset", EndReason::Truncated, true, true, truncated_and_reset},
      {"TLS, ciphertext that nobody has read yet, no join", EndReason::Eof, false, true, unsent},
      {"TLS, a handshake given up and one refused, no join", EndReason::Eof, false, true, given_up},
  };
  return all;
}

}  // namespace millrace::test
