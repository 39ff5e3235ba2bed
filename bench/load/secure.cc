#include "secure.h"

#include <fstream>
#include <iterator>

#include "common.h"

namespace load {
namespace {

using namespace millrace;

// Plaintext of one call.
constexpr size_t kMost = 128 * 1024;

struct Scratch {
  std::vector<uint8_t> in = std::vector<uint8_t>(kMost);
  std::vector<uint8_t> out = std::vector<uint8_t>(TlsStream::ciphertext_of(kMost) + 64 * 1024);
};

Scratch& scratch() {
  thread_local Scratch one;
  return one;
}

const TlsLibrary& library() {
  std::string problem;
  const TlsLibrary* const found = tls_library(TlsSource::System, problem);
  if (found != nullptr) return *found;
  std::fprintf(stderr, "load: %s\n", problem.c_str());
  std::exit(1);
}

std::shared_ptr<const TlsContext> only_aes128(std::shared_ptr<const TlsContext> context, const std::string& problem) {
  if (!context || library().SSL_CTX_set_ciphersuites(context->get(), "TLS_AES_128_GCM_SHA256") != 1) {
    std::fprintf(stderr, "load: TLS: %s\n", problem.c_str());
    std::exit(1);
  }
  return context;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail(path.c_str());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<const Secure> Secure::server(const Options& options) {
  const std::string certificate = read_file(options.certificate);
  const std::string key = read_file(options.key);
  TlsServerOptions serve;
  serve.certificate = certificate;
  serve.key = key;
  TicketKey ticket{};
  if (library().RAND_bytes(ticket.secret.data(), static_cast<int>(ticket.secret.size())) != 1) fail("RAND_bytes");
  serve.tickets = std::make_shared<TicketKeys>(std::vector{ticket});
  std::string problem;
  auto made = std::make_shared<Secure>();
  made->context_ = only_aes128(TlsContext::server(library(), serve, problem), problem);
  return made;
}

std::shared_ptr<const Secure> Secure::client(const Options& options) {
  TlsClientOptions ask;
  ask.common.minimum = TlsMinimum::Tls13;
  ask.trust.kind = TlsTrust::Kind::None;
  if (options.resume) ask.sessions = std::make_shared<TlsSessions>(library());
  std::string problem;
  auto made = std::make_shared<Secure>();
  made->context_ = only_aes128(TlsContext::client(library(), ask, problem), problem);
  return made;
}

std::unique_ptr<TlsStream> Secure::open(int fd) const {
  auto stream = context_->is_server() ? TlsStream::server(context_)
                                      : TlsStream::client(context_, "localhost", std::to_string(fd));
  if (!stream) fail("a TLS connection");
  stream->set_streaming(true);
  return stream;
}

void SecureEnd::deliver(const TlsOutput& output) {
  size_t sent = 0;
  if (unsent_.empty()) {
    while (sent < output.used) {
      const ssize_t n = ::send(fd_, output.room.data() + sent, output.used - sent, MSG_NOSIGNAL);
      if (n < 0) break;
      sent += static_cast<size_t>(n);
    }
  }
  unsent_.insert(unsent_.end(), output.room.data() + sent, output.room.data() + output.used);
}

void SecureEnd::flush() {
  if (unsent_.empty()) return;
  while (unsent_offset_ < unsent_.size()) {
    const ssize_t n = ::send(fd_, unsent_.data() + unsent_offset_, unsent_.size() - unsent_offset_, MSG_NOSIGNAL);
    if (n < 0) return;
    unsent_offset_ += static_cast<size_t>(n);
  }
  unsent_.clear();
  unsent_offset_ = 0;
  if (finished_) ::shutdown(fd_, SHUT_WR);
}

int SecureEnd::fill(TlsInput& input) {
  std::vector<uint8_t>& in = scratch().in;
  size_t had = 0;
  if (!unread_.empty()) {
    had = unread_.size();
    std::copy(unread_.begin(), unread_.end(), in.begin());
    unread_.clear();
  }
  int error = 0;
  if (!ended_ && had < in.size()) {
    const ssize_t got = ::recv(fd_, in.data() + had, in.size() - had, 0);
    if (got == 0) ended_ = true;
    if (got < 0) error = errno == ENOTCONN ? EAGAIN : errno;
    else had += static_cast<size_t>(got);
  }
  input = {.bytes = {in.data(), had}, .ended = ended_};
  return had > 0 || ended_ ? 0 : error;
}

void SecureEnd::keep(const TlsInput& input) { unread_.assign(input.bytes.begin(), input.bytes.end()); }

bool SecureEnd::shake() {
  flush();
  while (!stream_->established()) {
    TlsInput input;
    const int error = fill(input);
    if (error != 0 && error != EAGAIN) {
      errno = error;
      return false;
    }
    TlsOutput output{.room = scratch().out};
    const TlsIo io = stream_->handshake(input, output);
    keep(input);
    deliver(output);
    if (io == TlsIo::Failed) {
      std::fprintf(stderr, "load: TLS: %s\n", stream_->error().text.c_str());
      errno = ECONNABORTED;
      return false;
    }
    if (io == TlsIo::WantInput && error == EAGAIN) {
      errno = EAGAIN;
      return false;
    }
  }
  return true;
}

ssize_t SecureEnd::recv(char* into, size_t size) {
  if (!shake()) return -1;
  for (;;) {
    TlsInput input;
    int error = 0;
    // What OpenSSL has decrypted already comes first.
    if (!stream_->readable()) error = fill(input);
    if (error != 0) {
      errno = error;
      return -1;
    }
    TlsOutput output{.room = scratch().out};
    size_t moved = 0;
    const bool whole = stream_->readable();
    const TlsIo io = stream_->read(input, output, {reinterpret_cast<uint8_t*>(into), size}, moved);
    if (!whole) keep(input);
    if (output.used > 0) deliver(output);
    if (moved > 0) return static_cast<ssize_t>(moved);
    if (io == TlsIo::Ended || io == TlsIo::Truncated) return 0;
    if (io == TlsIo::Failed) {
      std::fprintf(stderr, "load: TLS: %s\n", stream_->error().text.c_str());
      errno = ECONNABORTED;
      return -1;
    }
  }
}

ssize_t SecureEnd::send(const char* from, size_t size) {
  if (!shake()) return -1;
  if (!unsent_.empty()) {
    errno = EAGAIN;
    return -1;
  }
  TlsOutput output{.room = scratch().out};
  size_t moved = 0;
  const std::span<const uint8_t> plaintext{reinterpret_cast<const uint8_t*>(from), std::min(size, kMost)};
  if (stream_->write(output, plaintext, TlsRecords::Full, moved) == TlsIo::Failed) {
    errno = ECONNABORTED;
    return -1;
  }
  deliver(output);
  return static_cast<ssize_t>(moved);
}

void SecureEnd::finish() {
  if (finished_) return;
  finished_ = true;
  if (stream_->established()) {
    TlsOutput output{.room = scratch().out};
    stream_->close(output);
    deliver(output);
  }
  if (unsent_.empty()) ::shutdown(fd_, SHUT_WR);
}

}  // namespace load
