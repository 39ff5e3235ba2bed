#include "tls_layer.h"

#include <algorithm>
#include <cerrno>

#include "socket.h"

namespace millrace {

Io TlsLayer::fetch(Socket& socket, size_t length, TlsInput& input) {
  if (!input_.empty()) {
    input = {{input_.data(), input_.size()}, ended_};
    return Io::Progress;
  }
  input = {{}, ended_};
  if (again_ || ended_) return Io::Progress;
  size_t n = 0;
  const Io io = socket.receive_raw(scratch_->input.data(), std::min(length, scratch_->input.size()), n);
  if (io == Io::Ended) ended_ = input.ended = true;
  else if (io != Io::Progress) return io;
  input.bytes = {scratch_->input.data(), n};
  return Io::Progress;
}

void TlsLayer::keep(const TlsInput& input, bool was_kept) {
  if (was_kept) input_.consume(input_.size() - input.bytes.size());
  else input_.append(input.bytes);
}

void TlsLayer::put(Socket& socket, const TlsOutput& output) {
  std::span<const uint8_t> bytes(output.room.data(), output.used);
  while (!bytes.empty() && output_.empty()) {
    size_t n = 0;
    if (socket.send_raw(bytes.data(), bytes.size(), n) != Io::Progress) break;
    bytes = bytes.subspan(n);
    taken_ += n;
  }
  if (socket.error() == 0 || output_.size() <= kMaxReplies) output_.append(bytes);
}

void TlsLayer::fail(Socket& socket) {
  const TlsFault fault = stream_->error().fault;
  socket.fail(fault == TlsFault::Alert || fault == TlsFault::Cut ? ECONNRESET : EPROTO);
}

Io TlsLayer::handshake(Socket& socket) {
  // What found no room may be what the peer waits for. Of a failure to send, what it has said may tell the reason.
  size_t before = 0;
  flush(socket, before);
  for (;;) {
    const bool kept = !input_.empty();
    TlsInput input;
    if (const Io io = fetch(socket, scratch_->input.size(), input); io != Io::Progress) return io;
    TlsOutput output{scratch_->output};
    const TlsIo done = stream_->handshake(input, output);
    keep(input, kept);
    put(socket, output);
    again_ = done != TlsIo::WantInput;
    switch (done) {
      case TlsIo::Progress:
        return Io::Progress;
      case TlsIo::WantInput:
        if (!socket.readable_raw()) return Io::Blocked;
        break;
      case TlsIo::WantOutput:
        break;
      default:
        return Io::Failed;
    }
  }
}

Io TlsLayer::receive(Socket& socket, void* buffer, size_t length, size_t& moved) {
  // As much as leaves nothing behind, but at least a record.
  const size_t wanted = std::max(length, 2 * TlsStream::kHeld) - TlsStream::kHeld + TlsStream::kOverhead;
  for (;;) {
    const bool kept = !input_.empty();
    TlsInput input;
    if (const Io io = fetch(socket, wanted, input); io != Io::Progress) return io;
    TlsOutput output{scratch_->output};
    const TlsIo done = stream_->read(input, output, {static_cast<uint8_t*>(buffer), length}, moved);
    keep(input, kept);
    put(socket, output);
    again_ = done == TlsIo::WantOutput || (done == TlsIo::Progress && !stream_->starved());
    if (output_.size() > kMaxReplies) socket.fail(EPROTO);
    if (done == TlsIo::Progress) return Io::Progress;
    // A failed socket says so once it is empty: what came before is still to be had.
    switch (done) {
      case TlsIo::WantInput:
        if (!socket.readable_raw()) return Io::Blocked;
        break;
      case TlsIo::WantOutput:
        break;
      case TlsIo::Truncated:
        truncated_ = true;
        return Io::Ended;
      case TlsIo::Ended:
        ended_ = true;
        return Io::Ended;
      default:
        fail(socket);
        return Io::Failed;
    }
  }
}

Io TlsLayer::send(Socket& socket, const void* bytes, size_t length, size_t& moved, size_t uncounted, size_t behind) {
  size_t before = 0;
  if (const Io io = flush(socket, before); io != Io::Progress) return io;
  const TlsRecords records = streaming_out_ ? TlsRecords::Full : TlsRecords::Small;
  for (;;) {
    TlsOutput output{scratch_->output};
    scratch_->records.clear();
    const uint64_t put_before = taken_ + output_.size();
    const TlsIo done =
        stream_->write(output, {static_cast<const uint8_t*>(bytes), length}, records, moved, &scratch_->records);
    put(socket, output);
    const size_t counted = std::min(moved, length - behind) - std::min(moved, uncounted);
    if (!output_.empty()) keep_records(put_before, uncounted, counted);
    // Some of it may be out although the socket has failed, which the next call tells.
    if (done == TlsIo::Progress) return Io::Progress;
    if (socket.error() != 0) return Io::Failed;
    if (done == TlsIo::WantOutput) continue;
    fail(socket);
    return Io::Failed;
  }
}

void TlsLayer::keep_records(uint64_t before, size_t uncounted, size_t counted) {
  for (const TlsRecord& record : scratch_->records) {
    const size_t nobodys = std::min(uncounted, record.plaintext);
    uncounted -= nobodys;
    const size_t somebodys = std::min(counted, record.plaintext - nobodys);
    counted -= somebodys;
    if (before + record.end > taken_) records_.push_back({before + record.end, somebodys});
  }
}

uint64_t TlsLayer::unsent_plaintext() const {
  uint64_t unsent = 0;
  for (const TlsRecord& record : records_) unsent += record.end > taken_ ? record.plaintext : 0;
  return unsent;
}

Io TlsLayer::flush(Socket& socket, size_t& moved) {
  while (!output_.empty()) {
    size_t n = 0;
    const Io io = socket.send_raw(output_.data(), output_.size(), n);
    if (io != Io::Progress) return io;
    output_.consume(n);
    taken_ += n;
    moved += n;
  }
  // Freed, not cleared: what is idle owns no buffer.
  if (!records_.empty()) records_ = {};
  return Io::Progress;
}

Io TlsLayer::close(Socket& socket) {
  while (!said_close_) {
    TlsOutput output{scratch_->output};
    // A connection that has failed has said its alert already.
    said_close_ = stream_->close(output) != TlsIo::WantOutput;
    put(socket, output);
  }
  size_t moved = 0;
  return socket.error() != 0 ? Io::Failed : flush(socket, moved);
}

void TlsLayer::set_streaming_in(bool on) {
  streaming_in_ = on;
  stream_->set_streaming(streaming_in_ || streaming_out_);
}

void TlsLayer::set_streaming_out(bool on) {
  streaming_out_ = on;
  stream_->set_streaming(streaming_in_ || streaming_out_);
}

}  // namespace millrace
