#include "faults.h"

#include <algorithm>
#include <cerrno>

#include <doctest/doctest.h>

namespace millrace::test {

const char* name(Call call) {
  static const std::array<const char*, kCalls> names = {
      "socket",      "socketpair", "bind",       "listen",      "accept4",      "connect",    "getsockname",
      "getpeername", "getsockopt", "setsockopt", "recv",        "send",         "splice in",  "splice out",
      "read",        "write",      "pipe2",      "F_SETPIPE_SZ", "F_GETPIPE_SZ", "fcntl", "SIOCOUTQ",   "shutdown",
      "close",       "unlink",     "eventfd",    "epoll_create1", "epoll_ctl",  "epoll_wait",
  };
  return names[static_cast<size_t>(call)];
}

void Faults::add(Call call, const Rule& rule) {
  const std::lock_guard lock(slot(call).mutex);
  slot(call).rules.push_back({rule});
}

void Faults::clear(Call call) {
  const std::lock_guard lock(slot(call).mutex);
  slot(call).rules.clear();
}

void Faults::set(Call call, const Rule& rule) {
  clear(call);
  add(call, rule);
}

void Faults::clear() {
  for (size_t i = 0; i < kCalls; ++i) clear(static_cast<Call>(i));
}

void Faults::reset() {
  clear();
  for (Slot& the : slots_) the.calls = the.met = 0;
  fills_of_used_pipes = inexact_flushes = bad_lengths = 0;
}

void Faults::interrupt_every(uint64_t n) {
  if (n == 0) return;
  for (const Call call : {Call::Accept4, Call::Recv, Call::Send, Call::Fill, Call::Flush, Call::Read, Call::EpollWait}) {
    add(call, {.error = EINTR, .skip = n - 1, .every = n});
  }
}

void Faults::send_at_most(size_t most) {
  for (const Call call : {Call::Send, Call::Flush}) add(call, {.effect = Effect::Short, .most = most});
}

void Faults::two_slot_pipes(const Rule& when) {
  Rule small = when;
  small.effect = Effect::TwoSlots;
  add(Call::Pipe2, small);
  Rule refused = when;
  refused.effect = Effect::Fail;
  refused.error = EPERM;
  add(Call::SetPipeSize, refused);
}

Faults::Verdict Faults::judge(Call call, bool hurts) {
  Slot& the = slot(call);
  ++the.calls;
  Verdict verdict;
  const std::lock_guard lock(the.mutex);
  for (Active& active : the.rules) {
    const Rule& rule = active.rule;
    const bool lies = rule.effect == Effect::End || (rule.effect == Effect::Fail && rule.error == EAGAIN);
    if (lies && !hurts) continue;
    const uint64_t turn = active.seen++;
    if (turn < rule.skip || (turn - rule.skip) % rule.every != 0 || active.met >= rule.times) continue;
    ++active.met;
    ++the.met;
    verdict.edge = verdict.edge || rule.edge;
    verdict.endless = verdict.endless || (rule.times == UINT64_MAX && rule.every == 1);
    switch (rule.effect) {
      case Effect::Fail:
        verdict.fail = true;
        verdict.error = rule.error;
        break;
      case Effect::Short:
        verdict.most = std::min(verdict.most, rule.most);
        break;
      case Effect::End:
        verdict.end = true;
        break;
      case Effect::TwoSlots:
        verdict.two_slots = true;
        break;
    }
  }
  return verdict;
}

void Watched::note(int epoll, int operation, int fd, const epoll_event* event) {
  const std::lock_guard lock(mutex_);
  std::vector<Entry>& entries = entries_[fd];
  std::erase_if(entries, [epoll](const Entry& entry) { return entry.epoll == epoll; });
  if (operation != EPOLL_CTL_DEL) entries.push_back({epoll, *event});
  if (entries.empty()) entries_.erase(fd);
}

void Watched::forget(int fd) {
  const std::lock_guard lock(mutex_);
  entries_.erase(fd);
}

void Watched::edge(int fd) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  for (Entry& entry : found->second) kernel_syscalls().epoll_ctl(entry.epoll, EPOLL_CTL_MOD, fd, &entry.event);
}

size_t Watched::count() {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.front().event.data.ptr != nullptr;
  }));
}

Faults& faults() {
  static Faults instance;
  return instance;
}

Watched& watched() {
  static Watched instance;
  return instance;
}

FaultScope::FaultScope() { faults().reset(); }

FaultScope::~FaultScope() {
  Gate::instance().open();
  CHECK(faults().fills_of_used_pipes == 0);
  CHECK(faults().inexact_flushes == 0);
  CHECK(faults().bad_lengths == 0);
  faults().reset();
}

}  // namespace millrace::test
