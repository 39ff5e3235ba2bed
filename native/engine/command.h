// What a client, or another worker, asks of a worker.
#pragma once

#include <latch>
#include <memory>
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
// Ends the join whose first endpoint this is.
struct AbortCommand {
  EndpointId id;
};
struct FinishCommand {
  EndpointId id;
  bool a_to_b;
  bool fin;
};
struct JoinCommand {
  EndpointId id;
  std::unique_ptr<JoinSpec> spec;
};
// Worker to worker: hand `id` over to the worker `to`, where its join waits.
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
// Drops everything of a client, then counts the latch down.
struct DetachCommand {
  Client* client;
  std::latch* done;
};
struct StopCommand {};

using Command = std::variant<DialCommand, AdoptCommand, ReadCommand, WriteCommand, FlushCommand, DestroyCommand,
                             ReleaseCommand, AbortCommand, FinishCommand, JoinCommand, FetchCommand,
                             std::unique_ptr<DeliverCommand>, ListenCommand, UnlistenCommand, DetachCommand, StopCommand>;

// Worker to worker: the endpoint (null when it is gone), its join, and the commands for it that had already arrived.
struct DeliverCommand {
  std::unique_ptr<Endpoint> endpoint;
  std::unique_ptr<JoinSpec> spec;
  std::vector<Command> trailing;
};

}  // namespace millrace
