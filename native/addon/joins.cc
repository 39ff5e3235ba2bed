// Calls that concern joins and their bandwidth limits.
#include <algorithm>
#include <cstring>

#include "arguments.h"
#include "calls.h"

namespace millrace::addon {

namespace {

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

// The numbers of a join and what goes with them; null when an argument is none.
std::unique_ptr<JoinSpec> read_spec(Arguments& args, std::span<const uint8_t> head_a, std::span<const uint8_t> head_b,
                                    std::shared_ptr<TokenBucket> rate_a_to_b, std::shared_ptr<TokenBucket> rate_b_to_a) {
  const auto raw = args.bytes(0);
  if (!args.ok() || !args.attached() || raw.size() < kJoinFields * sizeof(double)) return nullptr;
  double fields[kJoinFields];
  std::memcpy(fields, raw.data(), sizeof fields);
  const auto most = [&args](double bytes) { return args.to_whole<uint64_t>(bytes); };
  const auto limit = [](double ms) { return Arguments::to_millis(ms); };
  const auto driven = args.to_whole<unsigned>(fields[kCallerDriven]);
  auto spec = std::make_unique<JoinSpec>();
  spec->token = fields[kToken];
  spec->client = args.environment().client();
  spec->cell = args.environment().cell(args.to_whole<size_t>(fields[kChunk]), args.to_whole<size_t>(fields[kCell]));
  spec->a = args.to_whole<EndpointId>(fields[kA]);
  spec->b = args.to_whole<EndpointId>(fields[kB]);
  spec->mode = static_cast<Mode>(std::min<unsigned>(args.to_whole<unsigned>(fields[kMode]), static_cast<unsigned>(Mode::Splice)));
  spec->limits = {limit(fields[kIdle]), limit(fields[kHalfClosedIdle]), limit(fields[kDuration]), limit(fields[kStalled])};
  spec->a_to_b = {copy(head_a), most(fields[kMaxAToB]), std::move(rate_a_to_b), (driven & 1) != 0};
  spec->b_to_a = {copy(head_b), most(fields[kMaxBToA]), std::move(rate_b_to_a), (driven & 2) != 0};
  return !args.ok() || spec->cell == nullptr ? nullptr : std::move(spec);
}

}  // namespace

// bucket(bytesPerSecond, burst): a bandwidth limit
napi_value bucket(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const double rate = args.number(0);
  const double burst = args.number(1);
  // Infinity would be no limit, and NaN none that time fills.
  if (!args.ok() || !(rate >= 1 && burst >= 1) || std::isinf(rate) || std::isinf(burst)) return fault(env);
  return wrap(env, Handle::Bucket, std::make_shared<TokenBucket>(rate, burst));
}

// join(fields, headA, headB, rateAToB, rateBToA, open): `open` is what the OPEN carries that begins the visit on side b
napi_value join(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  auto spec = read_spec(args, args.bytes(1), args.bytes(2), args.bucket(3), args.bucket(4));
  const auto open = args.bytes(5);
  if (!spec || !args.ok() || (!open.empty() && !fits_open(open))) return fault(env);
  spec->open = copy(open);
  args.environment().engine().join(std::move(spec));
  return nullptr;
}

// joinTo(fields, headA, rateAToB, rateBToA, host, port, path, timeoutMs): false when that is no address
napi_value join_to(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  SocketAddress address;
  const bool valid = read_address(args, 4, 5, 6, address);
  const Millis timeout = args.millis(7);
  auto spec = read_spec(args, args.bytes(1), {}, args.bucket(2), args.bucket(3));
  if (!spec) return fault(env);
  if (valid) args.environment().engine().join_to(std::move(spec), address, timeout);
  napi_value result = nullptr;
  napi_get_boolean(env, valid, &result);
  return result;
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

}  // namespace millrace::addon
