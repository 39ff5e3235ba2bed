#include "handles.h"

#include <mutex>
#include <unordered_map>
#include <utility>

namespace millrace::addon {

namespace {

struct Holder {
  Handle kind;
  std::shared_ptr<void> object;
};

// Of all environments, as the thread of each makes and frees its own.
struct Holders {
  std::mutex mutex;
  std::unordered_map<const void*, std::unique_ptr<Holder>> by_address;
};

Holders& holders() {
  static auto* const instance = new Holders;
  return *instance;
}

void forget(napi_env, void* data, void*) {
  std::unique_ptr<Holder> last;
  const std::lock_guard lock(holders().mutex);
  const auto found = holders().by_address.find(data);
  if (found == holders().by_address.end()) return;
  last = std::move(found->second);
  holders().by_address.erase(found);
}

}  // namespace

napi_value wrap(napi_env env, Handle kind, std::shared_ptr<void> object) {
  auto holder = std::make_unique<Holder>(Holder{kind, std::move(object)});
  Holder* const address = holder.get();
  {
    const std::lock_guard lock(holders().mutex);
    holders().by_address.emplace(address, std::move(holder));
  }
  napi_value value = nullptr;
  if (napi_create_external(env, address, forget, nullptr, &value) != napi_ok) forget(env, address, nullptr);
  return value;
}

std::shared_ptr<void> unwrap(napi_env env, napi_value value, Handle kind) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok) return nullptr;
  const std::lock_guard lock(holders().mutex);
  const auto found = holders().by_address.find(data);
  return found != holders().by_address.end() && found->second->kind == kind ? found->second->object : nullptr;
}

}  // namespace millrace::addon
