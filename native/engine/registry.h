// Ids of endpoints, and which worker owns each. An id is an index (20 bits) and a generation (32 bits), so that it is a
// safe integer in JavaScript and a stale one never names a newer endpoint.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace millrace {

using EndpointId = uint64_t;  // 0 is none

// Every member function needs `mutex()` held by the caller: routing a command and moving an endpoint between workers
// are each one critical section, which is what keeps the commands for one endpoint in order.
class Registry {
 public:
  static constexpr uint32_t kIndexBits = 20;
  static constexpr uint32_t kCapacity = 1u << kIndexBits;

  std::mutex& mutex() { return mutex_; }

  // 0 when all kCapacity slots are taken.
  EndpointId allocate(uint32_t worker) {
    uint32_t index;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else if (slots_.size() < kCapacity) {
      index = static_cast<uint32_t>(slots_.size());
      slots_.push_back({1, 0, false});
    } else {
      return 0;
    }
    slots_[index].worker = worker;
    slots_[index].live = true;
    ++live_;
    return (static_cast<uint64_t>(slots_[index].generation) << kIndexBits) | index;
  }

  // Endpoints that exist.
  uint32_t live() const { return live_; }

  // The owner's index, or -1 for a stale id.
  int owner(EndpointId id) const {
    const uint32_t index = static_cast<uint32_t>(id & (kCapacity - 1));
    if (index >= slots_.size() || !slots_[index].live || slots_[index].generation != id >> kIndexBits) return -1;
    return static_cast<int>(slots_[index].worker);
  }

  void move(EndpointId id, uint32_t worker) { slots_[id & (kCapacity - 1)].worker = worker; }

  void release(EndpointId id) {
    if (owner(id) < 0) return;
    const uint32_t index = static_cast<uint32_t>(id & (kCapacity - 1));
    slots_[index].live = false;
    --live_;
    if (++slots_[index].generation == 0) slots_[index].generation = 1;
    free_.push_back(index);
  }

 private:
  struct Slot {
    uint32_t generation;
    uint32_t worker;
    bool live;
  };
  std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint32_t live_ = 0;
};

}  // namespace millrace
