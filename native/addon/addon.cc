// The binding: turns JavaScript calls into the engine's and decides nothing. Ids and sizes are numbers, addresses and
// events travel as bytes; failures are negative errno, for the TypeScript side to word. src/dataplane/native/addon.ts
// is the only caller, so that an argument of a wrong type is a fault of ours: it throws a TypeError.
#include <cstring>

#include "arguments.h"
#include "calls.h"

namespace millrace::addon {

namespace {

// attach(workers, doorbell): 0 or -errno
napi_value attach(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto workers = args.whole<uint32_t>(0);
  if (!args.ok() || workers < 1 || workers > 64 || args.attached()) return fault(env);
  int error = 0;
  args.slot() = Environment::attach(env, workers, args.at(1), error);
  return to_js(env, -error);
}

// drain(records, arena): the number of records
napi_value drain(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto records = args.words(0);
  const auto arena = args.bytes(1);
  if (!args.ok() || !args.attached()) return fault(env);
  const size_t count = args.environment().client()->drain(reinterpret_cast<EventRecord*>(records.data()),
                                                          records.size() / sizeof(EventRecord), arena.data(), arena.size());
  return to_js(env, static_cast<double>(count));
}

// keepAlive(on)
napi_value keep_alive(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const bool on = args.boolean(0);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().keep_alive(on);
  return nullptr;
}

// cells(array): the number of a chunk of counter cells
napi_value cells(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto memory = args.shared_words(0);
  if (!args.ok() || !args.attached() || memory.size() < sizeof(CounterCell)) return fault(env);
  return to_js(env, static_cast<double>(args.environment().add_cells(args.at(0), memory.data(), memory.size())));
}

// shape(out): workers, whether splice works, words from one row of statistics to the next
napi_value shape(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto out = args.bytes(0);
  if (!args.ok() || !args.attached()) return fault(env);
  const EngineStats stats = args.environment().engine().stats();
  const double values[] = {static_cast<double>(stats.workers), stats.splice_works ? 1.0 : 0.0,
                           static_cast<double>(kStatsRow)};
  if (out.size() < sizeof values) return fault(env);
  std::memcpy(out.data(), values, sizeof values);
  return nullptr;
}

// statistics(array): has the workers keep their statistics in its rows
napi_value statistics(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto memory = args.shared_words(0);
  if (!args.ok() || !args.attached() || !args.environment().add_rows(args.at(0), memory)) return fault(env);
  return nullptr;
}

}  // namespace

}  // namespace millrace::addon

NAPI_MODULE_INIT() {
  using namespace millrace::addon;
  // Set by attach(); the environment's cleanup hook frees what it points to, this only the pointer.
  auto* slot = new Environment*(nullptr);
  napi_set_instance_data(env, slot, [](napi_env, void* data, void*) { delete static_cast<Environment**>(data); }, nullptr);
  const std::pair<const char*, napi_callback> functions[] = {
      {"attach", attach}, {"drain", drain},     {"keepAlive", keep_alive}, {"listen", listen},   {"unlisten", unlisten}, {"refused", refused},
      {"dial", dial},     {"adopt", adopt}, {"wake", wake},     {"read", read},            {"write", write},     {"flush", flush},
      {"destroy", destroy}, {"release", release}, {"cells", cells},        {"bucket", bucket},   {"join", join}, {"joinTo", join_to},
      {"abort", abort_join}, {"finish", finish}, {"shape", shape}, {"statistics", statistics},
      {"tlsProblem", tls_problem}, {"ticketKeys", ticket_keys}, {"setTicketKeys", set_ticket_keys},
      {"tlsServer", tls_server}, {"tlsClient", tls_client}, {"secure", secure},
      {"listenOn", listen_on}, {"duplicateListener", duplicate_listener},
      {"openDoor", open_door}, {"sendDescriptors", send_descriptors}, {"receiveDescriptors", receive_descriptors},
      {"notify", notify}, {"peerUser", peer_user}, {"lane", lane}, {"open", open}, {"leave", leave},
  };
  for (const auto& [name, callback] : functions) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  }
  return exports;
}
