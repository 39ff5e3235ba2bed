// An engine without threads on the faulty table, its client and two peers, all played turn by turn on a clock that
// stands: what a scenario of the fault table is made of. Nothing here fails a test by itself, as under faults nearly anything may
// happen; what did is kept for the judge.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"
#include "faults.h"
#include "support.h"
#include "tls_wire.h"

namespace millrace::test {

// One peer of a join, never blocking.
class Peer {
 public:
  // Cut: FIN without close_notify. Fin: with it, where there is TLS.
  enum class Exit : uint8_t { Stay, Fin, Cut, Reset };

  void connect(Fd fd) { fd_ = std::move(fd); }
  // From here on there is TLS, which begins with a handshake.
  void secure(std::unique_ptr<TlsStream> stream) { wire_.emplace(std::move(stream)); }
  // Sends the first `size` bytes of `bytes`; then `exit`, a reset only once the engine's kernel has them all.
  void say(const Bytes& bytes, size_t size, Exit exit = Exit::Stay);
  // What is to arrive.
  void expect(const Bytes& bytes, size_t size);
  void stop_reading() { reads_ = false; }
  void leave() { fd_.close(); }
  // RST.
  void leave_at_once() { reset(fd_); }

  // True when anything moved.
  bool pump();
  // Until the kernel has an acknowledgement, which takes real time.
  bool waits_for_kernel() const { return exit_ == Exit::Reset && !exited_ && !broken_ && said_all() && connected(); }
  bool connected() const { return fd_.get() >= 0; }
  bool said_all() const { return sent_ == to_send_ && !(wire_ && wire_->unsent()); }
  bool heard_all() const { return heard_ == expected_; }
  bool over() const { return end_ != End::Open || fd_.get() < 0; }
  End end() const { return end_; }
  // How much of it went both ways.
  uint64_t ciphertext() const { return wire_ ? wire_->moved() : 0; }
  size_t heard() const { return heard_; }
  size_t expected() const { return expected_; }
  // Bytes that nobody sent, or in another order; with TLS also what is no record of this connection.
  bool wrong() const { return wrong_; }

 private:
  bool read_some();
  bool send_some();
  ssize_t receive(std::span<uint8_t> bytes);
  ssize_t send(std::span<const uint8_t> bytes);
  // False as long as something is to be sent first.
  bool leave_in_order();

  Fd fd_;
  std::optional<TlsWire> wire_;
  const Bytes* out_ = nullptr;
  const Bytes* in_ = nullptr;
  size_t to_send_ = 0;
  size_t sent_ = 0;
  size_t expected_ = 0;
  size_t heard_ = 0;
  Exit exit_ = Exit::Stay;
  End end_ = End::Open;
  bool reads_ = true;
  bool broken_ = false;
  bool exited_ = false;
  bool wrong_ = false;
};

struct WorldEvent {
  EventRecord record;
  Bytes payload;
};

// What was told of an endpoint that was to be secured.
struct Handshake {
  size_t secured = 0;
  size_t gone = 0;
  bool refused = false;

  bool over() const { return secured + gone > 0; }
};

class World {
 public:
  explicit World(uint32_t workers);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Engine engine;
  std::shared_ptr<Client> client;
  CounterCell cell{};
  Peer a;
  Peer b;

  // errno of the engine's start.
  int start();
  // As the engine's, remembered in handshakes().
  void secure(EndpointId id, std::unique_ptr<SecureSpec> spec, Millis timeout);
  const std::map<EndpointId, Handshake>& handshakes() const { return handshakes_; }
  // Plays peers, client, workers and clock until `done`. False when it is not done in a long time, or nothing will happen any
  // more; trouble() says so when it is the engine's fault.
  bool drive(const std::function<bool()>& done);
  // The same at a standing clock, until nothing moves any more.
  void settle();
  // The first event of that type, and of that id unless it is 0.
  std::optional<WorldEvent> take(EventType type, double id = 0);
  // The same, driving until it is there.
  std::optional<WorldEvent> await(EventType type, double id = 0);
  size_t count(EventType type) const;
  const std::string& trouble() const { return trouble_; }

 private:
  bool pump();
  // One turn of everybody; false when nothing moved.
  bool round();
  void note(const EventRecord& record);

  const uint32_t workers_;
  std::vector<WorldEvent> events_;
  std::map<EndpointId, Handshake> handshakes_;
  Bytes arena_;
  std::string trouble_;
};

}  // namespace millrace::test
