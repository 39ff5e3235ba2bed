#include "endpoint.h"

#include <algorithm>
#include <cerrno>

#include "join.h"
#include "listener.h"
#include "worker.h"

namespace millrace {

Endpoint::~Endpoint() {
  if (listener_) listener_->live.fetch_sub(1, std::memory_order_relaxed);
}

void Endpoint::count_against(std::shared_ptr<ListenSocket> listener) { listener_ = std::move(listener); }

void Endpoint::attach(Worker* worker) {
  worker_ = worker;
  // What another worker was to do for it.
  if (!worker) queued = false;
  if (worker && socket.encrypted()) socket.tls()->bind(worker->tls_scratch());
}

void Endpoint::emit(EventType type, uint32_t code, uint64_t value, std::vector<uint8_t> payload) {
  EventRecord record{};
  record.type = type;
  record.code = code;
  record.id = static_cast<double>(id_);
  record.values[0] = value;
  worker_->emit(*client_, record, std::move(payload));
}

void Endpoint::rearm() { worker_->wheel.arm(timer_, deadline_); }

void Endpoint::enter(Join& join) {
  stage_ = Stage::Joined;
  join_ = &join;
}

void Endpoint::on_ready(uint32_t events) {
  switch (stage_) {
    case Stage::Connecting:
      return finish_connect(events);
    case Stage::Open:
      socket.note(events);
      return serve();
    case Stage::Securing:
      socket.note(events);
      return worker_->enqueue(*this);
    case Stage::Joined:
      socket.note(events);
      return worker_->enqueue(*join_);
    case Stage::Settling:
      socket.note(events);
      return settle();
    case Stage::Closing:
      socket.note(events);
      return step_close();
    case Stage::Waiting:
      socket.note(events);
      if (LaneLayer* const lane = socket.lane()) lane->look(socket, worker_->buffer);
      // A visitor that is gone needs no service. One that has only ended its side may wait for an answer.
      if (dialed_ != 0 && socket.failure() != 0) worker_->cancel_dial(*this, EndReason::Reset, socket.failure());
      return;
    case Stage::Closed:
      return;
  }
}

void Endpoint::on_timer(Millis now) {
  if (now < deadline_) return rearm();
  deadline_ = kNever;
  switch (stage_) {
    case Stage::Connecting:
      return gone(ETIMEDOUT);
    case Stage::Securing:
      return refuse_secure(make_tls_error(TlsFault::TimedOut, "the handshake took too long"), true);
    case Stage::Open:
    case Stage::Waiting:
    case Stage::Joined:
      if (LaneLayer* const lane = socket.lane(); lane && lane->holds_back()) {
        size_t n = 0;
        lane->flush(socket, false, n);
        return serve();
      }
      if (read_max_ == 0) return;
      read_max_ = 0;
      return emit(EventType::Read, static_cast<uint32_t>(ReadStatus::TimedOut));
    case Stage::Settling:
      return settle_due();
    case Stage::Closing:
      return gone(0);
    case Stage::Closed:
      return;
  }
}

void Endpoint::join_when_connected(std::unique_ptr<JoinSpec> spec) { spec_ = std::move(spec); }

std::unique_ptr<JoinSpec> Endpoint::take_spec() { return std::move(spec_); }

void Endpoint::begin_join(uint32_t events) {
  stage_ = Stage::Open;
  deadline_ = kNever;
  worker_->wheel.cancel(timer_);
  socket.note(events);
  worker_->begin_awaited(take_spec());
}

void Endpoint::finish_connect(uint32_t events) {
  // tcp_poll: a socket is writable and neither in error nor hung up only once it is connected.
  const bool connected = (events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0;
  if (connected && spec_) return begin_join(events);
  int error = 0;
  socklen_t length = sizeof error;
  const Syscalls& sys = worker_->sys;
  if (sys.getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  SocketAddress remote;
  if (error == 0 && sys.getpeername(socket.fd(), remote.get(), remote.reset()) != 0) {
    if (errno == ENOTCONN) return;  // an early edge: still connecting
    error = errno;
  }
  if (error == 0 && spec_) return begin_join(events);
  SocketAddress local;
  if (error == 0 && sys.getsockname(socket.fd(), local.get(), local.reset()) != 0) error = errno;
  if (error != 0) return gone(error);
  stage_ = Stage::Open;
  deadline_ = kNever;
  worker_->wheel.cancel(timer_);
  EventRecord record{};
  record.type = EventType::Dialed;
  record.id = static_cast<double>(id_);
  record.local = local.pack();
  record.remote = remote.pack();
  worker_->emit(*client_, record);
  socket.note(events);
  serve();
}

void Endpoint::request_read(size_t max, Millis deadline) {
  // Once it is closing, the deadline is that of the close.
  if (stage_ != Stage::Open && stage_ != Stage::Joined) return;
  if (socket.lane() && !socket.lane()->active()) return;
  read_max_ = std::clamp<size_t>(max, 1, kMaxRead);
  deadline_ = deadline;
  worker_->wheel.cancel(timer_);
  rearm();
  serve_read();
  // A lane's visitor ends within what is read, and no edge tells of it.
  if (stage_ == Stage::Open && socket.lane()) report_end();
}

void Endpoint::write(std::span<const uint8_t> bytes) {
  if (socket.failure() != 0 || stage_ == Stage::Settling || stage_ == Stage::Closing || stage_ == Stage::Closed) return;
  // Nothing that is written between visits may reach the next one.
  if (socket.lane() && !socket.lane()->active()) return;
  if (!socket.waiting() && socket.writable()) {
    while (!bytes.empty()) {
      size_t n = 0;
      if (socket.send(bytes.data(), bytes.size(), n) != Io::Progress) break;
      bytes = bytes.subspan(n);
      if (join_) join_->count_caller_bytes(*this, n);
    }
  }
  // No event may come of an error that was met here.
  if (socket.error() != 0) {
    if (join_) worker_->enqueue(*join_);
    else if (stage_ == Stage::Open) report_end();
    return;
  }
  // So that it sees that bytes wait: the sink may already be full, and no edge come.
  if (join_ && (socket.unsent() || !bytes.empty())) worker_->enqueue(*join_);
  if (bytes.empty()) return;
  if (socket.queued() + bytes.size() > kMaxQueued) {
    if (join_) return join_->abort(EndReason::Error, ENOBUFS);
    return destroy(true, ENOBUFS);
  }
  socket.queue(bytes);
}

void Endpoint::request_flush() {
  // Once it is closing, whoever empties the queue must send the FIN as well: step_close.
  if (stage_ == Stage::Closing || stage_ == Stage::Closed) return;
  flush_asked_ = true;
  serve_writes();
}

void Endpoint::pay_options() {
  if (!owes_options_ || socket.fd() < 0) return;
  owes_options_ = false;
  set_long_options(worker_->sys, socket.fd());
  if (owes_unpaced_) set_unpaced(worker_->sys, socket.fd());
}

void Endpoint::request_release() {
  if (stage_ != Stage::Open) return;
  pay_options();
  release_asked_ = true;
  serve();
}

void Endpoint::serve() {
  if (stage_ == Stage::Open && socket.lane() && !socket.lane()->active()) return serve_lane();
  serve_writes();
  serve_read();
  if (stage_ != Stage::Open) return;
  // The descriptor of a broken connection has told its error to us: whoever got it would see an orderly end.
  if (release_asked_ && socket.error() != 0) return gone(socket.error());
  // What its peer sends and gets would be ciphertext to whoever has it.
  if (release_asked_ && (socket.encrypted() || socket.lane())) return gone(EINVAL, true);
  if (release_asked_ && socket.queued() == 0) {
    // Its events would still come here: it can't be given away.
    if (const int error = worker_->unwatch(socket.fd()); error != 0) return gone(error, true);
    const int fd = socket.take();
    stage_ = Stage::Closed;
    emit(EventType::Released, 0, static_cast<uint64_t>(fd));
    return worker_->remove(*this);
  }
  report_end();
}

void Endpoint::serve_writes() {
  if (socket.waiting() && socket.writable() && socket.error() == 0) {
    size_t n = 0;
    socket.flush(n);
    if (join_) join_->count_caller_bytes(*this, n);
  }
  if (flush_asked_ && (!socket.waiting() || socket.error() != 0)) {
    flush_asked_ = false;
    emit(EventType::Flushed, static_cast<uint32_t>(socket.error()));
  }
}

void Endpoint::serve_read() {
  if (read_max_ == 0 || !socket.readable()) return;
  size_t n = 0;
  switch (socket.receive(worker_->buffer.data(), read_max_, n)) {
    case Io::Blocked:
    case Io::Unsupported:
      return;
    case Io::Progress:
      emit(EventType::Read, static_cast<uint32_t>(ReadStatus::Data), n,
           {worker_->buffer.data(), worker_->buffer.data() + n});
      break;
    case Io::Ended: {
      if (socket.truncated()) worker_->stats.add(Stat::Truncated);
      const bool cut = socket.truncated() && resets_when_truncated_;
      emit(EventType::Read, static_cast<uint32_t>(cut ? ReadStatus::Reset : ReadStatus::Ended));
      break;
    }
    case Io::Failed:
      emit(EventType::Read, static_cast<uint32_t>(ReadStatus::Reset));
      break;
  }
  read_max_ = 0;
  deadline_ = kNever;
  worker_->wheel.cancel(timer_);
}

void Endpoint::report_end() {
  LaneLayer* const lane = socket.lane();
  if (lane) {
    lane->look(socket, worker_->buffer);
    lane->watch(socket, worker_->buffer);
  }
  const bool ended = lane ? lane->ended_in() : socket.peer_ended();
  if (socket.failure() != 0 && !reset_reported_) {
    reset_reported_ = true;
    emit(EventType::PeerEnded, static_cast<uint32_t>(socket.failure()));
  } else if (ended && !fin_reported_ && !reset_reported_) {
    fin_reported_ = true;
    emit(EventType::PeerEnded, 0);
  }
}

void Endpoint::destroy(bool reset, int error) {
  if (stage_ == Stage::Closed) return;
  // The join refers to both of its endpoints: only it can end them.
  if (join_) join_->abort(EndReason::Aborted);
  else if (stage_ == Stage::Waiting && dialed_ != 0) worker_->cancel_dial(*this, EndReason::Aborted, 0);
  else return end(reset, error);
  // A lane outlives its joins.
  if (socket.lane() && stage_ != Stage::Closed) end(reset, error);
}

void Endpoint::end(bool reset, int error) {
  if (stage_ == Stage::Closing && !reset) return;
  if (!reset && error == 0 && (stage_ == Stage::Open || stage_ == Stage::Waiting)) return linger();
  gone(error, reset);
}

void Endpoint::linger() {
  stage_ = Stage::Closing;
  join_ = nullptr;
  read_max_ = 0;
  deadline_ = worker_->now + kLingerFlush;
  worker_->wheel.cancel(timer_);
  rearm();
  step_close();
}

void Endpoint::step_close() {
  if (socket.error() != 0) return gone(0);
  if (!fin_sent_) {
    size_t n = 0;
    Io io = socket.flush(n);
    if (io == Io::Progress) io = socket.shutdown_write();
    if (io == Io::Failed) return gone(0);
    if (io == Io::Blocked) return;
    fin_sent_ = true;
    deadline_ = worker_->now + kLingerDrain;
    worker_->wheel.cancel(timer_);
    rearm();
  }
  // Closing with unread bytes would send RST and destroy what the peer has not read yet.
  while (socket.discardable()) {
    size_t n = 0;
    const Io io = socket.discard(worker_->buffer.data(), std::min(worker_->buffer.size(), kLingerBytes), n);
    if (io == Io::Blocked) return;
    if (io != Io::Progress) return gone(0);
    discarded_ += n;
    if (discarded_ > kLingerBytes) return gone(0);
  }
}

void Endpoint::close_now(bool reset) {
  if (stage_ == Stage::Closed) return;
  if (stage_ == Stage::Securing) leave_secure();
  stage_ = Stage::Closed;
  join_ = nullptr;
  // Explicitly, as a registration outlives close() while a duplicate of the descriptor exists.
  worker_->unwatch(socket.fd());
  if (reset) socket.reset();
  else socket.close();
  worker_->remove(*this);
}

void Endpoint::gone(int error, bool reset) {
  if (stage_ == Stage::Closed) return;
  const bool connecting = stage_ == Stage::Connecting;
  // Whoever was dialed for a join must not take its end for an orderly one.
  close_now(reset || spec_);
  if (connecting && error != 0) worker_->stats.add(Stat::DialsFailed);
  if (spec_) return worker_->refuse_join(take_spec(), EndReason::Unreachable, error);
  if (connecting && error != 0) return emit(EventType::Dialed, static_cast<uint32_t>(error));
  emit(EventType::Gone, static_cast<uint32_t>(error));
}

}  // namespace millrace
