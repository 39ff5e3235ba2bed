// The binding: turns JavaScript calls into the engine's and decides nothing. Ids and sizes are numbers, addresses and
// events travel as bytes; failures are negative errno, for the TypeScript side to word. src/dataplane/native/addon.ts
// is the only caller, so that an argument of a wrong type is a fault of ours: it throws a TypeError.
#include <fcntl.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "environment.h"

namespace millrace::addon {

namespace {

// The arguments of one call. Any that doesn't have the type that is asked for makes `ok()` false.
class Arguments {
 public:
  static constexpr size_t kMost = 8;

  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    count_ = kMost;
    napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
    for (size_t i = count_; i < kMost; ++i) napi_get_undefined(env, &values_[i]);
    void* data = nullptr;
    napi_get_instance_data(env, &data);
    environment_ = static_cast<Environment**>(data);
  }

  napi_value at(size_t i) const { return values_[i]; }
  Environment*& slot() { return *environment_; }
  Environment& environment() { return **environment_; }
  bool attached() const { return environment_ && *environment_; }
  bool ok() const { return ok_; }

  double number(size_t i) {
    double value = 0;
    ok_ &= napi_get_value_double(env_, values_[i], &value) == napi_ok;
    return value;
  }
  EndpointId id(size_t i) { return static_cast<EndpointId>(number(i)); }
  // Infinity and anything beyond 2^52 ms is "never".
  Millis millis(size_t i) { return to_millis(number(i)); }
  bool boolean(size_t i) {
    bool value = false;
    ok_ &= napi_get_value_bool(env_, values_[i], &value) == napi_ok;
    return value;
  }
  // Empty for undefined.
  std::string text(size_t i) {
    if (missing(i)) return {};
    size_t length = 0;
    ok_ &= napi_get_value_string_utf8(env_, values_[i], nullptr, 0, &length) == napi_ok;
    if (!ok_) return {};
    std::string value(length, '\0');
    napi_get_value_string_utf8(env_, values_[i], value.data(), length + 1, &length);
    return value;
  }
  // Any typed array's memory; empty for undefined.
  std::span<uint8_t> bytes(size_t i) {
    if (missing(i)) return {};
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    if (napi_get_typedarray_info(env_, values_[i], &type, &length, &data, nullptr, nullptr) != napi_ok) {
      ok_ = false;
      return {};
    }
    const bool wide = type == napi_float64_array || type == napi_biguint64_array;
    return {static_cast<uint8_t*>(data), wide ? length * 8 : length};
  }
  std::shared_ptr<TokenBucket> bucket(size_t i) {
    if (missing(i)) return nullptr;
    void* data = nullptr;
    ok_ &= napi_get_value_external(env_, values_[i], &data) == napi_ok;
    return data ? *static_cast<std::shared_ptr<TokenBucket>*>(data) : nullptr;
  }

  static Millis to_millis(double value) {
    return value >= 4503599627370496.0 ? kNever : static_cast<Millis>(std::fmax(value, 0));
  }

 private:
  bool missing(size_t i) const {
    napi_valuetype type = napi_undefined;
    napi_typeof(env_, values_[i], &type);
    return type == napi_undefined;
  }

  napi_env env_;
  napi_value values_[kMost];
  size_t count_;
  Environment** environment_ = nullptr;
  bool ok_ = true;
};

napi_value fault(napi_env env) {
  napi_throw_type_error(env, nullptr, "millrace addon: wrong arguments");
  return nullptr;
}

napi_value to_js(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

std::vector<uint8_t> copy(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

// host and port, or a path; false when neither is an address.
bool read_address(Arguments& args, size_t host, size_t port, size_t path, SocketAddress& address) {
  const std::string unix_path = args.text(path);
  if (!unix_path.empty()) return address.set_unix(unix_path);
  const std::string name = args.text(host);
  const double number = args.number(port);
  return args.ok() && address.set_inet(name, static_cast<uint16_t>(number));
}

// attach(workers, doorbell): 0 or -errno
napi_value attach(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto workers = static_cast<uint32_t>(args.number(0));
  if (!args.ok() || args.attached()) return fault(env);
  int error = 0;
  args.slot() = Environment::attach(env, workers, args.at(1), error);
  return to_js(env, -error);
}

// drain(records, arena): the number of records
napi_value drain(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto records = args.bytes(0);
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

// listen(host, port, path, backlog, maxEndpoints, address): the listener's id or -errno; `address` takes the bound one
napi_value listen(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  ListenRequest request;
  const bool valid = read_address(args, 0, 1, 2, request.address);
  request.backlog = static_cast<int>(args.number(3));
  request.max_endpoints = static_cast<int64_t>(args.number(4));
  const auto out = args.bytes(5);
  if (!args.ok() || !args.attached() || out.size() < sizeof(PackedAddress)) return fault(env);
  if (!valid) return to_js(env, -EINVAL);
  request.unlink_path = args.text(2);
  Listening listening;
  const int error = args.environment().engine().listen(args.environment().client(), request, listening);
  if (error != 0) return to_js(env, -error);
  std::memcpy(out.data(), &listening.local, sizeof listening.local);
  return to_js(env, listening.id);
}

// unlisten(id)
napi_value unlisten(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto id = static_cast<ListenerId>(args.number(0));
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().unlisten(id);
  return nullptr;
}

// refused(id): connections that the listener's limit has refused
napi_value refused(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto id = static_cast<ListenerId>(args.number(0));
  if (!args.ok() || !args.attached()) return fault(env);
  return to_js(env, static_cast<double>(args.environment().engine().refused(id)));
}

// dial(host, port, path, timeoutMs): the endpoint's id or -errno
napi_value dial(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  SocketAddress address;
  const bool valid = read_address(args, 0, 1, 2, address);
  const Millis timeout = args.millis(3);
  if (!args.ok() || !args.attached()) return fault(env);
  if (!valid) return to_js(env, -EINVAL);
  const EndpointId id = args.environment().engine().dial(args.environment().client(), address, timeout);
  return to_js(env, id == 0 ? -EMFILE : static_cast<double>(id));
}

// adopt(fd): the endpoint's id or -errno; works on a duplicate, `fd` stays the caller's
napi_value adopt(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const int fd = static_cast<int>(args.number(0));
  if (!args.ok() || !args.attached()) return fault(env);
  const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (duplicate < 0) return to_js(env, -errno);
  int error = 0;
  const EndpointId id = args.environment().engine().adopt(args.environment().client(), duplicate, error);
  return to_js(env, id == 0 ? -error : static_cast<double>(id));
}

// read(id, max, deadlineMs)
napi_value read(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const auto max = static_cast<size_t>(args.number(1));
  const Millis deadline = args.millis(2);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().read(id, max, deadline);
  return nullptr;
}

// write(id, bytes)
napi_value write(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const auto bytes = args.bytes(1);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().write(id, copy(bytes));
  return nullptr;
}

// flush(id)
napi_value flush(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().flush(id);
  return nullptr;
}

// destroy(id, reset)
napi_value destroy(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const bool reset = args.boolean(1);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().destroy(id, reset);
  return nullptr;
}

// release(id)
napi_value release(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().release(id);
  return nullptr;
}

// cells(array): the number of a chunk of counter cells
napi_value cells(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto memory = args.bytes(0);
  if (!args.ok() || !args.attached() || memory.empty()) return fault(env);
  return to_js(env, static_cast<double>(args.environment().add_cells(args.at(0), memory.data(), memory.size())));
}

// bucket(bytesPerSecond, burst): a bandwidth limit
napi_value bucket(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const double rate = args.number(0);
  const double burst = args.number(1);
  if (!args.ok()) return fault(env);
  auto* holder = new std::shared_ptr<TokenBucket>(std::make_shared<TokenBucket>(rate, burst));
  napi_value result = nullptr;
  napi_create_external(
      env, holder, [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<TokenBucket>*>(data); }, nullptr,
      &result);
  return result;
}

// The numbers of a join, in the order in which src/dataplane/native/addon.ts writes them.
enum JoinField : size_t {
  kToken,
  kChunk,
  kCell,
  kA,
  kB,
  kMode,
  kIdle,
  kHalfClosedIdle,
  kDuration,
  kStalled,
  kMaxAToB,
  kMaxBToA,
  kCallerDriven,
  kJoinFields,
};

// join(fields, headA, headB, rateAToB, rateBToA)
napi_value join(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto raw = args.bytes(0);
  const auto head_a = args.bytes(1);
  const auto head_b = args.bytes(2);
  auto rate_a_to_b = args.bucket(3);
  auto rate_b_to_a = args.bucket(4);
  if (!args.ok() || !args.attached() || raw.size() < kJoinFields * sizeof(double)) return fault(env);
  double fields[kJoinFields];
  std::memcpy(fields, raw.data(), sizeof fields);
  const auto most = [](double bytes) { return std::isfinite(bytes) ? static_cast<uint64_t>(bytes) : UINT64_MAX; };
  const auto limit = [](double ms) { return Arguments::to_millis(ms); };
  const auto driven = static_cast<unsigned>(fields[kCallerDriven]);
  auto spec = std::make_unique<JoinSpec>();
  spec->token = fields[kToken];
  spec->client = args.environment().client();
  spec->cell = args.environment().cell(static_cast<size_t>(fields[kChunk]), static_cast<size_t>(fields[kCell]));
  spec->a = static_cast<EndpointId>(fields[kA]);
  spec->b = static_cast<EndpointId>(fields[kB]);
  spec->mode = static_cast<Mode>(fields[kMode]);
  spec->limits = {limit(fields[kIdle]), limit(fields[kHalfClosedIdle]), limit(fields[kDuration]), limit(fields[kStalled])};
  spec->a_to_b = {copy(head_a), most(fields[kMaxAToB]), std::move(rate_a_to_b), (driven & 1) != 0};
  spec->b_to_a = {copy(head_b), most(fields[kMaxBToA]), std::move(rate_b_to_a), (driven & 2) != 0};
  if (spec->cell == nullptr) return fault(env);
  args.environment().engine().join(std::move(spec));
  return nullptr;
}

// abort(a)
napi_value abort_join(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().abort(id);
  return nullptr;
}

// finish(a, aToB, fin)
napi_value finish(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const bool a_to_b = args.boolean(1);
  const bool fin = args.boolean(2);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().finish(id, a_to_b, fin);
  return nullptr;
}

// stats(out): workers, splice works, endpoints, joins, listeners, pipes, then the fallbacks in their order
napi_value stats(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto out = args.bytes(0);
  if (!args.ok() || !args.attached()) return fault(env);
  const EngineStats stats = args.environment().engine().stats();
  std::vector<double> values{static_cast<double>(stats.workers),   stats.splice_works ? 1.0 : 0.0,
                             static_cast<double>(stats.endpoints), static_cast<double>(stats.joins),
                             static_cast<double>(stats.listeners), static_cast<double>(stats.pipes)};
  for (const uint64_t count : stats.fallbacks) values.push_back(static_cast<double>(count));
  if (out.size() < values.size() * sizeof(double)) return fault(env);
  std::memcpy(out.data(), values.data(), values.size() * sizeof(double));
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
      {"dial", dial},     {"adopt", adopt},     {"read", read},            {"write", write},     {"flush", flush},
      {"destroy", destroy}, {"release", release}, {"cells", cells},        {"bucket", bucket},   {"join", join},
      {"abort", abort_join}, {"finish", finish}, {"stats", stats},
  };
  for (const auto& [name, callback] : functions) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exports, name, function);
  }
  return exports;
}
