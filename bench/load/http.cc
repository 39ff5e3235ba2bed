// A service that answers every HTTP/1.1 request without a body with the same 64 bytes, over connections that are kept.
#include <strings.h>

#include <string>

#include "common.h"
#include "server.h"

namespace load {
namespace {

constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr size_t kLongestHead = 16 * 1024;

struct Visit {
  int fd;
  std::string unread;
};

bool asks_to_close(const std::string& head) { return strcasestr(head.c_str(), "\r\nconnection: close") != nullptr; }

// False once the connection is to be closed. An answer always fits the socket's buffer: nothing is pipelined.
bool serve_visit(Visit& visit) {
  char bytes[4096];
  for (;;) {
    const ssize_t got = recv(visit.fd, bytes, sizeof bytes, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    visit.unread.append(bytes, static_cast<size_t>(got));
    for (size_t end; (end = visit.unread.find("\r\n\r\n")) != std::string::npos;) {
      const std::string head = visit.unread.substr(0, end + 4);
      visit.unread.erase(0, end + 4);
      if (send(visit.fd, kAnswer, sizeof kAnswer - 1, MSG_NOSIGNAL) < 0) return false;
      if (asks_to_close(head)) {
        shutdown(visit.fd, SHUT_WR);
        return true;
      }
    }
    if (visit.unread.size() > kLongestHead) return false;
  }
}

}  // namespace

int serve_http(const char* host) {
  const int listener = listen_on(host);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, listener, EPOLLIN, nullptr);
  char input;  // the end of standard input ends the server
  watch(epoll, STDIN_FILENO, EPOLLIN | EPOLLHUP, &input);
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
          watch(epoll, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, new Visit{fd, {}});
        }
        continue;
      }
      auto* visit = static_cast<Visit*>(of);
      if (serve_visit(*visit)) continue;
      close(visit->fd);
      delete visit;
    }
  }
}

}  // namespace load
