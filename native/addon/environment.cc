#include "environment.h"

#include <cerrno>
#include <cstdlib>
#include <mutex>

#include "wake_batch.h"

namespace millrace::addon {

namespace {

// The engine is shared by all environments of the process and ends with the last. Cleanup hooks don't run when the main
// thread calls process.exit(), and worker threads that outlive main's statics abort inside them: hence atexit as well.
struct Process {
  std::mutex mutex;
  std::shared_ptr<Engine> engine;
  size_t environments = 0;
};

Process& process() {
  static auto* const instance = new Process;
  return *instance;
}

void stop_at_exit() {
  std::shared_ptr<Engine> engine;
  {
    const std::lock_guard lock(process().mutex);
    engine = process().engine;
  }
  if (engine) engine->stop();
}

std::shared_ptr<Engine> acquire_engine(uint32_t workers, int& error) {
  Process& shared = process();
  const std::lock_guard lock(shared.mutex);
  if (!shared.engine) {
    auto engine = std::make_shared<Engine>(EngineOptions{.workers = workers});
    error = engine->start();
    if (error != 0) return nullptr;
    static const int registered = std::atexit(stop_at_exit);
    static_cast<void>(registered);
    shared.engine = std::move(engine);
  }
  ++shared.environments;
  return shared.engine;
}

void release_engine() {
  std::shared_ptr<Engine> last;
  Process& shared = process();
  const std::lock_guard lock(shared.mutex);
  if (--shared.environments == 0) last = std::move(shared.engine);
  if (last) last->stop();
}

}  // namespace

Environment* Environment::attach(napi_env env, uint32_t workers, napi_value doorbell, int& error) {
  auto engine = acquire_engine(workers, error);
  if (!engine) return nullptr;
  auto* self = new Environment(env);
  self->engine_ = std::move(engine);
  napi_value name;
  napi_create_string_utf8(env, "millrace", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, doorbell, nullptr, name, 0, 1, nullptr, nullptr, nullptr, call_js,
                                      &self->bell_) != napi_ok) {
    delete self;
    release_engine();
    error = EINVAL;
    return nullptr;
  }
  napi_unref_threadsafe_function(env, self->bell_);
  // The client never rings after close(), and the function is released only then.
  self->client_ = std::make_shared<Client>(
      [self] { napi_call_threadsafe_function(self->bell_, nullptr, napi_tsfn_nonblocking); });
  // After the function's creation: hooks run in reverse, and ours must find it alive.
  napi_add_env_cleanup_hook(env, cleanup, self);
  return self;
}

void Environment::call_js(napi_env env, napi_value doorbell, void*, void*) {
  if (env == nullptr || doorbell == nullptr) return;
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  const WakeBatch batch;
  napi_call_function(env, undefined, doorbell, 0, nullptr, nullptr);
}

void Environment::cleanup(void* data) {
  auto* self = static_cast<Environment*>(data);
  self->engine_->detach(*self->client_);
  napi_release_threadsafe_function(self->bell_, napi_tsfn_abort);
  for (const Cells& cells : self->cells_) napi_delete_reference(self->env_, cells.reference);
  for (const napi_ref reference : self->rows_) napi_delete_reference(self->env_, reference);
  self->engine_.reset();
  release_engine();
  delete self;
}

size_t Environment::add_cells(napi_value array, void* memory, size_t bytes) {
  Cells cells{static_cast<CounterCell*>(memory), bytes / sizeof(CounterCell), nullptr};
  napi_create_reference(env_, array, 1, &cells.reference);
  cells_.push_back(cells);
  return cells_.size() - 1;
}

bool Environment::add_rows(napi_value array, std::span<uint8_t> memory) {
  if (memory.size() < engine_->stats().workers * kStatsRow * sizeof(uint64_t)) return false;
  napi_ref reference = nullptr;
  napi_create_reference(env_, array, 1, &reference);
  rows_.push_back(reference);
  engine_->publish(*client_, reinterpret_cast<std::atomic<uint64_t>*>(memory.data()));
  return true;
}

CounterCell* Environment::cell(size_t chunk, size_t index) {
  if (chunk >= cells_.size() || index >= cells_[chunk].count) return nullptr;
  return cells_[chunk].first + index;
}

void Environment::keep_alive(bool on) {
  if (on) napi_ref_threadsafe_function(env_, bell_);
  else napi_unref_threadsafe_function(env_, bell_);
}

}  // namespace millrace::addon
