// How a worker carries its commands out.
#include <cerrno>

#include "worker.h"

namespace millrace {

namespace {

// The endpoint that a command is for, 0 for none. It must be found on this worker, or the command is passed on.
EndpointId target(const Command& command) {
  return std::visit(
      [](const auto& c) -> EndpointId {
        using T = std::decay_t<decltype(c)>;
        if constexpr (std::is_same_v<T, DialCommand>) return 0;
        else if constexpr (requires { c.id; }) return c.id;
        else return 0;
      },
      command);
}

}  // namespace

std::vector<Command> Worker::take_commands(EndpointId id) {
  std::vector<Command> taken;
  const auto take = [&](std::vector<Command>& commands, size_t from) {
    for (size_t i = from; i < commands.size();) {
      if (target(commands[i]) != id) {
        ++i;
        continue;
      }
      taken.push_back(std::move(commands[i]));
      commands.erase(commands.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  take(turn_, turn_next_);
  const std::lock_guard lock(inbox_mutex_);
  take(inbox_, 0);
  return taken;
}

Endpoint* Worker::find(EndpointId id) {
  const auto found = endpoints_.find(id);
  return found == endpoints_.end() ? nullptr : found->second.get();
}

bool Worker::forward(Command& command) {
  const EndpointId id = target(command);
  if (id == 0 || find(id)) return false;
  const std::lock_guard lock(engine_.registry.mutex());
  const int owner = engine_.registry.owner(id);
  if (owner < 0 || owner == static_cast<int>(index_)) return false;
  engine_.workers[static_cast<size_t>(owner)]->post(std::move(command));
  return true;
}

void Worker::dispatch(Command& command) {
  if (forward(command)) return;
  Endpoint* endpoint = find(target(command));
  if (endpoint && endpoint->stage() == Endpoint::Stage::Waiting) {
    const bool ends = std::holds_alternative<AbortCommand>(command) || std::holds_alternative<DestroyCommand>(command);
    if (ends && endpoint->dialed() != 0) return cancel_dial(*endpoint, EndReason::Aborted, 0);
    parked_[endpoint->id()].push_back(std::move(command));
    return;
  }
  std::visit([this](auto& c) { handle(c); }, command);
}

int Worker::open_connection(const SocketAddress& address, bool owes_options) {
  const int fd = sys.socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const auto give_up = [&](int error) {
    sys.close(fd);
    return -error;
  };
  if (reserve_reached(fd)) return give_up(EMFILE);
  if (address.is_tcp()) {
    if (owes_options) set_no_delay(sys, fd);
    else set_tcp_options(sys, fd);
    // Before the connection is there: a socket that has begun to pace goes on, whatever comes after BBR.
    if (paced && address.is_loopback()) set_unpaced(sys, fd);
  }
  const auto connect = [&] { return sys.connect(fd, address.get(), address.length()); };
  // EALREADY and EISCONN: what was interrupted goes on by itself.
  if (uninterrupted(connect) == 0 || errno == EINPROGRESS || errno == EALREADY || errno == EISCONN) return fd;
  return give_up(errno);
}

void Worker::release_id(EndpointId id) {
  const std::lock_guard lock(engine_.registry.mutex());
  engine_.registry.release(id);
}

void Worker::handle(DialCommand& command) {
  const bool tcp = command.address.is_tcp();
  stats.add(Stat::Dials);
  const int fd = command.client->closed() ? -ECANCELED : open_connection(command.address, false);
  if (fd < 0) {
    release_id(command.id);
    stats.add(Stat::DialsFailed);
    EventRecord record{};
    record.type = EventType::Dialed;
    record.code = static_cast<uint32_t>(-fd);
    record.id = static_cast<double>(command.id);
    return emit(*command.client, record);
  }
  auto endpoint = std::make_unique<Endpoint>(command.id, std::move(command.client), sys, fd, tcp, Endpoint::Stage::Connecting);
  Endpoint& added = *endpoint;
  added.set_deadline(command.deadline);
  stats.add(Stat::EndpointsBorn);
  add(std::move(endpoint));
  if (added.stage() == Endpoint::Stage::Connecting) wheel.arm(added.timer(), command.deadline);
}

void Worker::handle(JoinToCommand& command) {
  const EndpointId id = command.spec->b;
  Endpoint* const a = find(command.id);
  const bool usable =
      a && a->stage() == Endpoint::Stage::Open && a->socket.error() == 0 && !command.spec->client->closed();
  const int fd = !usable ? -ECONNRESET : id == 0 ? -EMFILE : open_connection(command.address, true);
  if (usable) stats.add(Stat::Dials);
  if (fd < 0) {
    if (usable) stats.add(Stat::DialsFailed);
    if (id != 0) release_id(id);
    return refuse_join(std::move(command.spec), usable ? EndReason::Unreachable : EndReason::Reset, -fd);
  }
  const bool tcp = command.address.is_tcp();
  {
    // Side a may have moved since the call.
    const std::lock_guard lock(engine_.registry.mutex());
    engine_.registry.move(id, index_);
  }
  auto endpoint = std::make_unique<Endpoint>(id, command.spec->client, sys, fd, tcp, Endpoint::Stage::Connecting);
  Endpoint& b = *endpoint;
  b.owe_options(false);
  b.join_when_connected(std::move(command.spec));
  b.set_deadline(command.deadline);
  a->wait_for_join(id);
  stats.add(Stat::EndpointsBorn);
  add(std::move(endpoint));
  if (b.stage() == Endpoint::Stage::Connecting) wheel.arm(b.timer(), command.deadline);
}

void Worker::begin_awaited(std::unique_ptr<JoinSpec> spec) {
  auto parked = parked_.extract(spec->a);
  if (Endpoint* a = find(spec->a)) a->forget_dial();
  begin(std::move(spec));
  if (!parked) return;
  for (Command& waiting : parked.mapped()) dispatch(waiting);
}

void Worker::refuse_join(std::unique_ptr<JoinSpec> spec, EndReason reason, int error) {
  auto parked = parked_.extract(spec->a);
  Endpoint* const a = find(spec->a);
  if (a && a->dialed() == spec->b) a->forget_dial();
  if (a && !a->socket.lane()) a->destroy(true);
  if (spec->client->closed()) return;
  stats.add(Stat::JoinsBegun);
  // Side b is gone without an event of its own.
  report_unjoined(*this, *spec, reason, error, 1);
  if (a && a->socket.lane()) a->turn_away(LaneReset::Unreachable);
  if (!parked) return;
  // Among them may be another join that was to have side a, which must come to its end as well.
  for (Command& waiting : parked.mapped()) dispatch(waiting);
}

void Worker::cancel_dial(Endpoint& a, EndReason reason, int error) {
  Endpoint* const b = find(a.dialed());
  if (!b) return;
  auto spec = b->take_spec();
  // It may be connected by now: its peer must not take this for an orderly end.
  b->close_now(true);
  refuse_join(std::move(spec), reason, error);
}

void Worker::handle(AdoptCommand& command) {
  if (command.endpoint->client()->closed()) return release_id(command.endpoint->id());
  stats.add(Stat::EndpointsBorn);
  adopted_.push_back(command.endpoint->id());
  add(std::move(command.endpoint));
}

void Worker::handle(ReadCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->request_read(command.max, command.deadline);
}

void Worker::handle(WriteCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->write(command.bytes);
}

void Worker::handle(FlushCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->request_flush();
}

void Worker::handle(DestroyCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->destroy(command.reset);
}

void Worker::handle(ReleaseCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->request_release();
}

void Worker::handle(SecureCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->request_secure(std::move(command.spec));
}

void Worker::handle(LaneCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->request_lane(command.role, command.head);
}

void Worker::handle(OpenCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->open_visit(command.start, command.bytes);
}

void Worker::handle(LeaveCommand& command) {
  if (Endpoint* endpoint = find(command.id)) endpoint->let_go(command.reset);
}

void Worker::handle(AbortCommand& command) {
  if (const auto found = joins_.find(command.id); found != joins_.end()) found->second->abort(EndReason::Aborted);
}

void Worker::handle(FinishCommand& command) {
  if (const auto found = joins_.find(command.id); found != joins_.end()) found->second->finish(command.a_to_b, command.fin);
}

void Worker::handle(JoinCommand& command) { begin(std::move(command.spec)); }

void Worker::handle(AwaitCommand& command) {
  Endpoint* endpoint = find(command.id);
  if (endpoint && endpoint->stage() == Endpoint::Stage::Open) endpoint->wait_for_join();
}

void Worker::begin(std::unique_ptr<JoinSpec> spec) {
  Endpoint* a = find(spec->a);
  Endpoint* b = find(spec->b);
  const bool opens = !spec->open.empty();
  spec->opens = opens;
  const auto usable = [opens](const Endpoint* endpoint) {
    return endpoint && endpoint->ready_to_join(opens) &&
           (endpoint->stage() == Endpoint::Stage::Open ||
            (endpoint->stage() == Endpoint::Stage::Waiting && endpoint->dialed() == 0));
  };
  if (opens && usable(a) && !a->socket.lane() && a != b && !usable(b)) return keep_visitor(*spec, *a, b);
  if (!usable(a) || !usable(b) || a == b) {
    for (Endpoint* side : {a, b}) {
      if (side && !side->socket.lane()) side->destroy(true);
    }
    if (spec->client->closed()) return;
    stats.add(Stat::JoinsBegun);
    report_unjoined(*this, *spec, EndReason::Reset, ECONNRESET);
    const bool driven = spec->a_to_b.caller_driven || spec->b_to_a.caller_driven;
    for (Endpoint* side : {a, b}) {
      if (side && side->socket.lane()) side->turn_away(LaneReset::GivenUp, driven);
    }
    return;
  }
  stats.add(Stat::JoinsBegun);
  stats.add(Stat::JoinsNow);
  const EndpointId key = spec->a;
  for (Endpoint* side : {a, b}) {
    if (!opens || !side->opens_visits()) continue;
    side->socket.lane()->open(spec->open);
    stats.add(Stat::LanesVisits);
  }
  auto join = std::make_unique<Join>(*this, std::move(*spec), *a, *b);
  enqueue(*join);
  joins_[key] = std::move(join);
}

// Nothing of the visitor has been taken: it can go on another lane.
void Worker::keep_visitor(const JoinSpec& spec, Endpoint& visitor, Endpoint* lane) {
  stats.add(Stat::JoinsBegun);
  report_unjoined(*this, spec, EndReason::Unreachable, ECONNRESET);
  visitor.stay();
  if (lane) lane->turn_away(LaneReset::GivenUp);
}

void Worker::handle(FetchCommand& command) {
  auto deliver = std::make_unique<DeliverCommand>();
  deliver->spec = std::move(command.spec);
  Worker& to = *engine_.workers[command.to];
  Endpoint* const endpoint = find(command.id);
  // One whose events still came here must not live elsewhere.
  if (endpoint && endpoint->stage() == Endpoint::Stage::Open && unwatch(endpoint->socket.fd()) == 0) {
    wheel.cancel(endpoint->timer());
    const auto found = endpoints_.find(command.id);
    deliver->endpoint = std::move(found->second);
    endpoints_.erase(found);
    stats.subtract(Stat::EndpointsNow);
    deliver->endpoint->attach(nullptr);
  } else if (endpoint) {
    endpoint->destroy(true);
  }
  // One critical section, so that no command for the endpoint can overtake another.
  const std::lock_guard lock(engine_.registry.mutex());
  if (deliver->endpoint) {
    deliver->trailing = take_commands(command.id);
    engine_.registry.move(command.id, command.to);
  }
  to.post(std::move(deliver));
}

void Worker::handle(std::unique_ptr<DeliverCommand>& command) {
  // Taken also when nothing comes of the join.
  auto parked = parked_.extract(command->spec->a);
  if (command->spec->client->closed()) {
    if (command->endpoint) release_id(command->endpoint->id());
    return;
  }
  if (command->endpoint) add(std::move(command->endpoint));
  begin(std::move(command->spec));
  for (Command& trailing : command->trailing) dispatch(trailing);
  if (!parked) return;
  for (Command& waiting : parked.mapped()) dispatch(waiting);
}

void Worker::handle(ListenCommand& command) {
  if (command.socket->client->closed()) return;
  const ListenerId id = command.socket->id;
  auto listener = std::make_unique<Listener>(*this, std::move(command.socket));
  listener->begin();
  listeners_[id] = std::move(listener);
}

void Worker::handle(UnlistenCommand& command) {
  const auto found = listeners_.find(command.listener);
  if (found == listeners_.end()) return;
  auto listener = std::move(found->second);
  listeners_.erase(found);
  listener->close(false);
  remove(std::move(listener));
}

void Worker::handle(DetachCommand& command) {
  const auto belongs = [&](const auto& entry) { return entry.second->client().get() == command.client; };
  // Ending one takes it out of its map: collect first.
  std::vector<Join*> joins;
  for (auto& entry : joins_) {
    if (belongs(entry)) joins.push_back(entry.second.get());
  }
  for (Join* join : joins) join->abort(EndReason::Aborted);
  std::vector<Endpoint*> endpoints;
  for (auto& entry : endpoints_) {
    if (belongs(entry)) endpoints.push_back(entry.second.get());
  }
  for (Endpoint* endpoint : endpoints) endpoint->close_now(false);
  for (auto entry = listeners_.begin(); entry != listeners_.end();) {
    if (!belongs(*entry)) {
      ++entry;
      continue;
    }
    entry->second->close(true);
    remove(std::move(entry->second));
    entry = listeners_.erase(entry);
  }
  std::erase(to_ring_, command.client);
  std::erase_if(rows_, [&](const Row& row) { return row.client == command.client; });
  end_turn();
  command.done->count_down();
}

void Worker::handle(PublishCommand& command) {
  if (!command.client->closed()) rows_.push_back({command.client, command.rows + index_ * kStatsRow});
}

void Worker::handle(StopCommand&) { stopping_ = true; }

}  // namespace millrace
