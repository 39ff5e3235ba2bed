// What OpenSSL asks back during a handshake, and what the answers need to know of the connection.
#pragma once

#include <memory>
#include <string>

#include "tls_context.h"
#include "tls_error.h"
#include "tls_names.h"

namespace millrace {

// One connection; the SSL's application data (SSL_set_ex_data with index 0) points to it.
struct TlsConnection {
  std::shared_ptr<const TlsContext> context;
  std::shared_ptr<const TlsNames> names;  // server: until the ClientHello has come
  std::string server_name;                // that the client asks for, '' when none
  std::string session_key;                // client: under which its sessions are kept
  TlsFault fault = TlsFault::None;        // what a callback refused
};

void set_server_callbacks(const TlsContext& context);
void set_client_callbacks(const TlsContext& context);

}  // namespace millrace
