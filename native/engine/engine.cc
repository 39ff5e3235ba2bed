#include "engine.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace millrace {

namespace {

Millis deadline_from_now(const Syscalls& sys, Millis wait) { return wait > kNever / 2 ? kNever : sys.clock() + wait; }

}  // namespace

Engine::Engine(EngineOptions options) : options_(options), state_(*options.sys) {}

Engine::~Engine() { stop(); }

int Engine::start() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    if (limit.rlim_cur < limit.rlim_max) {
      rlimit raised = limit;
      raised.rlim_cur = limit.rlim_max;
      if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    // An eighth, 64 at most: descriptors are handed out lowest first, so a high number means that nearly all are taken.
    const auto most = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
    state_.fd_reserve = most - std::min(64, most / 8);
  }
  probe_splice();
  state_.paced = paces(state_.sys);
  for (uint32_t i = 0; i < options_.workers; ++i) state_.workers.push_back(std::make_unique<Worker>(state_, i));
  for (auto& worker : state_.workers) {
    if (const int error = options_.threads ? worker->start() : worker->open(); error != 0) {
      stop();
      return error;
    }
  }
  return 0;
}

void Engine::stop() {
  const std::lock_guard lock(stop_mutex_);
  for (auto& worker : state_.workers) worker->stop();
}

// gVisor and seccomp profiles refuse splice altogether: found out once, on one byte.
void Engine::probe_splice() {
  const Syscalls& sys = state_.sys;
  int pair[2];
  int pipe[2];
  if (sys.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return;
  if (sys.pipe2(pipe, O_CLOEXEC | O_NONBLOCK) == 0) {
    const auto splice = [&](int from, int to) {
      return uninterrupted([&] { return sys.splice(from, to, 1, SPLICE_F_NONBLOCK); }) == 1;
    };
    state_.splice_works = uninterrupted([&] { return sys.write(pair[0], "m", 1); }) == 1 && splice(pair[1], pipe[1]) &&
                          splice(pipe[0], pair[1]);
    sys.close(pipe[0]);
    sys.close(pipe[1]);
  }
  sys.close(pair[0]);
  sys.close(pair[1]);
}

bool Engine::post(EndpointId id, Command command) {
  const std::lock_guard lock(state_.registry.mutex());
  const int owner = state_.registry.owner(id);
  if (owner < 0) return false;
  state_.workers[static_cast<size_t>(owner)]->post(std::move(command));
  return true;
}

EndpointId Engine::dial(std::shared_ptr<Client> client, const SocketAddress& address, Millis timeout) {
  const uint32_t worker = next_worker();
  const std::lock_guard lock(state_.registry.mutex());
  const EndpointId id = state_.registry.allocate(worker);
  if (id != 0) state_.workers[worker]->post(DialCommand{id, std::move(client), address, deadline_from_now(state_.sys, timeout)});
  return id;
}

EndpointId Engine::adopt(std::shared_ptr<Client> client, int fd, int& error, Wake wake, PackedAddress* addresses) {
  const Syscalls& sys = state_.sys;
  SocketAddress local;
  const int flags = sys.fcntl(fd, F_GETFL, 0);
  error = 0;
  // A blocking socket would block its worker: SPLICE_F_NONBLOCK covers the pipe's side only.
  if (sys.getsockname(fd, local.get(), local.reset()) != 0 || flags < 0 ||
      ((flags & O_NONBLOCK) == 0 && sys.fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) {
    error = errno;
  } else if (fd >= state_.fd_reserve) {
    error = EMFILE;
  }
  if (error != 0) {
    sys.close(fd);
    return 0;
  }
  bool unpaced = false;
  if (addresses) {
    SocketAddress remote;
    addresses[0] = local.pack();
    // A connection that is gone has none.
    if (sys.getpeername(fd, remote.get(), remote.reset()) == 0) {
      addresses[1] = remote.pack();
      unpaced = state_.paced && remote.is_loopback();
    } else addresses[1] = {.family = addresses[0].family, .port = 0, .scope = 0, .bytes = {}, .unused = {}};
  }
  if (local.is_tcp()) set_no_delay(sys, fd);
  const uint32_t worker = next_worker();
  const std::lock_guard lock(state_.registry.mutex());
  const EndpointId id = state_.registry.allocate(worker);
  if (id == 0) {
    error = EMFILE;
    sys.close(fd);
    return 0;
  }
  auto endpoint = std::make_unique<Endpoint>(id, std::move(client), sys, fd, local.is_tcp(), Endpoint::Stage::Open);
  endpoint->owe_options(unpaced);
  state_.workers[worker]->post(AdoptCommand{std::move(endpoint)}, wake);
  return id;
}

void Engine::wake() {
  for (const auto& worker : state_.workers) worker->wake_if_wanted();
}

void Engine::read(EndpointId id, size_t max, Millis deadline) {
  post(id, ReadCommand{id, max, deadline_from_now(state_.sys, deadline)});
}

void Engine::write(EndpointId id, std::vector<uint8_t> bytes) { post(id, WriteCommand{id, std::move(bytes)}); }

void Engine::flush(EndpointId id) { post(id, FlushCommand{id}); }

void Engine::destroy(EndpointId id, bool reset) { post(id, DestroyCommand{id, reset}); }

void Engine::release(EndpointId id) { post(id, ReleaseCommand{id}); }

void Engine::secure(EndpointId id, std::unique_ptr<SecureSpec> spec, Millis timeout) {
  spec->deadline = deadline_from_now(state_.sys, timeout);
  post(id, SecureCommand{id, std::move(spec)});
}

void Engine::lane(EndpointId id, LaneRole role, std::vector<uint8_t> head) {
  post(id, LaneCommand{id, role, std::move(head)});
}

void Engine::open(EndpointId id, std::vector<uint8_t> start, std::vector<uint8_t> bytes) {
  post(id, OpenCommand{id, std::move(start), std::move(bytes)});
}

void Engine::leave(EndpointId id, bool reset) { post(id, LeaveCommand{id, reset}); }

void Engine::join(std::unique_ptr<JoinSpec> spec) {
  const EndpointId a = spec->a;
  const EndpointId b = spec->b;
  const std::lock_guard lock(state_.registry.mutex());
  const int home = state_.registry.owner(a);
  const int away = state_.registry.owner(b);
  const auto worker = [this](int owner) -> Worker& { return *state_.workers[static_cast<size_t>(std::max(owner, 0))]; };
  if (home < 0 || away < 0 || home == away) {
    // Where a side is gone, the other's worker reports the end of a join that can't begin.
    return worker(home < 0 ? away : home).post(JoinCommand{a, std::move(spec)});
  }
  // Both within one critical section: no later command for either side is carried out before the join begins.
  worker(home).post(AwaitCommand{a});
  worker(away).post(FetchCommand{b, static_cast<uint32_t>(home), std::move(spec)});
}

void Engine::join_to(std::unique_ptr<JoinSpec> spec, const SocketAddress& address, Millis timeout) {
  const EndpointId a = spec->a;
  const Millis deadline = deadline_from_now(state_.sys, timeout);
  const std::lock_guard lock(state_.registry.mutex());
  const auto home = static_cast<uint32_t>(std::max(state_.registry.owner(a), 0));
  // 0 when all are taken: the worker reports what can't begin.
  spec->b = state_.registry.allocate(home);
  state_.workers[home]->post(JoinToCommand{a, address, deadline, std::move(spec)});
}

void Engine::abort(EndpointId a) { post(a, AbortCommand{a}); }

void Engine::finish(EndpointId a, bool a_to_b, bool fin) { post(a, FinishCommand{a, a_to_b, fin}); }

void Engine::detach(Client& client) {
  client.close();
  const auto done = std::make_shared<Countdown>(state_.workers.size());
  for (auto& worker : state_.workers) {
    worker->post(DetachCommand{&client, done});
    worker->wake_if_asleep();
  }
  if (!options_.threads) {
    for (auto& worker : state_.workers) worker->turn();
  }
  done->wait();
}

void Engine::publish(const Client& client, std::atomic<uint64_t>* rows) {
  for (auto& worker : state_.workers) worker->post(PublishCommand{&client, rows});
}

EngineStats Engine::stats() {
  EngineStats total;
  {
    const std::lock_guard lock(state_.registry.mutex());
    total.endpoints = state_.registry.live();
  }
  total.workers = static_cast<uint32_t>(state_.workers.size());
  total.splice_works = state_.splice_works;
  total.listeners = listeners_.load(std::memory_order_relaxed);
  for (const auto& worker : state_.workers) {
    const WorkerStats& stats = worker->stats;
    total.joins += static_cast<int64_t>(stats[Stat::JoinsNow]);
    total.pipes += static_cast<int64_t>(stats[Stat::PipesLeased] + stats[Stat::PipesPooled]);
    for (size_t i = 0; i < total.fallbacks.size(); ++i) {
      total.fallbacks[i] += stats[static_cast<Fallback>(i)];
    }
  }
  return total;
}

}  // namespace millrace
