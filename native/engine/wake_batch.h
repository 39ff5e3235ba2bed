// Wakes the workers that one thread has posted to together, at the end: a client that answers a batch of events with a
// batch of commands costs each worker one wake-up.
#pragma once

#include <cstdint>
#include <vector>

namespace millrace {

class Worker;

// When the worker hears of a command: at once, or with the next one that is posted so, or of Engine::wake().
enum class Wake : uint8_t { Now, Later };

// While one lives, its thread's posts wake nobody; whoever blocks until a worker has done something wakes it himself.
class WakeBatch {
 public:
  WakeBatch();
  ~WakeBatch();
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;

  // The calling thread's; null when there is none.
  static WakeBatch* current();
  void add(Worker& worker) {
    if (sleeping_.empty() || sleeping_.back() != &worker) sleeping_.push_back(&worker);
  }

 private:
  std::vector<Worker*> sleeping_;
  WakeBatch* const outer_;
};

}  // namespace millrace
