// An engine with a client, for one test: endpoints are handed in as sockets, events are awaited by type and id.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include <doctest/doctest.h>

#include "engine.h"
#include "faults.h"
#include "support.h"

namespace millrace::test {

// MILLRACE_WORKERS, 1 when it isn't set.
uint32_t worker_count();

struct Event {
  EventRecord record;
  Bytes payload;

  EndpointId id() const { return static_cast<EndpointId>(record.id); }
};

// A client that keeps what it is told; several threads may wait for what they want of it.
class Inbox {
 public:
  Inbox();
  ~Inbox() { client_->close(); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  const std::shared_ptr<Client>& client() const { return client_; }
  // The first such event not taken yet; fails the test when it doesn't come. `id` 0 is any.
  Event expect(EventType type, double id = 0);
  // Whether it has come already.
  bool has(EventType type, double id = 0);
  size_t count(EventType type);

 private:
  void drain();
  std::deque<Event>::iterator find(EventType type, double id);

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t rings_ = 0;
  std::deque<Event> events_;
  std::shared_ptr<Client> client_;
};

// How two peers are to be joined. `buffers` other than 0 makes every socket's buffers so small.
struct Plan {
  Family a = Family::Tcp;
  Family b = Family::Tcp;
  Mode mode = Mode::Adaptive;
  JoinLimits limits{};
  DirectionSpec a_to_b{};
  DirectionSpec b_to_a{};
  int buffers = 0;
  Bytes open{};  // as JoinSpec
};

// A join as its peers see it: `a` and `b` are their sockets.
struct Joined {
  Fd a;
  Fd b;
  EndpointId left = 0;
  EndpointId right = 0;
  double token = 0;
  const CounterCell* cell = nullptr;
};

struct JoinEnd {
  EndReason reason;
  int error;
  uint64_t a_to_b;
  uint64_t b_to_a;
  uint64_t spliced_a_to_b;
  uint64_t spliced_b_to_a;
  uint64_t ms;
};

class Harness {
 public:
  explicit Harness(const Syscalls& sys = kernel_syscalls(), uint32_t workers = worker_count());
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  Engine engine;
  Inbox inbox;
  const std::shared_ptr<Client>& client() const { return inbox.client(); }
  const uint32_t workers;

  EndpointId adopt(Fd fd);
  // A peer's socket in `far`, its other end adopted.
  EndpointId adopt_one(Fd& far, Family family = Family::Tcp, int buffers = 0);
  // Joins two endpoints. Fills in the token, the cell and the ids only.
  Joined start(EndpointId a, EndpointId b, Plan plan = {});
  // The same with new connections.
  Joined start(Plan plan = {});
  // Dials, and joins `a` with what answers. Fills in the token, the cell and the left id only.
  Joined start_to(EndpointId a, const SocketAddress& address, Plan plan = {}, Millis timeout = kNever);
  JoinEnd ended(const Joined& joined);
  Event expect(EventType type, double id = 0) { return inbox.expect(type, id); }
  Event expect(EventType type, EndpointId id) { return inbox.expect(type, static_cast<double>(id)); }
  // Waits until the engine owns neither endpoints nor joins.
  bool quiet();
  // Holds the workers (which must use the faulty table) at the gate.
  void hold();
  // Lets each worker make one turn: carry out its commands, then take the events that are there.
  void step();
  void proceed() { Gate::instance().open(); }

 private:
  std::unique_ptr<JoinSpec> make_spec(Joined& joined, Plan plan);

  std::deque<CounterCell> cells_;
};

// Calls `test` for every pairing of families and every mode, each named in the log of a failure.
void for_each_plan(const std::function<void(Plan)>& test);
void for_each_mode(const std::function<void(Mode)>& test);
std::string name(Mode mode);
std::string name(EndReason reason);

}  // namespace millrace::test
