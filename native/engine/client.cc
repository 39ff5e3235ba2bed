#include "client.h"

#include <cstring>

namespace millrace {

namespace {

bool carries_bytes(const EventRecord& record) {
  return has_payload(record.type) && record.values[0] > 0;
}

}  // namespace

Client::~Client() { close(); }

void Client::push(const EventRecord& record, std::vector<uint8_t> payload) {
  const std::lock_guard lock(mutex_);
  if (closed()) {
    if (record.type == EventType::Released) sys_.close(static_cast<int>(record.values[0]));
    return;
  }
  records_.push_back(record);
  if (carries_bytes(record)) payloads_.push_back(std::move(payload));
  backlog_.store(records_.size(), std::memory_order_relaxed);
}

bool Client::ring() {
  {
    const std::lock_guard lock(mutex_);
    if (closed() || rung_ || records_.empty()) return false;
    rung_ = true;
  }
  const std::lock_guard lock(bell_mutex_);
  if (closed()) return false;
  doorbell_();
  return true;
}

size_t Client::drain(EventRecord* records, size_t capacity, uint8_t* arena, size_t arena_size) {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  size_t used = 0;
  while (count < capacity && !records_.empty()) {
    const EventRecord& record = records_.front();
    if (carries_bytes(record)) {
      const std::vector<uint8_t>& payload = payloads_.front();
      if (payload.size() > arena_size - used) break;
      std::memcpy(arena + used, payload.data(), payload.size());
      used += payload.size();
      payloads_.pop_front();
    }
    records[count++] = record;
    records_.pop_front();
  }
  if (records_.empty()) rung_ = false;
  backlog_.store(records_.size(), std::memory_order_relaxed);
  return count;
}

void Client::close() {
  closed_.store(true, std::memory_order_release);
  // Waits for the doorbell that may be ringing.
  { const std::lock_guard ringing(bell_mutex_); }
  const std::lock_guard lock(mutex_);
  for (const EventRecord& record : records_) {
    if (record.type == EventType::Released) sys_.close(static_cast<int>(record.values[0]));
  }
  records_.clear();
  payloads_.clear();
}

}  // namespace millrace
