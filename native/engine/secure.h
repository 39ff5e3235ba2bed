// What turns a plain endpoint into a TLS one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "timer_wheel.h"
#include "tls_context.h"
#include "tls_names.h"

namespace millrace {

struct SecureSpec {
  // A client's, or the only one of a server.
  std::shared_ptr<const TlsContext> context;
  // Of a server that has several: chosen by the name that the client asks for. Instead of `context`.
  std::shared_ptr<const TlsNames> names;
  // Client: as TlsStream::client() says.
  std::string name;
  std::string address;
  // Ciphertext that has already been read from the socket.
  std::vector<uint8_t> head;
  // When the peer's connection ends without close_notify, a join resets its other side instead of sending FIN.
  bool reset_when_truncated = false;
  Millis deadline = kNever;
};

}  // namespace millrace
