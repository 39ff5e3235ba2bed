// Joins with TLS on one side or both: the same bytes, the same ends.
#include <cerrno>
#include <thread>

#include "harness.h"
#include "tls_peer.h"

namespace millrace::test {

namespace {

// An endpoint of the engine's that has shaken hands as the server, and its client.
struct Secured {
  EndpointId id = 0;
  TlsPeer peer;
  std::string text;
};

Secured secure_server(Harness& harness, bool reset_when_truncated = false, Family family = Family::Tcp, int buffers = 0) {
  Fd far;
  const EndpointId id = harness.adopt_one(far, family, buffers);
  harness.engine.secure(id, server_spec(reset_when_truncated), 40'000);
  TlsPeer peer = tls_client(std::move(far));
  REQUIRE(peer.shake());
  const Event event = harness.expect(EventType::Secured, id);
  CHECK(event.record.code == 0);
  return {id, std::move(peer), {event.payload.begin(), event.payload.end()}};
}

Secured secure_client(Harness& harness, int buffers = 0) {
  Fd far;
  const EndpointId id = harness.adopt_one(far, Family::Tcp, buffers);
  harness.engine.secure(id, client_spec(), 40'000);
  TlsPeer peer = tls_server(std::move(far));
  REQUIRE(peer.shake());
  const Event event = harness.expect(EventType::Secured, id);
  CHECK(event.record.code == 0);
  return {id, std::move(peer), {event.payload.begin(), event.payload.end()}};
}

struct Refused {
  TlsFault fault;
  std::string text;
};

Refused refused(Harness& harness, EndpointId id) {
  const Event event = harness.expect(EventType::Secured, id);
  harness.expect(EventType::Gone, id);
  return {static_cast<TlsFault>(event.record.code), {event.payload.begin(), event.payload.end()}};
}

}  // namespace

TEST_CASE("tls joins: both roles say whom they speak to") {
  Harness harness;
  CHECK(secure_server(harness).text == "localhost\n\nTLSv1.3\nTLS_AES_128_GCM_SHA256");
  CHECK(secure_client(harness).text == "localhost\n\nTLSv1.3\nTLS_AES_128_GCM_SHA256");
}

TEST_CASE("tls joins: bytes and half-closes between TLS and plain") {
  Harness harness;
  for (const int buffers : {0, 16'384}) {
    INFO("buffers ", buffers);
    Secured a = secure_server(harness, false, Family::Tcp, buffers);
    Fd b;
    const EndpointId right = harness.adopt_one(b, Family::Tcp, buffers);
    const Joined joined = harness.start(a.id, right);
    const Bytes request = pattern(1, 700'000);
    const Bytes answer = pattern(2, 3'000'000);
    std::thread asker([&] {
      CHECK(a.peer.write(request));
      CHECK(a.peer.close());
    });
    const Received at_b = receive_all(b.get());
    asker.join();
    CHECK((at_b.bytes == request));
    CHECK(at_b.end == End::Fin);
    std::thread sender([&] {
      send_all(b.get(), answer);
      finish(b.get());
    });
    const Received at_a = a.peer.receive_all();
    sender.join();
    CHECK((at_a.bytes == answer));
    CHECK(at_a.end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == request.size());
    CHECK(end.b_to_a == answer.size());
    CHECK(end.spliced_a_to_b == 0);
    CHECK(end.spliced_b_to_a == 0);
  }
  CHECK(harness.quiet());
}

TEST_CASE("tls joins: bytes both ways at once between TLS and TLS") {
  Harness harness;
  for (int round = 0; round < 4; ++round) {
    const int buffers = round % 2 == 0 ? 0 : 16'384;
    Secured a = secure_server(harness, true, Family::Tcp, buffers);
    Secured b = secure_client(harness, buffers);
    const Joined joined = harness.start(a.id, b.id);
    const Bytes up = pattern(3, 2'000'000);
    const Bytes down = pattern(4, 1'500'000);
    // A stream is one thread's: both sides write first, in turns small enough for the buffers between them.
    const size_t turn = buffers == 0 ? 100'000 : 8'000;
    Bytes got_up;
    Bytes got_down;
    for (size_t at = 0; at < up.size() || at < down.size(); at += turn) {
      const auto part = [&](const Bytes& all) {
        return std::span(all).subspan(std::min(at, all.size()), std::min(turn, all.size() - std::min(at, all.size())));
      };
      REQUIRE(a.peer.write(part(up), TlsRecords::Small));
      REQUIRE(b.peer.write(part(down)));
      const Received first = b.peer.receive(part(up).size());
      const Received second = a.peer.receive(part(down).size());
      got_up.insert(got_up.end(), first.bytes.begin(), first.bytes.end());
      got_down.insert(got_down.end(), second.bytes.begin(), second.bytes.end());
    }
    CHECK((got_up == up));
    CHECK((got_down == down));
    CHECK(a.peer.close());
    CHECK(b.peer.receive_all().end == End::Fin);
    CHECK(b.peer.close());
    CHECK(a.peer.receive_all().end == End::Fin);
    const JoinEnd end = harness.ended(joined);
    CHECK(end.reason == EndReason::Eof);
    CHECK(end.a_to_b == up.size());
    CHECK(end.b_to_a == down.size());
  }
  CHECK(harness.quiet());
}

TEST_CASE("tls joins: close_notify without FIN ends a direction") {
  Harness harness;
  Secured a = secure_server(harness);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b));
  const Bytes bytes = pattern(5, 1000);
  CHECK(a.peer.write(bytes));
  CHECK(a.peer.close(false));
  const Received at_b = receive_all(b.get());
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Fin);
  CHECK(send_all(b.get(), bytes));
  finish(b.get());
  const Received at_a = a.peer.receive_all();
  CHECK((at_a.bytes == bytes));
  CHECK(at_a.end == End::Fin);
  CHECK(harness.ended(joined).reason == EndReason::Eof);
}

TEST_CASE("tls joins: an end without close_notify is passed on as FIN, and told") {
  Harness harness;
  Secured a = secure_server(harness, false);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b));
  const Bytes bytes = pattern(6, 300'000);
  std::thread sender([&] {
    CHECK(a.peer.write(bytes));
    finish(a.peer.fd().get());
  });
  const Received at_b = receive_all(b.get());
  sender.join();
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Fin);
  CHECK(send_all(b.get(), bytes));
  finish(b.get());
  const Received at_a = a.peer.receive_all();
  CHECK((at_a.bytes == bytes));
  CHECK(at_a.end == End::Fin);
  CHECK(harness.ended(joined).reason == EndReason::Truncated);
}

TEST_CASE("tls joins: where the end must be told, one that isn't becomes a reset, behind the bytes before it") {
  Harness harness;
  Secured a = secure_server(harness, true);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b));
  const Bytes bytes = pattern(7, 300'000);
  std::thread sender([&] {
    CHECK(a.peer.write(bytes));
    finish(a.peer.fd().get());
  });
  const Received at_b = receive_all(b.get());
  sender.join();
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Reset);
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Truncated);
  CHECK(end.a_to_b == bytes.size());
  CHECK(harness.quiet());
}

TEST_CASE("tls joins: RST maps to RST both ways") {
  Harness harness;
  {
    Secured a = secure_server(harness);
    Fd b;
    const Joined joined = harness.start(a.id, harness.adopt_one(b));
    reset(a.peer.fd());
    CHECK(receive_all(b.get()).end == End::Reset);
    CHECK(harness.ended(joined).reason == EndReason::Reset);
  }
  Secured a = secure_server(harness);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b));
  reset(b);
  CHECK(a.peer.receive_all().end == End::Reset);
  CHECK_FALSE(a.peer.truncated());
  CHECK(harness.ended(joined).reason == EndReason::Reset);
}

TEST_CASE("tls joins: what was changed on the way resets the other side") {
  Harness harness;
  Secured a = secure_server(harness);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b));
  const Bytes bytes = pattern(8, 5000);
  CHECK(a.peer.write(bytes));
  // An application data record of 32 bytes that no key has sealed.
  Bytes forged{23, 3, 3, 0, 32};
  forged.resize(37, 0x5a);
  CHECK(send_all(a.peer.fd().get(), forged));
  const Received at_b = receive_all(b.get());
  CHECK((at_b.bytes == bytes));
  CHECK(at_b.end == End::Reset);
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Error);
  CHECK(end.error == EPROTO);
  CHECK(end.a_to_b == bytes.size());
  // The peer hears why before it is cut off: bad_record_mac, RFC 8446 section 6.2.
  CHECK(a.peer.receive_all().end == End::Reset);
  CHECK(a.peer.stream().error().fault == TlsFault::Alert);
  CHECK(a.peer.stream().error().alert == 20);
}

TEST_CASE("tls joins: a direction of exact length leaves the other to end in order") {
  Harness harness;
  Secured a = secure_server(harness);
  Fd b;
  const EndpointId right = harness.adopt_one(b);
  const Joined joined = harness.start(a.id, right, {.b_to_a = {.max_bytes = 10}});
  const Bytes bytes = pattern(9, 10);
  CHECK(send_all(b.get(), bytes));
  CHECK((a.peer.receive(10).bytes == bytes));
  CHECK(a.peer.close());
  CHECK(receive_all(b.get()).end == End::Fin);
  finish(b.get());
  CHECK(a.peer.receive_all().end == End::Fin);
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Eof);
  CHECK(end.b_to_a == 10);
}

TEST_CASE("tls joins: a sink that takes nothing holds its source back, and nothing counts before it is out") {
  Harness harness;
  Secured a = secure_server(harness, false, Family::Tcp, 16'384);
  Fd b;
  const Joined joined = harness.start(a.id, harness.adopt_one(b, Family::Tcp, 16'384));
  const Bytes bytes = pattern(10, 4'000'000);
  std::thread sender([&] { CHECK(send_all(b.get(), bytes)); });
  CHECK(eventually([&] { return joined.cell->b_to_a > 0; }));
  pause_ms(20);
  const uint64_t counted = joined.cell->b_to_a;
  CHECK(counted < bytes.size());
  const Received at_a = a.peer.receive(bytes.size());
  sender.join();
  CHECK((at_a.bytes == bytes));
  CHECK(eventually([&] { return joined.cell->b_to_a == bytes.size(); }));
  harness.engine.abort(a.id);
  CHECK(harness.ended(joined).b_to_a == bytes.size());
}

TEST_CASE("tls joins: ciphertext alone that waits makes a join stalled") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  Secured a = secure_server(harness);
  Fd b;
  const EndpointId right = harness.adopt_one(b);
  const Joined joined =
      harness.start(a.id, right, {.limits = {.stalled = 200}, .a_to_b = {.caller_driven = true}, .b_to_a = {.caller_driven = true}});
  faults().set(Call::Send, {.error = EAGAIN});
  // All of it becomes ciphertext, and none of that is taken.
  harness.engine.write(a.id, pattern(13, 1000));
  const JoinEnd end = harness.ended(joined);
  CHECK(end.reason == EndReason::Stalled);
  CHECK(end.b_to_a == 0);
}

TEST_CASE("tls joins: cut in mid-stream, what counts is what the peer could read") {
  Harness harness;
  for (int round = 0; round < 8; ++round) {
    Secured a = secure_server(harness, false, Family::Tcp, round % 2 == 0 ? 16'384 : 0);
    Fd b;
    const Joined joined = harness.start(a.id, harness.adopt_one(b));
    const Bytes flow = pattern(12, 8'000'000);
    std::thread sender([&] { send_all(b.get(), flow); });
    const size_t taken = 100'000 + static_cast<size_t>(round) * 37'000;
    const Received part = a.peer.receive(taken);
    harness.engine.abort(a.id);
    const JoinEnd end = harness.ended(joined);
    sender.join();
    CHECK(part.bytes.size() == taken);
    CHECK(end.b_to_a >= taken);
    CHECK(end.b_to_a <= flow.size());
  }
}

TEST_CASE("tls endpoints: reads, writes and an orderly end") {
  Harness harness;
  Secured a = secure_server(harness);
  const Bytes bytes = pattern(11, 40'000);
  REQUIRE(a.peer.write(bytes));
  Bytes got;
  while (got.size() < bytes.size()) {
    harness.engine.read(a.id, 1000, kNever);
    const Event event = harness.expect(EventType::Read, a.id);
    REQUIRE(event.record.code == static_cast<uint32_t>(ReadStatus::Data));
    CHECK(event.payload.size() <= 1000);
    got.insert(got.end(), event.payload.begin(), event.payload.end());
  }
  CHECK((got == bytes));
  harness.engine.write(a.id, bytes);
  harness.engine.flush(a.id);
  harness.expect(EventType::Flushed, a.id);
  CHECK((a.peer.receive(bytes.size()).bytes == bytes));
  harness.engine.write(a.id, {1, 2, 3});
  harness.engine.destroy(a.id, false);
  const Received last = a.peer.receive_all();
  CHECK((last.bytes == Bytes{1, 2, 3}));
  CHECK(last.end == End::Fin);
  a.peer.close();
  harness.expect(EventType::Gone, a.id);
}

TEST_CASE("tls endpoints: what was read and written before the handshake keeps its place") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  harness.engine.write(id, {'o', 'k'});
  TlsPeer peer = tls_client(std::move(far));
  auto spec = server_spec();
  // The client's hello, which the engine's owner has read.
  Bytes room(4096);
  TlsInput nothing;
  TlsOutput hello{room};
  REQUIRE(peer.stream().handshake(nothing, hello) == TlsIo::WantInput);
  spec->head.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(hello.used));
  harness.engine.secure(id, std::move(spec), 40'000);
  CHECK((receive(peer.fd().get(), 2).bytes == Bytes{'o', 'k'}));
  CHECK(peer.shake());
  CHECK(harness.expect(EventType::Secured, id).record.code == 0);
}

TEST_CASE("tls endpoints: a handshake in pieces of one byte") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  harness.engine.secure(id, server_spec(), 40'000);
  TlsPeer peer = tls_client(std::move(far));
  CHECK(peer.shake(1));
  CHECK(harness.expect(EventType::Secured, id).record.code == 0);
}

TEST_CASE("tls endpoints: a handshake of which the kernel takes little at a time") {
  const FaultScope scope;
  Harness harness(faulty_syscalls());
  faults().add(Call::Send, {.effect = Effect::Short, .most = 90});
  faults().add(Call::Send, {.error = EAGAIN, .every = 2, .edge = true});
  CHECK(secure_server(harness).text.starts_with("localhost"));
  CHECK(secure_client(harness).text.starts_with("localhost"));
}

TEST_CASE("tls endpoints: a handshake that fails says why, to both") {
  Harness harness;
  Fd far;
  const EndpointId plain = harness.adopt_one(far);
  harness.engine.secure(plain, server_spec(), 40'000);
  const std::string_view text = "GET / HTTP/1.1\r\n\r\n";
  CHECK(send_all(far.get(), {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  CHECK(refused(harness, plain).fault == TlsFault::NotTls);
  // OpenSSL says nothing to a peer that would not understand it.
  CHECK(receive_all(far.get()).end == End::Fin);

  Fd other;
  const EndpointId named = harness.adopt_one(other);
  harness.engine.secure(named, client_spec("elsewhere.test"), 40'000);
  TlsPeer server = tls_server(std::move(other));
  CHECK((!server.shake() || server.receive_all().end == End::Reset));
  CHECK(server.stream().error().fault == TlsFault::Alert);
  CHECK(refused(harness, named).fault == TlsFault::NameMismatch);

  Fd gone;
  const EndpointId cut = harness.adopt_one(gone);
  harness.engine.secure(cut, server_spec(), 40'000);
  gone.close();
  CHECK(refused(harness, cut).fault == TlsFault::Cut);

  Fd silent;
  const EndpointId late = harness.adopt_one(silent);
  harness.engine.secure(late, server_spec(), 30);
  CHECK(refused(harness, late).fault == TlsFault::TimedOut);
  CHECK(receive_all(silent.get()).end == End::Reset);
  CHECK(harness.quiet());
}

TEST_CASE("tls endpoints: destroyed in the handshake, and at the engine's end") {
  Harness harness;
  Fd far;
  const EndpointId id = harness.adopt_one(far);
  harness.engine.secure(id, client_spec(), 40'000);
  CHECK(receive(far.get(), 5).bytes.size() == 5);
  harness.engine.destroy(id, true);
  harness.expect(EventType::Gone, id);
  CHECK(harness.quiet());
  Fd left;
  const EndpointId other = harness.adopt_one(left);
  harness.engine.secure(other, client_spec(), 40'000);
  CHECK(receive(left.get(), 5).bytes.size() == 5);
  Secured joined = secure_server(harness);
  Fd b;
  harness.start(joined.id, harness.adopt_one(b));
}

TEST_CASE("tls endpoints: none can be released") {
  Harness harness;
  Secured a = secure_server(harness);
  harness.engine.release(a.id);
  CHECK(harness.expect(EventType::Gone, a.id).record.code == EINVAL);
  CHECK(a.peer.receive_all().end == End::Reset);
}

TEST_CASE("tls endpoints: thousands of handshakes that say nothing hold nobody up") {
  Harness harness;
  std::vector<Fd> silent(400);
  std::vector<EndpointId> ids;
  for (Fd& fd : silent) {
    const EndpointId id = harness.adopt_one(fd);
    harness.engine.secure(id, server_spec(), 3000);
    ids.push_back(id);
  }
  const Secured served = secure_server(harness);
  CHECK(served.text.starts_with("localhost"));
  harness.engine.destroy(served.id, true);
  for (const EndpointId id : ids) CHECK(refused(harness, id).fault == TlsFault::TimedOut);
  CHECK(harness.quiet());
}

}  // namespace millrace::test
