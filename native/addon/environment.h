// One Node environment (the main thread's or a worker_thread's) as a client of the process-wide engine.
#pragma once

#include <node_api.h>

#include <memory>
#include <span>
#include <vector>

#include "engine.h"

namespace millrace::addon {

class Environment {
 public:
  // Null when the engine can't be started (`error` is errno). `workers` counts for the first environment only.
  // The environment ends, and frees itself, in its cleanup hook.
  static Environment* attach(napi_env env, uint32_t workers, napi_value doorbell, int& error);

  Engine& engine() { return *engine_; }
  const std::shared_ptr<Client>& client() { return client_; }

  // Keeps `array`'s memory, which must hold whole cells, until the environment ends; returns its number.
  size_t add_cells(napi_value array, void* memory, size_t bytes);
  // Null when there is no such cell.
  CounterCell* cell(size_t chunk, size_t index);
  // Keeps `array`'s memory as that of the workers' statistics until the environment ends; false when it is too small.
  bool add_rows(napi_value array, std::span<uint8_t> memory);
  // Whether the event loop stays alive for the engine's sake.
  void keep_alive(bool on);

 private:
  struct Cells {
    CounterCell* first;
    size_t count;
    napi_ref reference;
  };

  explicit Environment(napi_env env) : env_(env) {}
  static void cleanup(void* self);
  static void call_js(napi_env env, napi_value doorbell, void* context, void* data);

  napi_env env_;
  napi_threadsafe_function bell_ = nullptr;
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Client> client_;
  std::vector<Cells> cells_;
  std::vector<napi_ref> rows_;
};

}  // namespace millrace::addon
