#include "tls_stream.h"

#include <doctest/doctest.h>

#include <string>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

namespace {

std::string pattern(size_t length) {
  std::string bytes(length, '\0');
  uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// A server may ask for a newer version than 1.2, but not for an older one than 1.3: that is for the tests alone.
std::shared_ptr<const TlsContext> old_server(TlsServerOptions options) {
  auto context = server_context(options);
  library().SSL_CTX_ctrl(context->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
  return context;
}

std::shared_ptr<const TlsContext> serving(bool tls13, const TlsServerOptions& options = server_options()) {
  return tls13 ? server_context(options) : old_server(options);
}

}  // namespace

TEST_CASE("tls stream: a handshake, bytes both ways, an orderly end") {
  for (const bool tls13 : {true, false}) {
    TlsServerOptions serve = server_options();
    TlsClientOptions ask = client_options();
    serve.common.alpn = {"millrace/2", "http/1.1"};
    ask.common.alpn = {"http/1.1", "millrace/2"};
    TlsPair pair(serving(tls13, serve), client_context(ask));
    REQUIRE(pair.shake());
    TlsStream& client = *pair.client.stream;
    TlsStream& server = *pair.server.stream;
    CHECK(std::string(client.version()) == (tls13 ? "TLSv1.3" : "TLSv1.2"));
    CHECK(std::string(server.version()) == client.version());
    CHECK(std::string(server.cipher()) == client.cipher());
    CHECK(client.protocol() == "millrace/2");
    CHECK(server.protocol() == "millrace/2");
    CHECK(server.server_name() == "localhost");
    CHECK_FALSE(client.resumed());
    CHECK(server.is_server());
    CHECK_FALSE(client.is_server());

    std::string heard;
    pair.write(pair.client, pair.server, "hello");
    CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::WantInput);
    CHECK(heard == "hello");
    CHECK(pair.close(pair.client, pair.server) == TlsIo::Progress);
    CHECK(pair.close(pair.client, pair.server) == TlsIo::Progress);
    CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::Ended);
    CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::Ended);
    // Half-closed: the other direction goes on.
    heard.clear();
    const std::string answer = pattern(100'000);
    pair.write(pair.server, pair.client, answer);
    CHECK(pair.read(pair.client, pair.server, heard) == TlsIo::WantInput);
    CHECK(heard == answer);
    pair.close(pair.server, pair.client);
    CHECK(pair.read(pair.client, pair.server, heard) == TlsIo::Ended);
  }
}

TEST_CASE("tls stream: byte by byte, and with hardly any room") {
  for (const bool tls13 : {true, false}) {
    for (const size_t room : {size_t{1}, size_t{100}, size_t{64} << 10}) {
      TlsPair pair(serving(tls13), client_context(client_options()));
      pair.piece = 1;
      pair.room = room;
      REQUIRE(pair.shake());
      const std::string sent = pattern(3000);
      pair.room = 64 << 10;
      pair.write(pair.client, pair.server, sent);
      pair.close(pair.client, pair.server);
      pair.room = room;
      std::string heard;
      CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::Ended);
      CHECK(heard == sent);
    }
  }
}

TEST_CASE("tls stream: 64 MiB, with records small and full") {
  const std::string block = pattern(1 << 20);
  for (const bool tls13 : {true, false}) {
    TlsPair pair(serving(tls13), client_context(client_options()));
    pair.room = 128 << 10;
    REQUIRE(pair.shake());
    size_t wrong = 0;
    pair.client.stream->set_streaming(true);
    pair.server.stream->set_streaming(true);
    for (int i = 0; i < 32; ++i) {
      std::string heard;
      heard.reserve(block.size());
      pair.write(pair.client, pair.server, block, i % 8 == 0 ? TlsRecords::Small : TlsRecords::Full);
      pair.read(pair.server, pair.client, heard);
      if (heard != block) ++wrong;
    }
    pair.client.stream->set_streaming(false);
    pair.server.stream->set_streaming(false);
    CHECK(wrong == 0);
  }
}

TEST_CASE("tls stream: records are as large as they are asked for") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  REQUIRE(pair.shake());
  const std::string bytes = pattern(32 << 10);
  const auto records = [&](TlsRecords kind) {
    pair.server.incoming.clear();
    pair.server.consumed = 0;
    pair.write(pair.client, pair.server, bytes, kind);
    int count = 0;
    for (size_t at = 0; at + 5 <= pair.server.incoming.size(); ++count) {
      at += 5u + (size_t{pair.server.incoming[at + 3]} << 8 | pair.server.incoming[at + 4]);
    }
    return count;
  };
  CHECK(records(TlsRecords::Full) == 2);
  CHECK(records(TlsRecords::Small) == 8);
}

TEST_CASE("tls stream: the ciphertext of a write fits what ciphertext_of says") {
  for (const bool tls13 : {true, false}) {
    TlsPair pair(serving(tls13), client_context(client_options()));
    REQUIRE(pair.shake());
    for (const TlsRecords records : {TlsRecords::Small, TlsRecords::Full}) {
      for (const size_t length : {size_t{1}, size_t{64}, size_t{4096}, size_t{16384}, size_t{16385}, size_t{131072}}) {
        const std::string bytes = pattern(length);
        Bytes out(TlsStream::ciphertext_of(length) + 2 * TlsStream::kOverhead);
        TlsOutput output{.room = out};
        size_t n = 0;
        REQUIRE(pair.client.stream->write(output, {reinterpret_cast<const uint8_t*>(bytes.data()), length}, records, n) ==
                TlsIo::Progress);
        CHECK(n == length);
        CHECK_FALSE(pair.client.stream->unsent());
        CHECK(output.used <= TlsStream::ciphertext_of(length));
      }
    }
  }
}

TEST_CASE("tls stream: a transport that ends without close_notify is told apart, and what can be written is") {
  for (const bool tls13 : {true, false}) {
    TlsPair pair(serving(tls13), client_context(client_options()));
    REQUIRE(pair.shake());
    pair.write(pair.client, pair.server, "all that came");
    pair.server.ended = true;
    std::string heard;
    CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::Truncated);
    CHECK(heard == "all that came");
    pair.write(pair.server, pair.client, "answer");
    CHECK(pair.close(pair.server, pair.client) == TlsIo::Progress);
    heard.clear();
    CHECK(pair.read(pair.client, pair.server, heard) == TlsIo::Ended);
    CHECK(heard == "answer");
  }
}

TEST_CASE("tls stream: a record cut in the middle is truncation, and gives nothing") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  REQUIRE(pair.shake());
  pair.write(pair.client, pair.server, "whole record");
  pair.server.incoming.pop_back();
  pair.server.ended = true;
  std::string heard;
  CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::Truncated);
  CHECK(heard.empty());
}

TEST_CASE("tls stream: a peer that is gone in the handshake") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  pair.shake_once(pair.client, pair.server);
  pair.server.incoming.pop_back();
  pair.server.ended = true;
  CHECK(pair.shake_once(pair.server, pair.client) == TlsIo::Failed);
  CHECK(pair.server.stream->error().fault == TlsFault::Cut);
  CHECK(pair.shake_once(pair.server, pair.client) == TlsIo::Failed);
}

TEST_CASE("tls stream: keys are renewed after so many records") {
  for (const bool tls13 : {true, false}) {
    TlsServerOptions serve = server_options();
    TlsClientOptions ask = client_options();
    serve.common.records_per_key = 5;
    ask.common.records_per_key = 3;
    TlsPair pair(serving(tls13, serve), client_context(ask));
    REQUIRE(pair.shake());
    std::string heard;
    std::string sent;
    for (int i = 0; i < 200; ++i) {
      const std::string piece = pattern(static_cast<size_t>(i) * 37 + 1);
      pair.write(pair.client, pair.server, piece);
      sent += piece;
      if (i % 3 == 0) pair.read(pair.server, pair.client, heard);
    }
    pair.read(pair.server, pair.client, heard);
    CHECK(heard == sent);
    heard.clear();
    pair.write(pair.server, pair.client, pattern(300'000));
    pair.read(pair.client, pair.server, heard);
    CHECK(heard == pattern(300'000));
  }
}

TEST_CASE("tls stream: only as much is consumed as the plaintext's room allows, and the rest says so") {
  TlsPair pair(server_context(server_options()), client_context(client_options()));
  REQUIRE(pair.shake());
  pair.write(pair.client, pair.server, pattern(40'000));
  Bytes out(1000);
  Bytes plain(1000);
  TlsOutput output{.room = out};
  TlsInput input = pair.server.input(SIZE_MAX);
  size_t n = 0;
  REQUIRE(pair.server.stream->read(input, output, plain, n) == TlsIo::Progress);
  CHECK(n == 1000);
  CHECK(pair.server.stream->readable());
  CHECK_FALSE(input.bytes.empty());
  pair.server.took(input);
  std::string heard(plain.begin(), plain.end());
  CHECK(pair.read(pair.server, pair.client, heard) == TlsIo::WantInput);
  CHECK_FALSE(pair.server.stream->readable());
  CHECK(heard == pattern(40'000));
}

}  // namespace millrace::test
