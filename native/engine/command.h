// What a client, or another worker, asks of a worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "join.h"
#include "listener.h"

namespace millrace {

struct DialCommand {
  EndpointId id;
  std::shared_ptr<Client> client;
  SocketAddress address;
  Millis deadline;
};
// Connects, and joins what `id` names with it.
struct JoinToCommand {
  EndpointId id;
  SocketAddress address;
  Millis deadline;
  std::unique_ptr<JoinSpec> spec;
};
struct AdoptCommand {
  std::unique_ptr<Endpoint> endpoint;
};
struct ReadCommand {
  EndpointId id;
  size_t max;
  Millis deadline;
};
struct WriteCommand {
  EndpointId id;
  std::vector<uint8_t> bytes;
};
struct FlushCommand {
  EndpointId id;
};
struct DestroyCommand {
  EndpointId id;
  bool reset;
};
struct ReleaseCommand {
  EndpointId id;
};
struct SecureCommand {
  EndpointId id;
  std::unique_ptr<SecureSpec> spec;
};
struct LaneCommand {
  EndpointId id;
  LaneRole role;
  std::vector<uint8_t> head;
};
// Begins a visit without a join; `bytes` are its first.
struct OpenCommand {
  EndpointId id;
  std::vector<uint8_t> start;
  std::vector<uint8_t> bytes;
};
// Ends a lane's visit that is in no join, or lets go of one whose join the client had a part in.
struct LeaveCommand {
  EndpointId id;
  bool reset;
};
// Ends the join whose first endpoint this is.
struct AbortCommand {
  EndpointId id;
};
struct FinishCommand {
  EndpointId id;
  bool a_to_b;
  bool fin;
};
// Both endpoints are on this worker, or gone.
struct JoinCommand {
  EndpointId id;
  std::unique_ptr<JoinSpec> spec;
};
// The other side of this endpoint's join has been sent for: whatever comes for it is kept until that is here.
struct AwaitCommand {
  EndpointId id;
};
// Hand `id` over to the worker `to`, where the first side of its join waits.
struct FetchCommand {
  EndpointId id;
  uint32_t to;
  std::unique_ptr<JoinSpec> spec;
};
struct DeliverCommand;
struct ListenCommand {
  std::shared_ptr<ListenSocket> socket;
};
struct UnlistenCommand {
  ListenerId listener;
};
// Lets one thread wait until each worker has done its part. Not std::latch: the one of GCC 11 and 12 can miss its
// last wake-up, and shared, so that it outlives the worker that counts last.
class Countdown {
 public:
  explicit Countdown(size_t count) : left_(count) {}

  void count_down() {
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) zero_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    zero_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  size_t left_;
};

// Drops everything of a client, then counts down.
struct DetachCommand {
  Client* client;
  std::shared_ptr<Countdown> done;
};
// Has the worker write its statistics into its row of `rows`, until the client is detached.
struct PublishCommand {
  const Client* client;
  std::atomic<uint64_t>* rows;
};
struct StopCommand {};

using Command = std::variant<DialCommand, JoinToCommand, AdoptCommand, ReadCommand, WriteCommand, FlushCommand, DestroyCommand,
                             ReleaseCommand, SecureCommand, LaneCommand, OpenCommand, LeaveCommand, AbortCommand, FinishCommand, JoinCommand,
                             AwaitCommand, FetchCommand, std::unique_ptr<DeliverCommand>, ListenCommand, UnlistenCommand,
                             DetachCommand, PublishCommand, StopCommand>;

// Worker to worker: the endpoint (null when it is gone), its join, and the commands for it that had already arrived.
struct DeliverCommand {
  std::unique_ptr<Endpoint> endpoint;
  std::unique_ptr<JoinSpec> spec;
  std::vector<Command> trailing;
};

}  // namespace millrace
