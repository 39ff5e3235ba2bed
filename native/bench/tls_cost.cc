// What TlsStream costs: CPU seconds for each GB encrypted and decrypted with AES-128-GCM, in batches as a worker does
// it, without sockets; beside it, what moving the bytes once costs. And handshakes a second. Usage: tls_cost [GB]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "tls_fixtures.h"
#include "tls_stream.h"

namespace millrace {
namespace {

constexpr size_t kBatch = 128 << 10;
using Bytes = std::vector<uint8_t>;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Pair {
  std::unique_ptr<TlsStream> server;
  std::unique_ptr<TlsStream> client;

  bool shake() {
    Bytes forth(kBatch);
    Bytes back(kBatch);
    Bytes plain(kBatch);
    TlsInput at_server;
    TlsInput at_client;
    for (int i = 0; i < 4; ++i) {
      TlsOutput from_client{.room = forth};
      client->handshake(at_client, from_client);
      size_t n = 0;
      // The tickets.
      if (client->established()) client->read(at_client, from_client, plain, n);
      at_server = {.bytes = {forth.data(), from_client.used}};
      TlsOutput from_server{.room = back};
      server->handshake(at_server, from_server);
      at_client = {.bytes = {back.data(), from_server.used}};
    }
    return client->established() && server->established();
  }
};

void measure_bytes(Pair& pair, double gigabytes, bool streaming, TlsRecords records, size_t batch) {
  pair.client->set_streaming(streaming);
  pair.server->set_streaming(streaming);
  Bytes plain(batch, 7);
  Bytes cipher(TlsStream::ciphertext_of(batch) + 2 * TlsStream::kOverhead);
  Bytes back(batch + TlsStream::kHeld);
  Bytes answers(4096);
  const auto rounds = static_cast<size_t>(gigabytes * 1e9 / static_cast<double>(batch));
  double encrypt = 0;
  double decrypt = 0;
  for (size_t round = 0; round < rounds; ++round) {
    const double start = cpu_seconds();
    TlsOutput output{.room = cipher};
    size_t n = 0;
    pair.client->write(output, plain, records, n);
    const double middle = cpu_seconds();
    TlsInput input{.bytes = {cipher.data(), output.used}};
    TlsOutput none{.room = answers};
    size_t m = 0;
    pair.server->read(input, none, back, m);
    if (n != batch || m != batch) {
      std::fprintf(stderr, "bytes were lost: %zu %zu\n", n, m);
      std::exit(1);
    }
    encrypt += middle - start;
    decrypt += cpu_seconds() - middle;
  }
  const double moved = static_cast<double>(rounds) * static_cast<double>(batch) / 1e9;
  std::printf("%s records, batches of %6zu, buffers %s: encrypt %.3f, decrypt %.3f CPU s/GB\n",
              records == TlsRecords::Full ? "16 KiB" : " 4 KiB", batch, streaming ? "kept    " : "released",
              encrypt / moved, decrypt / moved);
}

void measure_copy(double gigabytes) {
  Bytes from(kBatch, 7);
  Bytes to(kBatch);
  const auto rounds = static_cast<size_t>(gigabytes * 1e9 / kBatch);
  const double start = cpu_seconds();
  for (size_t round = 0; round < rounds; ++round) {
    std::memcpy(to.data(), from.data(), kBatch);
    asm volatile("" : : "r"(to.data()) : "memory");
  }
  std::printf("one copy: %.3f CPU s/GB\n", (cpu_seconds() - start) / gigabytes);
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  using namespace millrace;
  const double gigabytes = argc > 1 ? std::atof(argv[1]) : 2;
  std::string problem;
  const TlsLibrary* const library = tls_library(TlsSource::System, problem);
  if (library == nullptr) return std::fprintf(stderr, "%s\n", problem.c_str()), 1;
  TlsServerOptions serve;
  serve.certificate = test::kOtherCertificate;
  serve.key = test::kOtherKey;
  TicketKey key{};
  serve.tickets = std::make_shared<TicketKeys>(std::vector{key});
  TlsClientOptions ask;
  ask.trust.roots = test::kRoot;
  ask.sessions = std::make_shared<TlsSessions>(*library);
  const auto server = TlsContext::server(*library, serve, problem);
  const auto client = TlsContext::client(*library, ask, problem);
  if (!server || !client) return std::fprintf(stderr, "%s\n", problem.c_str()), 1;
  Pair pair{TlsStream::server(server), TlsStream::client(client, "other.test", "a")};
  if (!pair.shake()) return std::fprintf(stderr, "no handshake\n"), 1;
  std::printf("OpenSSL %lx, %s, %s\n", library->OpenSSL_version_num(), pair.client->version(), pair.client->cipher());
  measure_copy(gigabytes);
  for (const bool streaming : {false, true}) measure_bytes(pair, gigabytes, streaming, TlsRecords::Full, kBatch);
  measure_bytes(pair, gigabytes, true, TlsRecords::Full, 16 << 10);
  measure_bytes(pair, gigabytes / 2, true, TlsRecords::Small, kBatch);

  for (const bool resume : {false, true}) {
    constexpr int kRounds = 1000;
    const double start = cpu_seconds();
    int resumed = 0;
    for (int i = 0; i < kRounds; ++i) {
      Pair next{TlsStream::server(server), TlsStream::client(client, "other.test", resume ? "a" : std::to_string(i))};
      if (!next.shake()) return 1;
      resumed += next.client->resumed();
    }
    std::printf("handshakes, %d of %d resumed: %.0f us of CPU for both ends\n", resumed, kRounds,
                (cpu_seconds() - start) / kRounds * 1e6);
  }
  return 0;
}
