// A listening socket, level-triggered and watched by every worker (EPOLLEXCLUSIVE wakes one).
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "endpoint.h"

namespace millrace {

using ListenerId = uint32_t;

// What the workers share of one listener. The last one to stop watching takes what is queued and closes it.
struct ListenSocket {
  ListenSocket(const Syscalls& table, int descriptor) : sys(table), fd(descriptor) {}
  ~ListenSocket();
  // Closes the descriptor and removes the unix path; idempotent. Once nobody watches it any more.
  void close();
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;

  const Syscalls& sys;
  int fd;
  ListenerId id = 0;
  std::shared_ptr<Client> client;
  SocketAddress local;
  std::string unlink_path;
  bool leaving = false;  // under the engine's mutex: unlisten() was called
  bool left = false;     // what is queued is another process's; set before the workers hear of the end
  int64_t max_endpoints = 0;  // 0 = no limit
  std::atomic<int64_t> live{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint32_t> watchers{0};
  std::atomic<int64_t>* listeners = nullptr;  // the engine's count, once it listens
};

// One worker's part in a listener.
class Listener final : public Pollable, public TimerTarget {
 public:
  // Connections taken per turn: more would keep joins waiting.
  static constexpr int kBatch = 64;
  // Accepted endpoints that the client may leave undrained before accepting pauses.
  static constexpr size_t kBacklog = 4096;
  // A pause ends by itself, or when a descriptor is freed.
  static constexpr Millis kPause = 100;
  // Wake-ups in a row that may bring nobody (another worker was faster, the peer has gone) before accepting pauses.
  static constexpr int kFruitless = 16;

  Listener(Worker& worker, std::shared_ptr<ListenSocket> shared) : worker_(worker), shared_(std::move(shared)), timer_(*this) {}
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  ListenerId id() const { return shared_->id; }
  const std::shared_ptr<Client>& client() const { return shared_->client; }
  void begin();
  // Stops watching. The last worker accepts until nothing is queued (unless the client is gone) and reports the end.
  void close(bool client_gone);
  // No event of it comes any more.
  bool unwatched() const { return !stuck_; }
  // After EMFILE: a descriptor was freed.
  void resume();

  void on_ready(uint32_t events) override;
  void on_timer(Millis now) override;

 private:
  // errno, 0 when it is watched now.
  int watch();
  enum class Took : uint8_t { One, Failed, Nothing };
  // Failed: that connection is gone, the next may be fine. Nothing: for now there is none to be had.
  Took accept_one();
  void pause();
  void set_paused(bool paused);

  Worker& worker_;
  const std::shared_ptr<ListenSocket> shared_;
  Timer timer_;
  int fruitless_ = 0;
  bool watched_ = false;
  bool stuck_ = false;  // the system refused to unwatch it
  bool paused_ = false;
};

}  // namespace millrace
