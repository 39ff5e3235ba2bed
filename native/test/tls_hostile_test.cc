// Peers that break the protocol, or the rules of good behaviour.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

namespace {

struct Outcome {
  TlsIo io = TlsIo::WantInput;
  size_t answered = 0;
};

// Feeds a fresh server, or client, as it comes.
Outcome feed(TlsStream& stream, std::string_view bytes) {
  Bytes out(64 << 10);
  Bytes plain(64 << 10);
  TlsOutput output{.room = out};
  TlsInput input{.bytes = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}};
  Outcome outcome;
  size_t n = 0;
  outcome.io = stream.established() ? TlsIo::Progress : stream.handshake(input, output);
  while (stream.established() && outcome.io == TlsIo::Progress) outcome.io = stream.read(input, output, plain, n);
  outcome.answered = output.used;
  return outcome;
}

std::string record(uint8_t type, std::string_view content, size_t claimed = SIZE_MAX) {
  const size_t length = claimed == SIZE_MAX ? content.size() : claimed;
  std::string bytes{static_cast<char>(type), 3, 3, static_cast<char>(length >> 8), static_cast<char>(length)};
  return bytes.append(content);
}

// A client without the manners of TlsStream.
class RawClient {
 public:
  explicit RawClient(std::shared_ptr<const TlsContext> context) : buffers_(library()), out_(64 << 10) {
    connection_.context = std::move(context);
    ssl_ = library().SSL_new(connection_.context->get());
    library().SSL_set_ex_data(ssl_, 0, &connection_);
    library().X509_VERIFY_PARAM_set1_host(library().SSL_get0_param(ssl_), "localhost", 9);
    BIO* const bio = library().BIO_new(library().bio_method);
    library().BIO_set_data(bio, &buffers_);
    library().BIO_set_init(bio, 1);
    library().SSL_set_bio(ssl_, bio, bio);
    library().SSL_set_connect_state(ssl_);
  }
  ~RawClient() { library().SSL_free(ssl_); }

  bool shake(TlsEnd& server) {
    for (int i = 0; i < 4; ++i) {
      step(server);
      TlsOutput output{.room = out_};
      TlsInput input = server.input(SIZE_MAX);
      server.stream->handshake(input, output);
      server.took(input);
      incoming_.assign(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(output.used));
    }
    return server.stream->established();
  }

  void update_key(TlsEnd& server) {
    constexpr int kRequested = 1;
    REQUIRE(library().SSL_key_update(ssl_, kRequested) == 1);
    step(server);
  }

 private:
  void step(TlsEnd& server) {
    TlsInput input{.bytes = incoming_};
    TlsOutput output{.room = out_};
    buffers_.input = &input;
    buffers_.output = &output;
    library().SSL_do_handshake(ssl_);
    server.incoming.insert(server.incoming.end(), out_.begin(), out_.begin() + static_cast<ptrdiff_t>(output.used));
    incoming_.clear();
  }

  TlsConnection connection_;
  TlsBuffers buffers_;
  Bytes out_;
  Bytes incoming_;
  SSL* ssl_ = nullptr;
};

Bytes hello() {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  pair.shake_once(pair.client, pair.server);
  return pair.server.incoming;
}

}  // namespace

TEST_CASE("tls hostile: who doesn't speak TLS") {
  const auto context = server_context(server_options());
  for (const char* words : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x05\x01\x02 and more bytes"}) {
    const auto server = TlsStream::server(context);
    CHECK(feed(*server, words).io == TlsIo::Failed);
    CHECK_MESSAGE(server->error().fault == TlsFault::NotTls, server->error().text);
  }
  const auto client = TlsStream::client(client_context(client_options()), "localhost", "");
  CHECK(feed(*client, "").io == TlsIo::WantInput);
  CHECK(feed(*client, "HTTP/1.1 400 Bad Request\r\n\r\n").io == TlsIo::Failed);
  CHECK_MESSAGE(client->error().fault == TlsFault::NotTls, client->error().text);
}

TEST_CASE("tls hostile: garbage behind the hello, and in its place") {
  const Bytes good = hello();
  const auto context = server_context(server_options());
  {
    const auto server = TlsStream::server(context);
    std::string bytes(good.begin(), good.end());
    const Outcome outcome = feed(*server, bytes + record(22, "garbage garbage"));
    const bool refused = outcome.io == TlsIo::Failed || outcome.io == TlsIo::WantInput;
    CHECK(refused);
    CHECK(feed(*server, record(23, std::string(100, 'x'))).io == TlsIo::Failed);
  }
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const auto server = TlsStream::server(context);
    std::string bytes(good.begin(), good.end());
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) bytes[5 + random() % (bytes.size() - 5)] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const Outcome outcome = feed(*server, bytes);
    const bool expected = outcome.io == TlsIo::Failed || outcome.io == TlsIo::WantInput;
    CHECK(expected);
    CHECK_FALSE(server->established());
    if (outcome.io == TlsIo::Failed) {
      CHECK_FALSE(server->error().text.empty());
      CHECK(feed(*server, bytes).io == TlsIo::Failed);
    }
  }
}

TEST_CASE("tls hostile: records that are longer than any may be") {
  const auto context = server_context(server_options());
  const auto server = TlsStream::server(context);
  CHECK(feed(*server, record(22, std::string(100, '\1'), 0xffff)).io == TlsIo::Failed);
  TlsPair pair(context, client_context(client_options()));
  REQUIRE(pair.shake());
  // RFC 8446 section 5.2: 2^14 + 256 at most.
  CHECK(feed(*pair.server.stream, record(23, std::string(100, 'x'), (16 << 10) + 257)).io == TlsIo::Failed);
  CHECK(pair.server.stream->error().fault == TlsFault::Protocol);
}

TEST_CASE("tls hostile: a hello that never ends takes bounded memory") {
  const auto server = TlsStream::server(server_context(server_options()));
  // A handshake message that claims 16 MiB.
  std::string message{1, '\xff', '\xff', '\xff'};
  Outcome outcome = feed(*server, record(22, message + std::string(1000, 'a')));
  for (int i = 0; i < 100 && outcome.io == TlsIo::WantInput; ++i) outcome = feed(*server, record(22, std::string(16 << 10, 'a')));
  CHECK(outcome.io == TlsIo::Failed);
}

TEST_CASE("tls hostile: bytes changed on the way") {
  for (const bool at_client : {true, false}) {
    TlsPair pair(server_context(server_options()), client_context(client_options()));
    REQUIRE(pair.shake());
    TlsEnd& from = at_client ? pair.server : pair.client;
    TlsEnd& to = at_client ? pair.client : pair.server;
    std::string heard;
    pair.read(to, from, heard);
    pair.write(from, to, "first");
    const size_t first = to.incoming.size();
    pair.write(from, to, "second");
    to.incoming[first + 8] ^= 1;
    CHECK(pair.read(to, from, heard) == TlsIo::Failed);
    // What came before it is good.
    CHECK(heard == "first");
    CHECK(to.stream->error().fault == TlsFault::Protocol);
    // And the other side hears of it.
    heard.clear();
    CHECK(pair.read(from, to, heard) == TlsIo::Failed);
    CHECK(from.stream->error().fault == TlsFault::Alert);
    CHECK(from.stream->error().alert == 20);
  }
}

TEST_CASE("tls hostile: an alert in the middle of the stream") {
  const auto context = server_context(server_options());
  TlsPair pair(context, client_context(client_options()));
  REQUIRE(pair.shake());
  // In the clear, where only sealed records may be.
  CHECK(feed(*pair.server.stream, record(21, std::string{2, 40})).io == TlsIo::Failed);
  // And in a handshake that is still in the clear.
  library().SSL_CTX_ctrl(context->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
  TlsPair shaking(context, client_context(client_options()));
  shaking.shake_once(shaking.client, shaking.server);
  shaking.shake_once(shaking.server, shaking.client);
  CHECK(feed(*shaking.server.stream, record(21, std::string{2, 40})).io == TlsIo::Failed);
  CHECK(shaking.server.stream->error().alert == 40);
}

TEST_CASE("tls hostile: close_notify before there is anything to close") {
  // OpenSSL has no reason for that.
  const auto client = TlsStream::client(client_context(client_options()), "localhost", "");
  CHECK(feed(*client, "").io == TlsIo::WantInput);
  CHECK(feed(*client, record(21, std::string{1, 0})).io == TlsIo::Failed);
  CHECK(client->error().fault == TlsFault::Cut);
}

TEST_CASE("tls hostile: a storm of key updates ends, and updates between data do not") {
  TlsClientOptions ask = client_options();
  // Every record is followed by an update.
  ask.common.records_per_key = 1;
  TlsPair calm(server_context(server_options()), client_context(ask));
  REQUIRE(calm.shake());
  std::string heard;
  for (int i = 0; i < 500; ++i) calm.write(calm.client, calm.server, "x");
  CHECK(calm.read(calm.server, calm.client, heard) == TlsIo::WantInput);
  CHECK(heard.size() == 500);

  RawClient raw(client_context(client_options()));
  TlsEnd server{.stream = TlsStream::server(server_context(server_options())), .incoming = {}};
  REQUIRE(raw.shake(server));
  const auto after = [&](int updates) {
    for (int i = 0; i < updates; ++i) raw.update_key(server);
    std::string bytes(server.incoming.begin(), server.incoming.end());
    server.incoming.clear();
    return feed(*server.stream, bytes);
  };
  // Each asks for an answer, which is its due.
  const Outcome few = after(TlsStream::kMaxSilent);
  CHECK_MESSAGE(few.io == TlsIo::WantInput, server.stream->error().text);
  CHECK(few.answered > 0);
  CHECK(after(1).io == TlsIo::Failed);
  CHECK(server.stream->error().fault == TlsFault::Flood);
}

TEST_CASE("tls hostile: thousands of half-open handshakes take bounded memory and go away") {
  const Bytes good = hello();
  const auto context = server_context(server_options());
  std::vector<std::unique_ptr<TlsStream>> half;
  for (int i = 0; i < 2000; ++i) {
    half.push_back(TlsStream::server(context));
    REQUIRE(half.back());
    const size_t part = i % 2 == 0 ? good.size() / 2 : good.size();
    CHECK(feed(*half.back(), std::string(good.begin(), good.begin() + static_cast<ptrdiff_t>(part))).io == TlsIo::WantInput);
  }
  half.clear();
}

}  // namespace millrace::test
