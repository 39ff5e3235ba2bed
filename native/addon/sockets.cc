// Calls that concern one listener or one endpoint.
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "arguments.h"
#include "calls.h"

namespace millrace::addon {

// listen(host, port, path, backlog, maxEndpoints, address): the listener's id or -errno; `address` takes the bound one
napi_value listen(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  ListenRequest request;
  const bool valid = read_address(args, 0, 1, 2, request.address);
  request.backlog = args.whole<int>(3);
  request.max_endpoints = args.whole<int64_t>(4);
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

// listenOn(fd, backlog, maxEndpoints, address): the same on a socket that listens already; works on a duplicate, `fd`
// stays the caller's
napi_value listen_on(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  ListenRequest request;
  const auto fd = args.whole<int>(0);
  request.backlog = args.whole<int>(1);
  request.max_endpoints = args.whole<int64_t>(2);
  const auto out = args.bytes(3);
  if (!args.ok() || !args.attached() || out.size() < sizeof(PackedAddress)) return fault(env);
  request.fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (request.fd < 0) return to_js(env, -errno);
  Listening listening;
  const int error = args.environment().engine().listen(args.environment().client(), request, listening);
  if (error != 0) return to_js(env, -error);
  std::memcpy(out.data(), &listening.local, sizeof listening.local);
  return to_js(env, listening.id);
}

// unlisten(id, leave)
napi_value unlisten(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto id = args.whole<ListenerId>(0);
  const bool leave = args.boolean(1);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().unlisten(id, leave);
  return nullptr;
}

// refused(id): connections that the listener's limit has refused
napi_value refused(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto id = args.whole<ListenerId>(0);
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

// adopt(fd, addresses): the endpoint's id or -errno; works on a duplicate, `fd` stays the caller's; `addresses` takes the
// local and the remote one. No worker hears of it before the next call that concerns it, or wake().
napi_value adopt(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const auto fd = args.whole<int>(0);
  const auto out = args.bytes(1);
  PackedAddress addresses[2];
  if (!args.ok() || !args.attached() || out.size() < sizeof addresses) return fault(env);
  const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (duplicate < 0) return to_js(env, -errno);
  int error = 0;
  const EndpointId id =
      args.environment().engine().adopt(args.environment().client(), duplicate, error, Wake::Later, addresses);
  if (id == 0) return to_js(env, -error);
  std::memcpy(out.data(), addresses, sizeof addresses);
  return to_js(env, static_cast<double>(id));
}

// wake(): the workers do what they have not heard of
napi_value wake(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  if (!args.attached()) return fault(env);
  args.environment().engine().wake();
  return nullptr;
}

// read(id, max, deadlineMs)
napi_value read(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const auto max = args.whole<size_t>(1);
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

// lane(id, opens, head)
napi_value lane(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const LaneRole role = args.boolean(1) ? LaneRole::Opens : LaneRole::Accepts;
  const auto head = args.bytes(2);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().lane(id, role, copy(head));
  return nullptr;
}

// open(id, start, bytes): begins a visit outside of a join
napi_value open(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const auto start = args.bytes(1);
  const auto bytes = args.bytes(2);
  if (!args.ok() || !args.attached() || !fits_open(start)) return fault(env);
  args.environment().engine().open(id, copy(start), copy(bytes));
  return nullptr;
}

// leave(id, reset): the client has no part in the visit any more
napi_value leave(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  const EndpointId id = args.id(0);
  const bool reset = args.boolean(1);
  if (!args.ok() || !args.attached()) return fault(env);
  args.environment().engine().leave(id, reset);
  return nullptr;
}

}  // namespace millrace::addon
