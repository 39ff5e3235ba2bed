// What a relay's TLS is compared with: the system's OpenSSL alone, a record of 16 KiB to a call of SSL_write(), its own
// socket BIO; one process sends, another receives. Nothing is relayed.
#include <dlfcn.h>
#include <sched.h>
#include <sys/wait.h>

#include "pingers.h"
#include "tls_pem.h"

namespace load {
namespace {

using namespace millrace;

constexpr int kRecord = 16 * 1024;

uint64_t cpu_ns() {
  timespec ran;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ran);
  return static_cast<uint64_t>(ran.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(ran.tv_nsec);
}

void pin(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);
}

struct OpenSsl {
  const TlsLibrary& table;
  int (*set_fd)(SSL*, int);
};

OpenSsl find_openssl() {
  std::string problem;
  const TlsLibrary* const table = tls_library(TlsSource::System, problem);
  void* const ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  void* const set_fd = ssl != nullptr ? dlsym(ssl, "SSL_set_fd") : nullptr;
  if (table == nullptr || set_fd == nullptr) fail("libssl.so.3");
  return {*table, reinterpret_cast<int (*)(SSL*, int)>(set_fd)};
}

SSL* open_on(const OpenSsl& openssl, SSL_CTX* context, int fd, bool server) {
  if (openssl.table.SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1) fail("TLS_AES_128_GCM_SHA256");
  SSL* const ssl = openssl.table.SSL_new(context);
  if (ssl == nullptr || openssl.set_fd(ssl, fd) != 1) fail("SSL_set_fd");
  if (server) openssl.table.SSL_set_accept_state(ssl);
  else openssl.table.SSL_set_connect_state(ssl);
  if (openssl.table.SSL_do_handshake(ssl) != 1) fail("a handshake");
  return ssl;
}

// The CPU time of it, ns.
uint64_t send_all(const Options& options, const OpenSsl& openssl, int fd) {
  SSL_CTX* const context = openssl.table.SSL_CTX_new(openssl.table.TLS_server_method());
  const std::string pem = read_file(options.certificate);
  TlsCertificates certificates(openssl.table, pem);
  EVP_PKEY* const key = read_pem_key(openssl.table, read_file(options.key));
  if (certificates.size() == 0 || key == nullptr) fail("a certificate with its key");
  openssl.table.SSL_CTX_use_certificate(context, certificates[0]);
  openssl.table.SSL_CTX_use_PrivateKey(context, key);
  SSL* const ssl = open_on(openssl, context, fd, true);
  const std::vector<char> record(kRecord, 'm');
  const uint64_t before = cpu_ns();
  for (uint64_t left = options.bytes; left > 0;) {
    size_t sent = 0;
    if (openssl.table.SSL_write_ex(ssl, record.data(), std::min<uint64_t>(left, kRecord), &sent) != 1) fail("SSL_write");
    left -= sent;
  }
  return cpu_ns() - before;
}

uint64_t receive_all(const Options& options, const OpenSsl& openssl, int fd) {
  SSL* const ssl = open_on(openssl, openssl.table.SSL_CTX_new(openssl.table.TLS_client_method()), fd, false);
  std::vector<char> record(kRecord);
  const uint64_t before = cpu_ns();
  for (uint64_t left = options.bytes; left > 0;) {
    size_t got = 0;
    if (openssl.table.SSL_read_ex(ssl, record.data(), record.size(), &got) != 1) fail("SSL_read");
    left -= got;
  }
  return cpu_ns() - before;
}

}  // namespace

int cipher(const Options& options) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = address_of(options.host.c_str(), 0);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener, 1) != 0) fail("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  int answer[2];
  if (pipe(answer) != 0) fail("pipe");
  const uint64_t started = now_ns();
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    pin(0);
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    no_delay(fd);
    const uint64_t ran = send_all(options, find_openssl(), fd);
    _exit(write(answer[1], &ran, sizeof ran) == sizeof ran ? 0 : 1);
  }
  pin(1);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) fail("connect");
  const uint64_t received = receive_all(options, find_openssl(), fd);
  uint64_t sent = 0;
  if (read(answer[0], &sent, sizeof sent) != sizeof sent) fail("the sender");
  int status = 0;
  waitpid(child, &status, 0);
  std::printf("{\"seconds\":%.6f,\"bytes\":%llu,\"cpu_ns\":[%llu,%llu]}\n", seconds_between(started, now_ns()),
              static_cast<unsigned long long>(options.bytes), static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(received));
  return 0;
}

}  // namespace load
