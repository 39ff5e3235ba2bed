#include "worker.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>

#include "wake_batch.h"

namespace millrace {

namespace {

constexpr uint32_t kDataEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
constexpr int kEventsPerTurn = 256;
constexpr int kHeldTurns = 4;
// Edge-triggered, so that nobody has to read it: each write is an edge.
constexpr uint32_t kWakeEvents = EPOLLIN | EPOLLET;
// How long a worker rests whose epoll refuses to wait, lest it run hot. Commands and timers still get their turn.
constexpr std::chrono::microseconds kRefusedWait{200};

}  // namespace

Worker::Worker(EngineState& engine, uint32_t index)
    : sys(engine.sys),
      pipes(engine.sys, stats, engine.fd_reserve),
      wheel(engine.sys.clock()),
      now(engine.sys.clock()),
      splice_works(engine.splice_works),
      paced(engine.paced),
      engine_(engine),
      index_(index),
      storage_(LaneLayer::kRoom + kBuffer) {
  buffer = std::span(storage_).subspan(LaneLayer::kRoom);
}

Worker::~Worker() {
  stop();
  // First, as they take their timers off the wheel, whose lists lead through joins and endpoints.
  listeners_.clear();
  joins_.clear();
  endpoints_.clear();
  rows_.clear();
  end_turn();
  if (wake_ >= 0) sys.close(wake_);
  if (epoll_ >= 0) sys.close(epoll_);
}

int Worker::open() {
  epoll_ = sys.epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return errno;
  wake_ = sys.eventfd(0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (wake_ < 0) return errno;
  epoll_event event{.events = kWakeEvents, .data = {.ptr = nullptr}};
  if (sys.epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) return errno;
  ended_ = false;
  return 0;
}

int Worker::start() {
  if (const int error = open(); error != 0) return error;
  // The thread inherits this mask: signals are the main thread's, and splice has no MSG_NOSIGNAL.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto run = [](void* self) -> void* {
    static_cast<Worker*>(self)->loop();
    return nullptr;
  };
  // Not std::thread, which throws when the system has no thread left.
  const int error = pthread_create(&thread_, nullptr, run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    finish();
    return error;
  }
  running_ = true;
  pthread_setname_np(thread_, "millrace");
  return 0;
}

void Worker::stop() {
  if (!running_) return finish();
  post(StopCommand{});
  wake_if_asleep();
  pthread_join(thread_, nullptr);
  running_ = false;
}

void Worker::post(Command command, Wake wake) {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (ended_) return decline(command);
    inbox_.push_back(std::move(command));
    if (!sleeping_ || wake == Wake::Later) return;
  }
  if (WakeBatch* batch = WakeBatch::current()) batch->add(*this);
  else wake_if_asleep();
}

void Worker::wake_if_wanted() {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (!sleeping_ || inbox_.empty()) return;
    sleeping_ = false;
  }
  wake();
}

void Worker::wake_if_asleep() {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (!sleeping_) return;
    sleeping_ = false;
  }
  wake();
}

void Worker::wake() {
  const uint64_t one = 1;
  if (uninterrupted([&] { return sys.write(wake_, &one, sizeof one); }) == sizeof one) return;
  // An eventfd is always writable: to ask for that is an edge as well.
  epoll_event event{.events = kWakeEvents | EPOLLOUT, .data = {.ptr = nullptr}};
  sys.epoll_ctl(epoll_, EPOLL_CTL_MOD, wake_, &event);
}

void Worker::loop() {
  while (!stopping_) turn();
  finish();
}

// Events for clients are held back while the sockets have more to say and no join is at work, for a few turns at most:
// clients then hear of them in batches, and where client and worker share a core they don't take it from each other
// for every single one.
bool Worker::hold_events() {
  if (to_ring_.empty()) return false;
  if (run_queue_.empty() && held_turns_ < kHeldTurns) {
    ++held_turns_;
    return true;
  }
  ring_clients();
  return false;
}

void Worker::ring_clients() {
  for (Client* client : to_ring_) {
    if (client->ring()) stats.add(Stat::Doorbells);
  }
  to_ring_.clear();
  held_turns_ = 0;
}

void Worker::turn() {
  const bool holds = hold_events();
  int timeout = !busy() && !holds ? wheel.timeout(sys.clock()) : 0;
  if (timeout != 0) {
    const std::lock_guard lock(inbox_mutex_);
    if (inbox_.empty()) sleeping_ = true;
    else timeout = 0;
  }
  if (timeout != 0) publish();
  epoll_event events[kEventsPerTurn];
  const int count = sys.epoll_wait(epoll_, events, kEventsPerTurn, timeout);
  if (count < 0) std::this_thread::sleep_for(kRefusedWait);
  if (count <= 0) ring_clients();
  now = sys.clock();
  stats.add(Stat::Turns);
  if (timeout != 0) stats.add(Stat::Sleeps);
  if (count > 0) stats.add(Stat::Events, static_cast<uint64_t>(count));
  take_inbox();
  for (int i = 0; i < count; ++i) {
    if (auto* target = static_cast<Pollable*>(events[i].data.ptr)) target->on_ready(events[i].events);
  }
  run_commands();
  wheel.advance(now);
  run_joins();
  run_step();
  end_turn();
}

void Worker::finish() {
  const std::lock_guard lock(inbox_mutex_);
  ended_ = true;
  for (Command& command : inbox_) decline(command);
}

// Nobody will carry it out; whoever waits for it must not wait for ever.
void Worker::decline(Command& command) {
  if (const auto* detach = std::get_if<DetachCommand>(&command)) detach->done->count_down();
}

void Worker::take_inbox() {
  const std::lock_guard lock(inbox_mutex_);
  sleeping_ = false;
  turn_.swap(inbox_);
}

void Worker::run_commands() {
  stats.add(Stat::Commands, turn_.size());
  for (turn_next_ = 0; turn_next_ < turn_.size();) {
    Command command = std::move(turn_[turn_next_++]);
    dispatch(command);
  }
  turn_.clear();
  turn_next_ = 0;
  // Those that no join has taken: nothing says how long they will live.
  for (const EndpointId id : adopted_) {
    Endpoint* const endpoint = find(id);
    if (endpoint && endpoint->stage() == Endpoint::Stage::Open) endpoint->pay_options();
  }
  adopted_.clear();
}

void Worker::enqueue(Join& join) {
  if (join.queued) return;
  join.queued = true;
  run_queue_.push_back(&join);
}

// Once around: whoever used up its budget waits until epoll has been asked again.
void Worker::run_joins() {
  visited_.swap(run_queue_);
  stats.add(Stat::Visits, visited_.size());
  for (Join* join : visited_) {
    join->queued = false;
    if (join->run()) enqueue(*join);
  }
  visited_.clear();
}

void Worker::enqueue(Endpoint& endpoint) {
  if (!endpoint.queued) steps_.push_back(endpoint.id());
  endpoint.queued = true;
}

// One step for each turn: a signature takes as long as hundreds of visits, and joins must not wait for several.
void Worker::run_step() {
  if (steps_.empty()) return;
  Endpoint* const endpoint = find(steps_.front());
  steps_.pop_front();
  if (!endpoint) return;
  endpoint->queued = false;
  endpoint->step();
}

TlsScratch& Worker::tls_scratch() {
  if (!tls_scratch_) tls_scratch_ = std::make_unique<TlsScratch>();
  return *tls_scratch_;
}

void Worker::end_turn() {
  if (!dead_joins_.empty()) {
    std::erase_if(run_queue_, [this](Join* join) {
      return std::any_of(dead_joins_.begin(), dead_joins_.end(), [join](const auto& dead) { return dead.get() == join; });
    });
    dead_joins_.clear();
  }
  if (now - published_at_ >= kPublish) publish();
  dead_endpoints_.clear();
  dead_listeners_.clear();
}

void Worker::publish() {
  published_at_ = now;
  for (const Row& row : rows_) stats.copy_to(row.words);
}

int Worker::watch(int fd, Pollable& target, uint32_t events) {
  epoll_event event{.events = events, .data = {.ptr = &target}};
  return uninterrupted([&] { return sys.epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event); }) == 0 ? 0 : errno;
}

int Worker::unwatch(int fd) {
  epoll_event unused{};
  const int result = uninterrupted([&] { return sys.epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, &unused); });
  return result == 0 || errno == ENOENT ? 0 : errno;
}

void Worker::emit(Client& client, const EventRecord& record, std::vector<uint8_t> payload) {
  stats.add(Stat::Records);
  // Whoever hears of an event finds it in the statistics, also who is at his queue already.
  publish();
  client.push(record, std::move(payload));
  if (client.closed()) return;
  if (std::find(to_ring_.begin(), to_ring_.end(), &client) == to_ring_.end()) to_ring_.push_back(&client);
}

std::unique_ptr<Endpoint> Worker::create(std::shared_ptr<Client> client, int fd, bool tcp, Endpoint::Stage stage) {
  EndpointId id;
  {
    const std::lock_guard lock(engine_.registry.mutex());
    id = engine_.registry.allocate(index_);
  }
  if (id == 0) return nullptr;
  return std::make_unique<Endpoint>(id, std::move(client), sys, fd, tcp, stage);
}

void Worker::add(std::unique_ptr<Endpoint> endpoint) {
  Endpoint& added = *endpoint;
  added.attach(this);
  endpoints_[added.id()] = std::move(endpoint);
  stats.add(Stat::EndpointsNow);
  // An endpoint that can't be watched would hang for ever.
  if (const int error = watch(added.socket.fd(), added, kDataEvents); error != 0) added.destroy(true, error);
}

void Worker::remove(Endpoint& endpoint) {
  wheel.cancel(endpoint.timer());
  {
    const std::lock_guard lock(engine_.registry.mutex());
    engine_.registry.release(endpoint.id());
  }
  if (!parked_.empty()) parked_.erase(endpoint.id());
  const auto found = endpoints_.find(endpoint.id());
  if (found == endpoints_.end()) return;
  stats.subtract(Stat::EndpointsNow);
  dead_endpoints_.push_back(std::move(found->second));
  endpoints_.erase(found);
  if (paused_listeners == 0) return;
  for (auto& [id, listener] : listeners_) listener->resume();
}

void Worker::remove(std::unique_ptr<Listener> listener) {
  (listener->unwatched() ? dead_listeners_ : stuck_listeners_).push_back(std::move(listener));
}

void Worker::remove(Join& join) {
  const auto found = joins_.find(join.key());
  if (found == joins_.end()) return;
  stats.subtract(Stat::JoinsNow);
  dead_joins_.push_back(std::move(found->second));
  joins_.erase(found);
}

}  // namespace millrace
