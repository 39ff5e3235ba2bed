// Objects of the engine's in JavaScript's hands: values that can be passed back, and nothing else. An External says
// nothing about what it points to, nor who made it, so each is looked up among those that were made here: what is none,
// or one of another kind, is a wrong argument like any other.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>

namespace millrace::addon {

enum class Handle : uint8_t { Bucket, TicketKeys, TlsContext };

// A value that keeps `object` alive.
napi_value wrap(napi_env env, Handle kind, std::shared_ptr<void> object);
// Null when `value` is no handle of that kind.
std::shared_ptr<void> unwrap(napi_env env, napi_value value, Handle kind);

}  // namespace millrace::addon
