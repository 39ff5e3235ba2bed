// Holds workers of the faulty table before their next epoll_wait, so that what happens meanwhile reaches them in one
// event each.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace millrace::test {

class Gate {
 public:
  static Gate& instance();

  void close();
  // Waits until `workers` stand at it. Whoever sleeps in epoll_wait must be woken first.
  bool await(uint32_t workers);
  // Lets each of the `workers` that stand at it make one turn, and waits until they are back.
  bool step(uint32_t workers);
  void open();
  // Worker side.
  void pass();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  uint32_t standing_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace millrace::test
