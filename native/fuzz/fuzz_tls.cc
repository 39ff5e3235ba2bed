// Two TLS streams, and somebody between them who changes what is on its way. The input is a script: who writes, reads
// and ends, and what is flipped, cut out, repeated, inserted and swapped meanwhile. Whatever happens, each end reads a
// prefix of what the other has written, and hears a clean end only when there was one.
#include <algorithm>

#include "script.h"
#include "targets.h"
#include "tls_stream.h"
#include "tls_world.h"

namespace millrace::fuzz {

namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kRooms[] = {64 << 10, 17 << 10, 600, 40};
constexpr int kMaxCalls = 20'000;

uint8_t pattern(bool of_client, size_t at) { return static_cast<uint8_t>(at * 31 + at / 251 + (of_client ? 7 : 101)); }

struct End {
  std::unique_ptr<TlsStream> stream;
  bool client = false;
  Bytes incoming;       // ciphertext on its way here
  bool ended = false;   // and nothing behind it
  bool spoiled = false; // it was changed
  size_t written = 0;
  size_t heard = 0;
  bool closed = false;  // it was told to say close_notify
  bool said = false;    // and has
  bool failed = false;
  bool over = false;    // the end was heard
};

class Play {
 public:
  Play(const uint8_t* bytes, size_t length) : script_(bytes, length) {}

  std::string run() {
    const uint8_t kind = script_.byte();
    version_ = (kind & 1) != 0 ? Speaks::Tls13 : Speaks::Tls12;
    client_.client = true;
    client_.stream = TlsStream::client(asking(version_, (kind & 2) != 0), "localhost", "fuzz");
    server_.stream = TlsStream::server(serving(version_));
    if (!client_.stream || !server_.stream) return "no stream";
    // Most of what there is to be found lies behind the handshake.
    if ((kind & 4) != 0) settle();
    while (broken_.empty() && !script_.done()) op();
    room_ = kRooms[0];
    if (broken_.empty()) settle();
    if (broken_.empty()) finish();
    return broken_;
  }

 private:
  void op() {
    const uint8_t what = script_.byte();
    End& end = (what & 1) != 0 ? client_ : server_;
    switch ((what >> 1) % 12) {
      case 0:
        return step(end, SIZE_MAX);
      case 1:
        return step(end, 1 + script_.byte());
      case 2:
        return write(end, 1 + script_.byte() * size_t{37}, TlsRecords::Full);
      case 3:
        return write(end, 1 + script_.byte() * size_t{300}, TlsRecords::Small);
      case 4:
        return close(end);
      case 5:
        return end.stream->set_streaming((script_.byte() & 1) != 0);
      case 6:
        room_ = kRooms[script_.byte() % 4];
        return;
      case 7:
        end.ended = true;
        return;
      default:
        return spoil(end, (what >> 1) % 12);
    }
  }

  void spoil(End& end, int how) {
    Bytes& bytes = end.incoming;
    const size_t at = bytes.empty() ? 0 : (script_.byte() * size_t{256} + script_.byte()) % bytes.size();
    const size_t length = std::min<size_t>(1 + script_.byte() % 64, bytes.size() - at);
    const auto from = bytes.begin() + static_cast<ptrdiff_t>(at);
    const Bytes piece(from, from + static_cast<ptrdiff_t>(length));
    switch (how) {
      case 8:  // flipped
        if (bytes.empty()) return;
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ (1 + script_.byte() % 255));
        break;
      case 9:  // cut out
        bytes.erase(from, from + static_cast<ptrdiff_t>(length));
        break;
      case 10:  // repeated
        bytes.insert(from, piece.begin(), piece.end());
        break;
      default: {  // inserted
        Bytes strange;
        for (size_t i = 0; i < 1 + length % 24; ++i) strange.push_back(script_.byte());
        bytes.insert(from, strange.begin(), strange.end());
      }
    }
    end.spoiled = true;
  }

  void step(End& end, size_t piece) {
    if (++calls_ > kMaxCalls) return fail("a conversation without end");
    End& other = end.client ? server_ : client_;
    Bytes out(room_);
    Bytes plain(40 << 10);
    const size_t length = std::min(piece, end.incoming.size());
    TlsInput input{.bytes = {end.incoming.data(), length}, .ended = end.ended && length == end.incoming.size()};
    TlsOutput output{.room = out};
    size_t n = 0;
    const bool shaking = !end.stream->established();
    const TlsIo io = shaking ? end.stream->handshake(input, output) : end.stream->read(input, output, plain, n);
    const size_t taken = length - input.bytes.size();
    end.incoming.erase(end.incoming.begin(), end.incoming.begin() + static_cast<ptrdiff_t>(taken));
    sent(other, out, output);
    for (size_t i = 0; i < n; ++i, ++end.heard) {
      if (end.heard >= other.written) return fail("more is read than was written");
      if (plain[i] != pattern(other.client, end.heard)) return fail("other bytes are read than were written");
    }
    moved_ = moved_ || taken > 0 || n > 0 || output.used > 0;
    judge(end, other, io, input);
  }

  void judge(End& end, const End& other, TlsIo io, const TlsInput& input) {
    const bool says_why = end.stream->error().fault != TlsFault::None;
    if (io == TlsIo::Failed && (!says_why || end.stream->error().text.empty())) return fail("a failure without a reason");
    if (end.failed && io != TlsIo::Failed && io != TlsIo::WantOutput) return fail("it goes on behind its failure");
    if (io == TlsIo::WantInput && !input.bytes.empty()) return fail("input is left although more is wanted");
    if (io == TlsIo::Ended && !other.closed) return fail("a clean end that nobody has said");
    if (io == TlsIo::Truncated && !end.ended) return fail("a cut that was none");
    end.failed = end.failed || io == TlsIo::Failed;
    end.over = end.over || io == TlsIo::Ended || io == TlsIo::Truncated;
    if (io == TlsIo::Failed && !client_.spoiled && !server_.spoiled && !client_.ended && !server_.ended) {
      return fail("it fails although nobody has changed anything: " + end.stream->error().text);
    }
    if (!end.stream->established()) return;
    const std::string_view version = version_ == Speaks::Tls13 ? "TLSv1.3" : "TLSv1.2";
    if (end.stream->version() != version) fail("another version than both prefer");
    if (std::string_view(end.stream->cipher()).find("AES_128_GCM") == std::string_view::npos &&
        std::string_view(end.stream->cipher()).find("AES128-GCM") == std::string_view::npos &&
        std::string_view(end.stream->cipher()).find("CHACHA20") == std::string_view::npos) {
      fail("another cipher than both prefer");
    }
  }

  void write(End& end, size_t length, TlsRecords records) {
    if (!end.stream->established() || end.closed) return;
    End& other = end.client ? server_ : client_;
    Bytes out(room_);
    Bytes plain;
    for (size_t i = 0; i < length; ++i) plain.push_back(pattern(end.client, end.written + i));
    TlsOutput output{.room = out};
    size_t n = 0;
    const TlsIo io = end.stream->write(output, plain, records, n);
    sent(other, out, output);
    end.written += n;
    if (n > length) return fail("more is written than was given");
    if (n > 0 && output.used < n) return fail("less ciphertext than plaintext");
    if (end.failed && io == TlsIo::Progress) fail("it writes behind its failure");
  }

  void close(End& end) {
    Bytes out(room_);
    TlsOutput output{.room = out};
    if (end.stream->established()) end.closed = true;
    end.said = end.stream->close(output) == TlsIo::Progress && end.closed;
    sent(end.client ? server_ : client_, out, output);
  }

  // What a write behind the other's end has left: no read takes it along.
  void flush(End& end) {
    Bytes out(room_);
    TlsOutput output{.room = out};
    end.stream->flush(output);
    sent(end.client ? server_ : client_, out, output);
    moved_ = moved_ || output.used > 0;
  }

  void sent(End& to, const Bytes& out, const TlsOutput& output) {
    if (output.used > out.size()) return fail("more output than room");
    to.incoming.insert(to.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
  }

  // Until nothing moves any more.
  void settle() {
    for (moved_ = true; moved_ && broken_.empty();) {
      moved_ = false;
      for (End* end : {&client_, &server_}) {
        if (end->closed && !end->said && !end->failed) close(*end);
        if (end->over) flush(*end);
        else if (!(end->failed && end->incoming.empty())) step(*end, SIZE_MAX);
        if (end->failed) end->incoming.clear();
      }
    }
  }

  // Of those whom nobody has disturbed everything must have come.
  void finish() {
    for (const End* end : {&client_, &server_}) {
      const End& other = end->client ? server_ : client_;
      if (client_.spoiled || server_.spoiled || client_.ended || server_.ended) return;
      if (!end->stream->established()) return fail("an undisturbed handshake does not come to its end");
      if (!end->over && end->heard != other.written) return fail("bytes are lost");
      if (other.closed && !end->over) return fail("a clean end is lost");
    }
  }

  void fail(const std::string& why) {
    if (broken_.empty()) broken_ = why;
  }

  Script script_;
  Speaks version_ = Speaks::Tls13;
  End client_;
  End server_;
  size_t room_ = kRooms[0];
  int calls_ = 0;
  bool moved_ = false;
  std::string broken_;
};

}  // namespace

std::string run_tls(const uint8_t* bytes, size_t length) { return length < 2 ? std::string() : Play(bytes, length).run(); }

}  // namespace millrace::fuzz
