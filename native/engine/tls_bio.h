// What a TLS stream reads its ciphertext from and writes it to: the caller's buffers, for the length of one call.
// OpenSSL's memory BIO would copy everything once more and keep its buffers, its socket BIO does a system call or two
// for every record.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tls_library.h"

namespace millrace {

// Ciphertext that has come. `bytes` shrinks as it is consumed.
struct TlsInput {
  std::span<const uint8_t> bytes;
  bool ended = false;  // nothing follows: the transport's FIN
};

// Room for ciphertext, of which the first `used` bytes are to be sent.
struct TlsOutput {
  std::span<uint8_t> room;
  size_t used = 0;

  size_t left() const { return room.size() - used; }
};

// The two, as the BIO sees them.
struct TlsBuffers {
  explicit TlsBuffers(const TlsLibrary& library) : library(library) {}

  // Moves what had no room before into `output`; false when some is left.
  bool drain(TlsOutput& output);

  const TlsLibrary& library;
  TlsInput* input = nullptr;
  TlsOutput* output = nullptr;
  // What found no room. OpenSSL is never told to try a write again, which it would only accept with the same bytes;
  // instead nothing more is asked of it while anything is here, so that it is one flight at most.
  std::vector<uint8_t> spill;
  size_t spill_offset = 0;
  // OpenSSL asked for more than there was.
  bool starved = false;
};

// Null when out of memory. BIOs made with it have TlsBuffers as their data.
BIO_METHOD* make_tls_bio_method(const TlsLibrary& library);

}  // namespace millrace
