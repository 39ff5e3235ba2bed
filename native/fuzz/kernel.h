// A simulated kernel behind the engine's table of system calls: descriptors, pipes with slots, eventfd, epoll with its
// edges, and connections whose peers do what a script says. Nothing of it depends on time, threads or memory
// addresses, so that a run can be played again from its bytes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "connection.h"
#include "syscalls.h"

namespace millrace::fuzz {

struct PipeObject {
  std::deque<Span> spans;  // each takes one slot
  size_t slots = 16;
  int ends = 2;

  uint64_t bytes() const;
};

// Calls that can be made to fail.
enum class Call : uint8_t { Recv, Send, Fill, Flush, Pipe, SetPipeSize, Accept, Socket, Watch, Shutdown, Connect, kCount };

struct KernelFaults {
  struct Refusal {
    uint32_t left = 0;
    int error = 0;
  };
  std::array<Refusal, static_cast<size_t>(Call::kCount)> refusals;
  // How many more transfers are cut to how many bytes.
  uint32_t shorts = 0;
  uint64_t most = 1;
  uint32_t interrupt_every = 0;
  uint32_t false_empties = 0;          // splice into a pipe: EAGAIN with bytes readable
  uint32_t false_ends = 0;             // the same: 0
  bool small_pipes = false;            // as past the user's limit
  bool unsent = false;                 // SIOCOUTQ is never 0
  bool reverse_events = false;

  uint64_t cut(uint64_t length) {
    if (shorts == 0) return length;
    --shorts;
    return length < most ? length : most;
  }
  Refusal& of(Call call) { return refusals[static_cast<size_t>(call)]; }
};

class Kernel {
 public:
  // A day and more, so that no clock of the real machine is ahead of it.
  static constexpr uint64_t kStart = uint64_t{1} << 50;

  Kernel();
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  static const Syscalls& table();

  // The first rule that was broken; empty while none was.
  std::string broken;
  void violation(const std::string& what);

  uint64_t now = kStart;
  KernelFaults faults;
  // Counts whatever changes something; a turn that doesn't move it did nothing.
  uint64_t progress = 0;
  uint64_t calls_this_turn = 0;
  // Called before each transfer, and where a worker would sleep.
  std::function<void()> between_calls;
  std::function<void()> asleep;
  // Called with each connection that the engine makes, and with the port, or the number in the path, that it names.
  std::function<void(Connection&, uint32_t)> connecting;
  // New descriptors are at least this.
  int lowest_fd = 3;
  uint64_t sockets_refused = 0;

  // Connections in the order of their making, closed ones too.
  std::vector<std::shared_ptr<Connection>> connections;
  std::shared_ptr<Connection> create(bool tcp);
  int open(std::shared_ptr<Connection> connection);
  // The connection of a descriptor, null when it is none.
  Connection* connection(int fd) const;
  // False when nobody listens there or the queue is full.
  bool connect_to(int listener, std::shared_ptr<Connection> connection);
  void wake(const Connection& connection);
  bool watched(int fd) const;

  bool is_open(int fd) const { return objects_.contains(fd); }
  size_t open_descriptors() const { return objects_.size(); }
  size_t pipes() const;
  size_t filled_pipes() const;
  // The worker whose epoll was made as the `index`-th: whether its last wait would have slept.
  bool slept(size_t index) const { return epolls_[index]->slept; }
  // When it wants to be woken at the latest, milliseconds; -1 for never.
  int timeout(size_t index) const { return epolls_[index]->timeout; }
  // Whether its epoll has something to report.
  bool has_events(size_t index);

 private:
  friend struct Calls;

  struct Entry {
    uint32_t events;
    epoll_data_t data;
    bool queued;
  };
  struct Epoll {
    std::map<int, Entry> entries;
    std::deque<int> ready;
    bool slept = false;
    int timeout = -1;
  };
  struct Object {
    enum class Kind : uint8_t { Socket, Listener, ReadEnd, WriteEnd, Event, Epoll };
    Kind kind;
    std::shared_ptr<Connection> connection;
    std::shared_ptr<PipeObject> pipe;
    std::shared_ptr<Epoll> epoll;
    std::deque<std::shared_ptr<Connection>> pending;
    uint64_t count = 0;
    bool tcp = false;
    bool hard_close = false;
  };

  Object* find(int fd, Object::Kind kind);
  int add(Object object);
  void wake(int fd);
  uint32_t poll(int fd);
  bool refused(Call call);
  bool interrupted();
  void before(bool transfer);
  int collect(Epoll& epoll, epoll_event* events, int capacity);

  std::map<int, Object> objects_;
  std::vector<std::shared_ptr<Epoll>> epolls_;
  uint64_t interruptible_ = 0;
};

}  // namespace millrace::fuzz
