#include "tls_bio.h"

#include <cstring>

namespace millrace {

namespace {

TlsBuffers& buffers_of(BIO* bio) { return *static_cast<TlsBuffers*>(loaded_tls_library().BIO_get_data(bio)); }

int read_from(BIO* bio, char* into, int length) {
  TlsBuffers& buffers = buffers_of(bio);
  buffers.library.BIO_clear_flags(bio, openssl::kBioRetryFlags);
  if (length <= 0) return 0;
  const size_t available = buffers.input != nullptr ? buffers.input->bytes.size() : 0;
  if (available == 0) {
    // Nor at the end: OpenSSL would take it for a fatal error, and what is still to be sent could not be.
    buffers.starved = true;
    buffers.library.BIO_set_flags(bio, openssl::kBioRead | openssl::kBioRetry);
    return -1;
  }
  const size_t taken = std::min(available, static_cast<size_t>(length));
  std::memcpy(into, buffers.input->bytes.data(), taken);
  buffers.input->bytes = buffers.input->bytes.subspan(taken);
  return static_cast<int>(taken);
}

int write_to(BIO* bio, const char* bytes, int length) {
  TlsBuffers& buffers = buffers_of(bio);
  buffers.library.BIO_clear_flags(bio, openssl::kBioRetryFlags);
  if (length <= 0) return 0;
  const auto size = static_cast<size_t>(length);
  size_t placed = 0;
  if (buffers.output != nullptr && buffers.spill.empty()) {
    TlsOutput& output = *buffers.output;
    placed = std::min(size, output.left());
    if (placed > 0) std::memcpy(output.room.data() + output.used, bytes, placed);
    output.used += placed;
  }
  if (placed < size) buffers.spill.insert(buffers.spill.end(), bytes + placed, bytes + size);
  return length;
}

long control(BIO*, int command, long, void*) { return command == openssl::kBioFlush ? 1 : 0; }

}  // namespace

bool TlsBuffers::drain(TlsOutput& out) {
  if (spill.empty()) return true;
  const size_t moved = std::min(spill.size() - spill_offset, out.left());
  if (moved > 0) std::memcpy(out.room.data() + out.used, spill.data() + spill_offset, moved);
  out.used += moved;
  spill_offset += moved;
  if (spill_offset < spill.size()) return false;
  // Freed, not cleared: an idle stream owns no buffer.
  spill = {};
  spill_offset = 0;
  return true;
}

BIO_METHOD* make_tls_bio_method(const TlsLibrary& library) {
  BIO_METHOD* const method = library.BIO_meth_new(library.BIO_get_new_index() | openssl::kBioSource, "millrace");
  if (method == nullptr) return nullptr;
  library.BIO_meth_set_read(method, read_from);
  library.BIO_meth_set_write(method, write_to);
  library.BIO_meth_set_ctrl(method, control);
  return method;
}

}  // namespace millrace
