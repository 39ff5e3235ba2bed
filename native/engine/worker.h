// One thread with an epoll of its own, and everything that lives on it: endpoints, joins, its part in each listener,
// timers, pipes and the copy buffer. Nothing of it is touched by another thread but the inbox and the counters.
#pragma once

#include <pthread.h>

#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "command.h"
#include "wake_batch.h"

namespace millrace {

// What the workers of one engine share.
struct EngineState {
  explicit EngineState(const Syscalls& table) : sys(table) {}

  const Syscalls& sys;
  Registry registry;
  std::vector<std::unique_ptr<Worker>> workers;
  bool splice_works = false;
  bool paced = false;  // set_unpaced is worth its call
  // Descriptors from this number on are the reserve that only control connections and files may touch.
  int fd_reserve = 1 << 30;
};

class Worker {
 public:
  // 64 KiB measured worst, 256 KiB to 1 MiB best; 256 KiB still fits the cache.
  static constexpr size_t kBuffer = 256 << 10;
  // TLS handshakes under way. One that has heard of its peer holds some 20 KiB.
  static constexpr uint64_t kMaxHandshakes = 4096;
  // How old the statistics of a busy worker may be.
  static constexpr Millis kPublish = 10;

  Worker(EngineState& engine, uint32_t index);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // errno; 0 when the thread runs.
  int start();
  // The same without a thread: whoever calls this calls turn() as well. Tests do, to decide what happens between turns.
  int open();
  // Waits for events until the next timer, then does all that is due.
  void turn();
  void stop();

  // Any thread. The worker wakes up at once or at the end of the calling thread's WakeBatch, unless told to wake later.
  void post(Command command, Wake wake = Wake::Now);
  // Any thread. For what was posted to be done later.
  void wake_if_wanted();
  // Any thread. Whoever blocks until a command has been carried out calls it after the post.
  void wake_if_asleep();
  // Any thread, with the registry's mutex held: takes the commands for `id` out of the inbox.
  std::vector<Command> take_commands(EndpointId id);

  // The rest is for what lives on this worker.
  const Syscalls& sys;
  WorkerStats stats;
  PipePool pipes;
  TimerWheel wheel;
  Millis now;
  Millis last_message = 0;  // when a direction that doesn't stream last moved bytes
  const bool splice_works;
  const bool paced;
  std::span<uint8_t> buffer;
  int paused_listeners = 0;

  int watch(int fd, Pollable& target, uint32_t events);
  // errno; 0 when no event of it comes any more.
  int unwatch(int fd);
  void emit(Client& client, const EventRecord& record, std::vector<uint8_t> payload = {});
  void enqueue(Join& join);
  void enqueue(Endpoint& endpoint);
  // Made on first use.
  TlsScratch& tls_scratch();
  // Null when no id is left.
  std::unique_ptr<Endpoint> create(std::shared_ptr<Client> client, int fd, bool tcp, Endpoint::Stage stage);
  // Takes an endpoint in and watches it.
  void add(std::unique_ptr<Endpoint> endpoint);
  // Frees at the end of the turn.
  void remove(Endpoint& endpoint);
  void remove(Join& join);
  void remove(std::unique_ptr<Listener> listener);
  // Begins a join for which side a has waited.
  void begin_awaited(std::unique_ptr<JoinSpec> spec);
  // Ends one whose side b could not be connected: side a is reset.
  void refuse_join(std::unique_ptr<JoinSpec> spec, EndReason reason, int error);
  // Gives up the dial for which side a waits.
  void cancel_dial(Endpoint& a, EndReason reason, int error);
  bool reserve_reached(int fd) const { return fd >= engine_.fd_reserve; }

 private:
  void wake();
  void loop();
  void finish();
  static void decline(Command& command);
  void run_joins();
  void run_step();
  bool busy() const { return !run_queue_.empty() || !steps_.empty(); }
  void take_inbox();
  void run_commands();
  bool forward(Command& command);
  void end_turn();
  void publish();

  Endpoint* find(EndpointId id);
  // Connects to `address`: a descriptor (connected or on its way), or -errno. `owes_options`: as Endpoint says.
  int open_connection(const SocketAddress& address, bool owes_options);
  void release_id(EndpointId id);
  void ring_clients();
  bool hold_events();
  void handle(DialCommand& command);
  void handle(JoinToCommand& command);
  void handle(AdoptCommand& command);
  void handle(ReadCommand& command);
  void handle(WriteCommand& command);
  void handle(FlushCommand& command);
  void handle(DestroyCommand& command);
  void handle(ReleaseCommand& command);
  void handle(SecureCommand& command);
  void handle(LaneCommand& command);
  void handle(OpenCommand& command);
  void handle(LeaveCommand& command);
  void handle(AbortCommand& command);
  void handle(FinishCommand& command);
  void handle(JoinCommand& command);
  void handle(AwaitCommand& command);
  void handle(FetchCommand& command);
  void handle(std::unique_ptr<DeliverCommand>& command);
  void handle(ListenCommand& command);
  void handle(UnlistenCommand& command);
  void handle(DetachCommand& command);
  void handle(PublishCommand& command);
  void handle(StopCommand& command);
  void dispatch(Command& command);
  void begin(std::unique_ptr<JoinSpec> spec);
  void keep_visitor(const JoinSpec& spec, Endpoint& visitor, Endpoint* lane);

  EngineState& engine_;
  const uint32_t index_;
  int epoll_ = -1;
  int wake_ = -1;
  pthread_t thread_{};
  bool running_ = false;
  std::vector<uint8_t> storage_;
  std::unique_ptr<TlsScratch> tls_scratch_;
  bool stopping_ = false;

  std::mutex inbox_mutex_;
  std::vector<Command> inbox_;
  bool sleeping_ = false;
  bool ended_ = true;  // there is no thread that would carry a command out
  std::vector<EndpointId> adopted_;  // in this turn
  std::vector<Command> turn_;  // the commands of this turn, from turn_next_ on still to be done
  size_t turn_next_ = 0;

  std::unordered_map<EndpointId, std::unique_ptr<Endpoint>> endpoints_;
  std::unordered_map<EndpointId, std::unique_ptr<Join>> joins_;  // by the id of side a
  std::unordered_map<ListenerId, std::unique_ptr<Listener>> listeners_;
  // Commands for endpoints that wait for the other side of their join: what a client says of a join counts from the
  // call on, not from the other side's arrival.
  std::unordered_map<EndpointId, std::vector<Command>> parked_;
  std::vector<Join*> run_queue_;
  std::vector<Join*> visited_;
  // Those with something to do, by id, as an endpoint may end meanwhile.
  std::deque<EndpointId> steps_;
  std::vector<Client*> to_ring_;
  int held_turns_ = 0;  // how many turns in a row they have been left waiting
  // Where clients read the statistics.
  struct Row {
    const Client* client;
    std::atomic<uint64_t>* words;
  };
  std::vector<Row> rows_;
  Millis published_at_ = 0;
  std::vector<std::unique_ptr<Endpoint>> dead_endpoints_;
  std::vector<std::unique_ptr<Join>> dead_joins_;
  std::vector<std::unique_ptr<Listener>> dead_listeners_;
  std::vector<std::unique_ptr<Listener>> stuck_listeners_;  // those whose events may still come
};

}  // namespace millrace
