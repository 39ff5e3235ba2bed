// With the openssl program of the system, over sockets, both roles and both versions. The renegotiation that it asks
// for must be refused.
#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <csignal>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

namespace {

constexpr int kPatience = 20'000;  // ms

bool openssl_is_there() {
  static const bool there = std::system("openssl version >/dev/null 2>&1") == 0;
  if (!there) std::printf("no openssl program: interop of TLS with it is not tested\n");
  return there;
}

class File {
 public:
  explicit File(const char* contents) {
    const int fd = ::mkstemp(path_);
    REQUIRE(fd >= 0);
    REQUIRE(::write(fd, contents, std::string(contents).size()) > 0);
    ::close(fd);
  }
  ~File() { ::unlink(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/millrace-tls-XXXXXX";
};

class Socket4 {
 public:
  explicit Socket4(int fd) : fd(fd) {}
  ~Socket4() { ::close(fd); }
  Socket4(const Socket4&) = delete;
  Socket4& operator=(const Socket4&) = delete;
  const int fd;
};

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The program, with pipes to its input and from its output.
class Program {
 public:
  explicit Program(std::vector<std::string> words) {
    int in[2];
    int out[2];
    REQUIRE(::pipe(in) == 0);
    REQUIRE(::pipe(out) == 0);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(out[1], 2);
      for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  ~Program() {
    ::close(input_);
    ::close(output_);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void say(const std::string& words) { CHECK(::write(input_, words.data(), words.size()) == static_cast<ssize_t>(words.size())); }

  // Waits until `words` are in what it printed from `from` on.
  bool prints(const std::string& words, size_t from = 0) {
    while (printed_.find(words, from) == std::string::npos) {
      pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, kPatience) <= 0) return false;
      char bytes[4096];
      const ssize_t n = ::read(output_, bytes, sizeof bytes);
      if (n <= 0) return false;
      printed_.append(bytes, static_cast<size_t>(n));
    }
    return true;
  }
  const std::string& printed() const { return printed_; }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string printed_;
};

// A stream over a blocking socket.
struct Wire {
  int fd;
  TlsStream& stream;
  Bytes in = Bytes(32 << 10);
  Bytes out = Bytes(64 << 10);
  TlsInput input;

  bool more() {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kPatience) <= 0) return false;
    const ssize_t n = ::recv(fd, in.data(), in.size(), 0);
    input = {.bytes = {in.data(), static_cast<size_t>(n > 0 ? n : 0)}, .ended = n <= 0};
    return n >= 0;
  }
  void send(const TlsOutput& output) { CHECK(::send(fd, out.data(), output.used, MSG_NOSIGNAL) == static_cast<ssize_t>(output.used)); }

  bool shake() {
    for (;;) {
      TlsOutput output{.room = out};
      const TlsIo io = stream.handshake(input, output);
      if (output.used > 0) send(output);
      if (io != TlsIo::WantInput) return io == TlsIo::Progress;
      if (!more()) return false;
    }
  }
  void write(const std::string& words) {
    TlsOutput output{.room = out};
    size_t n = 0;
    CHECK(stream.write(output, {reinterpret_cast<const uint8_t*>(words.data()), words.size()}, TlsRecords::Small, n) ==
          TlsIo::Progress);
    send(output);
  }
  // Until `words` have come, or the end.
  TlsIo hear(const std::string& words, std::string& heard) {
    Bytes plain(64 << 10);
    for (;;) {
      TlsOutput output{.room = out};
      size_t n = 0;
      const TlsIo io = stream.read(input, output, plain, n);
      heard.append(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(n));
      if (output.used > 0) send(output);
      if (!words.empty() && heard.find(words) != std::string::npos) return TlsIo::Progress;
      if (io == TlsIo::Progress) continue;
      if (io != TlsIo::WantInput || !more()) return io;
    }
  }
};

}  // namespace

TEST_CASE("tls interop: our server, openssl s_client") {
  if (!openssl_is_there()) return;
  const File root(kRoot);
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    const Socket4 listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    REQUIRE(::bind(listener.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener.fd, 4) == 0);
    Program client({"openssl", "s_client", version, "-connect", "127.0.0.1:" + std::to_string(port_of(listener.fd)),
                    "-servername", "localhost", "-CAfile", root.path(), "-verify_return_error", "-verify_hostname",
                    "localhost", "-alpn", "http/1.1"});
    const Socket4 accepted(::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted.fd >= 0);
    TlsServerOptions serve = server_options();
    serve.common.alpn = {"http/1.1"};
    serve.tickets = std::make_shared<TicketKeys>(std::vector{ticket_key(1)});
    const auto stream = TlsStream::server(server_context(serve));
    Wire wire{.fd = accepted.fd, .stream = *stream};
    REQUIRE(wire.shake());
    CHECK(stream->protocol() == "http/1.1");
    client.say("ping\n");
    std::string heard;
    CHECK(wire.hear("ping\n", heard) == TlsIo::Progress);
    wire.write("pong from us\n");
    CHECK(client.prints("pong from us"));
    CHECK(client.prints("Verify return code: 0 (ok)"));
    if (std::string(version) == "-tls1_2") {
      // It asks for a renegotiation, and takes the refusal for a failure.
      client.say("R\n");
      wire.hear("never", heard);
      CHECK(client.prints("no renegotiation"));
    }
  }
}

TEST_CASE("tls interop: our client, openssl s_server") {
  if (!openssl_is_there()) return;
  const File certificate(kOtherCertificate);
  const File key(kOtherKey);
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    Program server({"openssl", "s_server", version, "-accept", "127.0.0.1:0", "-cert", certificate.path(), "-key",
                    key.path(), "-naccept", "2"});
    REQUIRE(server.prints("ACCEPT 127.0.0.1:"));
    const size_t number = server.printed().find("127.0.0.1:") + 10;
    REQUIRE(server.prints("\n", number));
    const auto port = static_cast<uint16_t>(std::atoi(server.printed().c_str() + number));
    TlsClientOptions ask = client_options();
    ask.sessions = std::make_shared<TlsSessions>(library());
    const auto context = client_context(ask);
    for (const bool again : {false, true}) {
      const Socket4 socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = loopback(port);
      REQUIRE(::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
      const auto stream = TlsStream::client(context, "other.test", "s_server");
      Wire wire{.fd = socket.fd, .stream = *stream};
      REQUIRE_MESSAGE(wire.shake(), stream->error().text);
      CHECK(stream->resumed() == again);
      wire.write(again ? "second ping\n" : "first ping\n");
      CHECK(server.prints(again ? "second ping" : "first ping"));
      server.say("pong\n");
      std::string heard;
      CHECK(wire.hear("pong\n", heard) == TlsIo::Progress);
      TlsOutput output{.room = wire.out};
      CHECK(stream->close(output) == TlsIo::Progress);
      wire.send(output);
      CHECK(server.prints("DONE"));
    }
  }
}

}  // namespace millrace::test
