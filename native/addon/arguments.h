// What JavaScript hands to a call, as the engine's types.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "environment.h"
#include "handles.h"

namespace millrace::addon {

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
  // The whole number nearest to `value` that T can hold, as a cast of any other is undefined; NaN makes ok() false.
  template <class T>
  T to_whole(double value) {
    constexpr auto least = static_cast<double>(std::numeric_limits<T>::min());
    constexpr auto most = static_cast<double>(std::numeric_limits<T>::max());
    ok_ &= !std::isnan(value);
    if (!(value > least)) return std::numeric_limits<T>::min();
    return value >= most ? std::numeric_limits<T>::max() : static_cast<T>(value);
  }
  template <class T>
  T whole(size_t i) {
    return to_whole<T>(number(i));
  }
  EndpointId id(size_t i) { return whole<EndpointId>(i); }
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
    return {static_cast<uint8_t*>(data), wide ? length * 8 : type == napi_int32_array ? length * 4 : length};
  }
  // The same where the engine writes words.
  std::span<uint8_t> words(size_t i) {
    const auto memory = bytes(i);
    ok_ &= reinterpret_cast<uintptr_t>(memory.data()) % alignof(uint64_t) == 0;
    return memory;
  }
  // The same where it goes on to: only a SharedArrayBuffer can't be detached meanwhile.
  std::span<uint8_t> shared_words(size_t i) {
    const auto memory = words(i);
    napi_value buffer = nullptr;
    bool detachable = true;
    if (ok_ && !memory.empty()) {
      napi_get_typedarray_info(env_, values_[i], nullptr, nullptr, nullptr, &buffer, nullptr);
      napi_is_arraybuffer(env_, buffer, &detachable);
    }
    ok_ &= !detachable;
    return memory;
  }
  // What a handle holds, which must be of that kind.
  template <class T>
  std::shared_ptr<T> handle(size_t i, Handle kind) {
    auto object = std::static_pointer_cast<T>(unwrap(env_, values_[i], kind));
    ok_ &= object != nullptr;
    return object;
  }
  // Null for undefined.
  std::shared_ptr<TokenBucket> bucket(size_t i) {
    return missing(i) ? nullptr : handle<TokenBucket>(i, Handle::Bucket);
  }

  static Millis to_millis(double value) {
    // fmax: NaN is 0, which is none.
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

// host and port, or a path; false when neither is an address.
inline bool read_address(Arguments& args, size_t host, size_t port, size_t path, SocketAddress& address) {
  const std::string unix_path = args.text(path);
  if (!unix_path.empty()) return address.set_unix(unix_path);
  const std::string name = args.text(host);
  const auto number = args.whole<uint16_t>(port);
  return args.ok() && address.set_inet(name, number);
}

// Throws: an argument had the wrong type.
inline napi_value fault(napi_env env) {
  napi_throw_type_error(env, nullptr, "millrace addon: wrong arguments");
  return nullptr;
}

inline napi_value to_js(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

// What an OPEN can carry.
inline bool fits_open(std::span<const uint8_t> start) { return !start.empty() && start.size() <= LaneFrame::kMaxOpen; }

inline std::vector<uint8_t> copy(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace millrace::addon
