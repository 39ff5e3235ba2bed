// The service behind a contender: every connection is served as its first 16 bytes ask; bulk flows by a thread of their
// own, everything else by the main one, so that a message need not wait until a flow's socket buffer is full.
#include "server.h"

#include <sched.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "common.h"
#include "wire.h"

namespace load {
namespace {

constexpr size_t kBuffer = 256 * 1024;

struct Connection {
  Wire wire;
  Request request{};
  size_t got_of_request = 0;
  uint64_t left_to_read = 0;   // of the present message
  uint64_t left_to_send = 0;
  bool ends_after_send = false;
  bool finished = false;
};

class Server {
 public:
  enum class Progress { kMade, kNone, kOver };

  // Reads (some of) the first 16 bytes.
  Progress greet(Connection& connection) {
    while (connection.got_of_request < sizeof(Request)) {
      const Progress progress = read_request(connection);
      if (progress != Progress::kMade) return progress;
    }
    return Progress::kMade;
  }

  // Serves what is ready, until nothing is.
  Progress serve(Connection& connection) {
    connection.wire.flush();
    for (;;) {
      const Progress progress = connection.left_to_send > 0 ? send_some(connection) : read_some(connection);
      if (progress != Progress::kMade) return progress;
    }
  }

 private:
  Progress stopped() const { return errno == EAGAIN ? Progress::kNone : Progress::kOver; }

  Progress read_request(Connection& connection) {
    char* into = reinterpret_cast<char*>(&connection.request) + connection.got_of_request;
    const ssize_t got = connection.wire.recv(into, sizeof(Request) - connection.got_of_request);
    if (got <= 0) return got < 0 ? stopped() : Progress::kOver;
    connection.got_of_request += static_cast<size_t>(got);
    if (connection.got_of_request < sizeof(Request)) return Progress::kMade;
    const Request& request = connection.request;
    switch (request.verb) {
      case Verb::kDown:
        connection.left_to_send = request.length;
        connection.ends_after_send = true;
        if (request.pace > 0) {
          const uint64_t rate = static_cast<uint64_t>(request.pace) * 1024;
          setsockopt(connection.wire.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
        }
        break;
      case Verb::kUp:
        connection.left_to_read = UINT64_MAX;
        break;
      case Verb::kEcho:
      case Verb::kRequest:
        connection.left_to_read = request.length;
        connection.ends_after_send = request.verb == Verb::kRequest;
        break;
      default:
        return Progress::kOver;
    }
    return Progress::kMade;
  }

  Progress read_some(Connection& connection) {
    const bool up = connection.request.verb == Verb::kUp;
    const uint64_t wanted = connection.finished ? UINT64_MAX : connection.left_to_read;
    const size_t most = static_cast<size_t>(std::min<uint64_t>(wanted, kBuffer));
    Wire& wire = connection.wire;
    const ssize_t got = up ? wire.discard(buffer_.data(), kBuffer) : wire.recv(buffer_.data(), most);
    if (got < 0) return stopped();
    if (got == 0) {
      if (!connection.finished) wire.finish();
      return Progress::kOver;
    }
    if (connection.finished || up) return Progress::kMade;
    connection.left_to_read -= static_cast<uint64_t>(got);
    if (connection.left_to_read == 0) connection.left_to_send = connection.request.length;
    return Progress::kMade;
  }

  Progress send_some(Connection& connection) {
    const size_t most = static_cast<size_t>(std::min<uint64_t>(connection.left_to_send, kBuffer));
    const ssize_t sent = connection.wire.send(buffer_.data(), most);
    if (sent < 0) return stopped();
    connection.left_to_send -= static_cast<uint64_t>(sent);
    if (connection.left_to_send > 0) return Progress::kMade;
    if (connection.ends_after_send) {
      connection.wire.finish();
      connection.finished = true;
    } else {
      connection.left_to_read = connection.request.length;
    }
    return Progress::kMade;
  }

  std::vector<char> buffer_ = std::vector<char>(kBuffer, 'm');
};

void close_if_over(Server::Progress progress, Connection* connection) {
  if (progress != Server::Progress::kOver) return;
  connection->wire.close();
  delete connection;
}

// Serves the connections in `epoll`, at ordinary priority even where the main thread is urgent.
void serve_flows(int epoll) {
  const sched_param ordinary{};
  sched_setscheduler(0, SCHED_OTHER, &ordinary);
  Server server;
  epoll_event events[64];
  for (;;) {
    const int count = epoll_wait(epoll, events, 64, -1);
    for (int index = 0; index < count; ++index) {
      auto* connection = static_cast<Connection*>(events[index].data.ptr);
      close_if_over(server.serve(*connection), connection);
    }
  }
}

constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace

int listen_on(const char* host) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = address_of(host, 0);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0) fail("bind");
  if (listen(listener, 65535) != 0) fail("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("{\"port\":%d}\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

int serve(const Options& options) {
  const std::shared_ptr<const Secure> secure = options.tls ? Secure::server(options) : nullptr;
  const int listener = listen_on(options.host.c_str());
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener, EPOLLIN, nullptr);
  char input;  // the end of standard input ends the server
  watch(epoll, STDIN_FILENO, EPOLLIN | EPOLLHUP, &input);
  const int flows = epoll_create1(EPOLL_CLOEXEC);
  std::thread(serve_flows, flows).detach();
  Server server;
  epoll_event events[256];
  for (;;) {
    const int count = epoll_wait(epoll, events, 256, -1);
    for (int index = 0; index < count; ++index) {
      void* of = events[index].data.ptr;
      if (of == &input) {
        if (read(STDIN_FILENO, &input, 1) <= 0) _exit(0);
        continue;
      }
      if (of == nullptr) {
        for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          no_delay(fd);
          auto tls = secure ? std::make_unique<SecureEnd>(fd, secure->open(fd)) : nullptr;
          watch(epoll, fd, kEvents, new Connection{.wire = {fd, std::move(tls)}});
        }
        continue;
      }
      auto* connection = static_cast<Connection*>(of);
      const bool greeted = connection->got_of_request == sizeof(Request);
      Server::Progress progress = greeted ? Server::Progress::kMade : server.greet(*connection);
      const Verb verb = connection->request.verb;
      if (!greeted && progress == Server::Progress::kMade && (verb == Verb::kDown || verb == Verb::kUp)) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, connection->wire.fd, nullptr);
        watch(flows, connection->wire.fd, kEvents, connection);
        continue;
      }
      if (progress == Server::Progress::kMade) progress = server.serve(*connection);
      close_if_over(progress, connection);
    }
  }
}

}  // namespace load
