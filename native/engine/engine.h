// The native data plane: a set of workers and the calls that clients make. Knows sockets and joins; knows nothing of
// Node, of tunnels or of HTTP. Every call is asynchronous unless it says otherwise, may come from any thread, and a
// call for an id that is gone does nothing.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "worker.h"

namespace millrace {

struct EngineOptions {
  const Syscalls* sys = &kernel_syscalls();
  // 1 to 64.
  uint32_t workers = 1;
  // False: they have no threads, and make a turn when turn() is called.
  bool threads = true;
};

struct EngineStats {
  uint32_t workers = 0;
  bool splice_works = false;
  int64_t endpoints = 0;
  int64_t joins = 0;
  int64_t listeners = 0;
  int64_t pipes = 0;
  std::array<uint64_t, static_cast<size_t>(Fallback::kCount)> fallbacks{};
};

struct ListenRequest {
  SocketAddress address;
  int backlog = 4096;
  int64_t max_endpoints = 0;  // 0 = no limit
  std::string unlink_path;    // unix: removed when the listener closes
  // A socket that listens already, which is taken over, closed on failure too; `address` and `unlink_path` don't count.
  int fd = -1;
};

struct Listening {
  ListenerId id = 0;
  PackedAddress local{};
};

class Engine {
 public:
  explicit Engine(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Raises the soft descriptor limit to the hard one, probes splice, starts the workers. errno, 0 when all run.
  int start();
  // Stops and joins the workers; idempotent, from any thread. Afterwards no event comes any more.
  void stop();
  // For engines without threads: one turn of one worker, which waits in epoll_wait like any other.
  void turn(uint32_t worker) { state_.workers[worker]->turn(); }

  // Synchronous: errno, 0 when it listens.
  int listen(const std::shared_ptr<Client>& client, const ListenRequest& request, Listening& listening);
  // `leave`: another process has the socket and goes on, so that what is queued is left to it, and so is a unix path.
  void unlisten(ListenerId listener, bool leave = false);
  // A second descriptor of its socket, or -errno.
  int duplicate(ListenerId listener);
  // Connections that its limit has refused; 0 once it is closed.
  uint64_t refused(ListenerId listener);

  // 0 when all ids are taken; else the end of it is a Dialed event, after `timeout` at the latest.
  EndpointId dial(std::shared_ptr<Client> client, const SocketAddress& address, Millis timeout);
  // Takes `fd` over, closed on failure too; 0 with errno in `error` when it can't be used. `addresses` takes two, the local
  // and the remote one. `Later`: the worker hears of it with its next command, or of wake().
  EndpointId adopt(std::shared_ptr<Client> client, int fd, int& error, Wake wake = Wake::Now,
                   PackedAddress* addresses = nullptr);
  // Has the workers do what they have not heard of.
  void wake();

  // `deadline` is in milliseconds from now, kNever for none.
  void read(EndpointId id, size_t max, Millis deadline);
  void write(EndpointId id, std::vector<uint8_t> bytes);
  void flush(EndpointId id);
  void destroy(EndpointId id, bool reset);
  void release(EndpointId id);
  // Ends in one Secured event, or in Gone when it has come to its end before. `timeout` is from now.
  void secure(EndpointId id, std::unique_ptr<SecureSpec> spec, Millis timeout);
  // As Endpoint::request_lane().
  void lane(EndpointId id, LaneRole role, std::vector<uint8_t> head);
  // Begins a visit on a lane that opens them, outside of a join; `bytes` are its first.
  void open(EndpointId id, std::vector<uint8_t> start, std::vector<uint8_t> bytes);
  // Ends the visit of a lane that is in no join; `reset`: by RESET, else by END. A visit that was in a join with a direction
  // driven by the client is over only after this too: until then a command of the client's may be on its way to it.
  void leave(EndpointId id, bool reset);
  // Ends in exactly one JoinEnded event, whatever becomes of the endpoints.
  void join(std::unique_ptr<JoinSpec> spec);
  // The same, once a connection to `address` is there, which becomes side b (`spec.b` is set here).
  void join_to(std::unique_ptr<JoinSpec> spec, const SocketAddress& address, Millis timeout);
  void abort(EndpointId a);
  void finish(EndpointId a, bool a_to_b, bool fin);

  // Synchronous: afterwards nothing of the client is left, none of its counter cells is written and its doorbell is
  // never called again.
  void detach(Client& client);

  // Has the workers keep their statistics up to date in `rows`, which has kStatsRow words for each of them and must stay
  // until the client has been detached.
  void publish(const Client& client, std::atomic<uint64_t>* rows);
  // As it is now, for tests; endpoints and listeners of all clients.
  EngineStats stats();

 private:
  // Posts to the endpoint's owner; false when it is gone.
  bool post(EndpointId id, Command command);
  void probe_splice();
  // errno, 0 when it is bound.
  int open_listener(const ListenRequest& request, ListenSocket& socket);
  // errno, 0 when it is one that listens.
  int take_listener(ListenSocket& socket);
  // Null when it is gone. Under listen_mutex_.
  std::shared_ptr<ListenSocket> listener(ListenerId id);
  uint32_t next_worker() { return turn_.fetch_add(1, std::memory_order_relaxed) % static_cast<uint32_t>(state_.workers.size()); }

  EngineOptions options_;
  // Outlives the workers, whose listeners count it down.
  std::atomic<int64_t> listeners_{0};
  EngineState state_;
  std::mutex stop_mutex_;
  std::atomic<uint32_t> turn_{0};
  std::atomic<ListenerId> listener_ids_{0};
  std::mutex listen_mutex_;
  std::unordered_map<ListenerId, std::weak_ptr<ListenSocket>> listen_sockets_;
};

}  // namespace millrace
