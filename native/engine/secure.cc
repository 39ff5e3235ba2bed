// How an endpoint becomes a TLS one.
#include "endpoint.h"
#include "worker.h"

namespace millrace {

void Endpoint::request_secure(std::unique_ptr<SecureSpec> spec) {
  if (stage_ != Stage::Open || socket.encrypted() || socket.lane()) return destroy(true);
  worker_->wheel.cancel(timer_);
  read_max_ = 0;
  stage_ = Stage::Securing;
  secure_ = std::move(spec);
  resets_when_truncated_ = secure_->reset_when_truncated;
  deadline_ = secure_->deadline;
  const bool busy = worker_->stats[Stat::HandshakesNow] >= Worker::kMaxHandshakes;
  worker_->stats.add(Stat::HandshakesNow);
  if (busy) {
    worker_->stats.add(Stat::HandshakesRefused);
    return refuse_secure(make_tls_error(TlsFault::Busy, "too many handshakes are under way"), true);
  }
  rearm();
  worker_->enqueue(*this);
}

// What was written before must be out. A server waits for its client's first word, so that one who says nothing costs
// nothing. False when it is not time yet, or has failed.
bool Endpoint::start_tls() {
  size_t n = 0;
  if (socket.flush(n) != Io::Progress) return false;
  const bool server = secure_->names || secure_->context->is_server();
  if (server && secure_->head.empty() && !socket.readable()) return false;
  auto stream = !server           ? TlsStream::client(secure_->context, secure_->name, secure_->address)
                : secure_->names ? TlsStream::server(secure_->names)
                                 : TlsStream::server(secure_->context);
  if (!stream) {
    refuse_secure(make_tls_error(TlsFault::Internal, "OpenSSL gave no connection"), true);
    return false;
  }
  auto tls = std::make_unique<TlsLayer>(std::move(stream), secure_->head);
  tls->bind(worker_->tls_scratch());
  socket.encrypt(std::move(tls));
  return true;
}

void Endpoint::step() {
  if (stage_ == Stage::Settling) return settle();
  if (stage_ == Stage::Securing) step_secure();
}

void Endpoint::step_secure() {
  const TlsError cut = make_tls_error(TlsFault::Cut, "the peer was gone before the handshake was done");
  if (!socket.encrypted() && !start_tls()) {
    if (stage_ == Stage::Securing && socket.error() != 0) refuse_secure(cut, true);
    return;
  }
  switch (socket.tls()->handshake(socket)) {
    case Io::Progress:
      return secured();
    case Io::Failed: {
      const TlsError& error = socket.tls()->stream().error();
      return error.fault == TlsFault::None ? refuse_secure(cut, true) : refuse_secure(error, false);
    }
    default:
      return;
  }
}

void Endpoint::secured() {
  leave_secure();
  stage_ = Stage::Open;
  deadline_ = kNever;
  worker_->wheel.cancel(timer_);
  const TlsStream& stream = socket.tls()->stream();
  worker_->stats.add(Stat::HandshakesDone);
  if (stream.resumed()) worker_->stats.add(Stat::HandshakesResumed);
  std::string text = stream.server_name();
  text.append(1, '\n').append(stream.protocol()).append(1, '\n').append(stream.version()).append(1, '\n').append(stream.cipher());
  EventRecord record{};
  record.type = EventType::Secured;
  record.id = static_cast<double>(id_);
  record.values[0] = text.size();
  record.values[2] = stream.resumed() ? 1 : 0;
  worker_->emit(*client_, record, {text.begin(), text.end()});
  serve();
}

// `reset`: nothing is left to be said to the peer. Else there is an alert on its way.
void Endpoint::refuse_secure(const TlsError& error, bool reset) {
  if (error.fault != TlsFault::Busy) worker_->stats.add(Stat::HandshakesFailed);
  EventRecord record{};
  record.type = EventType::Secured;
  record.code = static_cast<uint32_t>(error.fault);
  record.id = static_cast<double>(id_);
  record.values[0] = error.text.size();
  record.values[1] = error.alert;
  record.values[3] = static_cast<uint64_t>(socket.error());
  worker_->emit(*client_, record, {error.text.begin(), error.text.end()});
  if (reset) return gone(0, true);
  leave_secure();
  linger();
}

void Endpoint::leave_secure() {
  worker_->stats.subtract(Stat::HandshakesNow);
  secure_.reset();
}

}  // namespace millrace
