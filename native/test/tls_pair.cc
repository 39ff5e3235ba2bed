#include "tls_pair.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tls_fixtures.h"

namespace millrace::test {

const TlsLibrary& library() {
  std::string problem;
  const TlsLibrary* const found = tls_library(TlsSource::System, problem);
  if (found == nullptr) {
    std::fprintf(stderr, "the tests of TLS need OpenSSL 3: %s\n", problem.c_str());
    std::abort();
  }
  return *found;
}

std::shared_ptr<const TlsContext> server_context(const TlsServerOptions& options) {
  std::string problem;
  auto context = TlsContext::server(library(), options, problem);
  CHECK(problem == "");
  REQUIRE(context);
  return context;
}

std::shared_ptr<const TlsContext> client_context(const TlsClientOptions& options) {
  std::string problem;
  auto context = TlsContext::client(library(), options, problem);
  CHECK(problem == "");
  REQUIRE(context);
  return context;
}

TlsServerOptions server_options() {
  TlsServerOptions options;
  options.certificate = kServerChain;
  options.key = kServerKey;
  options.front = "front";
  return options;
}

TlsClientOptions client_options() {
  TlsClientOptions options;
  options.trust.roots = kRoot;
  return options;
}

std::unique_ptr<SecureSpec> server_spec(bool reset_when_truncated) {
  auto spec = std::make_unique<SecureSpec>();
  spec->context = server_context(server_options());
  spec->reset_when_truncated = reset_when_truncated;
  return spec;
}

std::unique_ptr<SecureSpec> client_spec(const std::string& name, bool reset_when_truncated) {
  auto spec = std::make_unique<SecureSpec>();
  spec->context = client_context(client_options());
  spec->name = name;
  spec->address = "192.0.2.1:443";
  spec->reset_when_truncated = reset_when_truncated;
  return spec;
}

TicketKey ticket_key(uint8_t byte) {
  TicketKey key;
  key.name.fill(byte);
  key.secret.fill(static_cast<uint8_t>(byte + 100));
  return key;
}

TlsInput TlsEnd::input(size_t piece) {
  const size_t there = incoming.size() - consumed;
  return {.bytes = {incoming.data() + consumed, std::min(there, piece)}, .ended = ended && there <= piece};
}

void TlsEnd::took(const TlsInput& input) {
  consumed = static_cast<size_t>(input.bytes.data() - incoming.data());
  if (consumed < incoming.size()) return;
  incoming.clear();
  consumed = 0;
}

TlsPair::TlsPair(std::shared_ptr<const TlsContext> serving, std::shared_ptr<const TlsContext> asking,
                 const std::string& name, std::string_view address) {
  server.stream = TlsStream::server(std::move(serving));
  client.stream = TlsStream::client(std::move(asking), name, address);
  REQUIRE(server.stream);
  REQUIRE(client.stream);
}

TlsPair::TlsPair(std::shared_ptr<const TlsNames> names, std::shared_ptr<const TlsContext> asking, const std::string& name) {
  server.stream = TlsStream::server(std::move(names));
  client.stream = TlsStream::client(std::move(asking), name, "192.0.2.1:443");
  REQUIRE(server.stream);
  REQUIRE(client.stream);
}

TlsIo TlsPair::shake_once(TlsEnd& from, TlsEnd& to) {
  Bytes out(room);
  TlsOutput output{.room = out};
  TlsInput input = from.input(piece);
  const TlsIo io = from.stream->handshake(input, output);
  from.took(input);
  to.incoming.insert(to.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
  return io;
}

bool TlsPair::shake() {
  // Each turn moves a piece; no handshake has more than this many bytes.
  for (int i = 0; i < 40'000; ++i) {
    const TlsIo at_client = shake_once(client, server);
    const TlsIo at_server = shake_once(server, client);
    const bool done = client.stream->established() && server.stream->established();
    if (done && !client.stream->unsent() && !server.stream->unsent()) return true;
    if (at_client != TlsIo::Failed && at_server != TlsIo::Failed) continue;
    // The alert's way to the other side.
    for (int j = 0; j < 8'000 && !(client.incoming.empty() && server.incoming.empty()); ++j) {
      std::string rest;
      if (client.stream->established()) read(client, server, rest);
      else shake_once(client, server);
      if (server.stream->established()) read(server, client, rest);
      else shake_once(server, client);
      if (client.stream->error().fault != TlsFault::None) client.incoming.clear();
      if (server.stream->error().fault != TlsFault::None) server.incoming.clear();
    }
    return false;
  }
  return false;
}

void TlsPair::write(TlsEnd& from, TlsEnd& to, std::string_view plaintext, TlsRecords records) {
  Bytes out(room);
  while (!plaintext.empty()) {
    TlsOutput output{.room = out};
    size_t n = 0;
    const std::span bytes(reinterpret_cast<const uint8_t*>(plaintext.data()), plaintext.size());
    const TlsIo io = from.stream->write(output, bytes, records, n);
    to.incoming.insert(to.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
    plaintext.remove_prefix(n);
    if (io == TlsIo::WantOutput && output.used > 0) continue;
    REQUIRE(io == TlsIo::Progress);
    REQUIRE(n > 0);
  }
}

TlsIo TlsPair::close(TlsEnd& from, TlsEnd& to) {
  Bytes out(room);
  TlsOutput output{.room = out};
  const TlsIo io = from.stream->close(output);
  to.incoming.insert(to.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
  return io;
}

TlsIo TlsPair::read(TlsEnd& at, TlsEnd& other, std::string& plaintext) {
  Bytes buffer(80 << 10);
  Bytes out(room);
  for (;;) {
    TlsOutput output{.room = out};
    TlsInput input = at.input(piece);
    const size_t before = input.bytes.size();
    size_t n = 0;
    const TlsIo io = at.stream->read(input, output, buffer, n);
    const size_t taken = before - input.bytes.size();
    at.took(input);
    other.incoming.insert(other.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
    plaintext.append(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(n));
    if (io == TlsIo::Progress || io == TlsIo::WantOutput) continue;
    if (io == TlsIo::WantInput && taken > 0 && !at.incoming.empty()) continue;
    return io;
  }
}

}  // namespace millrace::test
