// Two TLS streams that talk through memory, in pieces of any size.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "secure.h"
#include "tls_stream.h"

namespace millrace::test {

using Bytes = std::vector<uint8_t>;

// The engine's table, from the system's OpenSSL; fails the test when there is none.
const TlsLibrary& library();

std::shared_ptr<const TlsContext> server_context(const TlsServerOptions& options);
std::shared_ptr<const TlsContext> client_context(const TlsClientOptions& options);
// That of kServerChain.
TlsServerOptions server_options();
// Trusts kRoot.
TlsClientOptions client_options();
// What makes an endpoint of the engine's the server, or the client, of a peer with these settings.
std::unique_ptr<SecureSpec> server_spec(bool reset_when_truncated = false);
std::unique_ptr<SecureSpec> client_spec(const std::string& name = "localhost", bool reset_when_truncated = false);
// A key made of one byte.
TicketKey ticket_key(uint8_t byte);

// One end: the stream, and the ciphertext that is on its way to it.
struct TlsEnd {
  std::unique_ptr<TlsStream> stream;
  Bytes incoming;
  size_t consumed = 0;
  bool ended = false;  // nothing more will come

  // The bytes that have come, at most `piece` of them.
  TlsInput input(size_t piece);
  void took(const TlsInput& input);
};

struct TlsPair {
  TlsEnd client;
  TlsEnd server;
  size_t piece = SIZE_MAX;    // how much of the ciphertext an end sees at once
  size_t room = 64 << 10;     // for ciphertext, at each call

  TlsPair(std::shared_ptr<const TlsContext> server_context, std::shared_ptr<const TlsContext> client_context,
          const std::string& name = "localhost", std::string_view address = "192.0.2.1:443");
  TlsPair(std::shared_ptr<const TlsNames> names, std::shared_ptr<const TlsContext> client_context, const std::string& name);

  // Until both are established or one has failed, whose error the other then meets as well.
  bool shake();
  TlsIo shake_once(TlsEnd& from, TlsEnd& to);
  // Writes all of it, as ciphertext on its way to `to`.
  void write(TlsEnd& from, TlsEnd& to, std::string_view plaintext, TlsRecords records = TlsRecords::Full);
  TlsIo close(TlsEnd& from, TlsEnd& to);
  // Reads until nothing more can be; what stopped it.
  TlsIo read(TlsEnd& at, TlsEnd& other, std::string& plaintext);
};

}  // namespace millrace::test
