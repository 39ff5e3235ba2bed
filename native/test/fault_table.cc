#include "fault_table.h"

#include <cerrno>
#include <cstring>

namespace millrace::test {

namespace {

// The periods have no divisor in common with three workers: none of them may be met at every turn.
const std::vector<Moment> kMoments = {
    {"the first time", false, 0, 1, 1},
    {"the third time", false, 2, 1, 1},
    {"each fourth time", false, 2, UINT64_MAX, 4},
    {"always", false, 0, UINT64_MAX, 1},
    {"the first time from the join on", true, 0, 1, 1},
    {"the fourth time from the join on", true, 3, 1, 1},
    {"each second time from the join on", true, 1, UINT64_MAX, 2},
    {"always from the join on", true, 0, UINT64_MAX, 1},
    {"always from the sixth time after the join on", true, 5, UINT64_MAX, 1},
};

constexpr int kErrors[] = {EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EINVAL, EPIPE, ECONNRESET};

bool moves_something(Call call) {
  switch (call) {
    case Call::Recv:
    case Call::Send:
    case Call::Fill:
    case Call::Flush:
    case Call::Read:
    case Call::Write:
    case Call::EpollWait:
    case Call::Outq:
      return true;
    default:
      return false;
  }
}

std::vector<Combination> generate() {
  std::vector<Combination> all;
  for (size_t i = 0; i < kCalls; ++i) {
    const auto call = static_cast<Call>(i);
    for (const Moment& moment : kMoments) {
      for (const int error : kErrors) all.push_back({call, {Effect::Fail, error}, &moment});
      if (moves_something(call)) all.push_back({call, {Effect::Short, 0}, &moment});
      if (call == Call::Fill) all.push_back({call, {Effect::End, 0}, &moment});
      if (call == Call::Pipe2) all.push_back({call, {Effect::TwoSlots, 0}, &moment});
    }
  }
  return all;
}

// splice(2) on this descriptor or system, or for now: says nothing about the connection.
bool means_no_splice(int error) { return error == EINVAL || error == ENOSYS || error == EPERM || error == ENOMEM; }

}  // namespace

std::string Combination::name() const {
  std::string what;
  switch (fault.effect) {
    case Effect::Fail:
      what = ::strerrorname_np(fault.error);
      break;
    case Effect::Short:
      what = "a short count of 1";
      break;
    case Effect::End:
      what = "a false end";
      break;
    case Effect::TwoSlots:
      what = "two slots";
      break;
  }
  return std::string(millrace::test::name(call)) + ": " + what + ", " + moment->name;
}

void Combination::arm() const {
  Rule rule{.effect = fault.effect, .error = fault.error, .most = 1};
  rule.skip = moment->skip;
  rule.times = moment->times;
  rule.every = moment->every;
  // The kernel tells when there is more; of a splice that lies it says nothing, as it has told already.
  rule.edge = (call == Call::Recv && fault.effect == Effect::Short) ||
              (fault.error == EAGAIN && call != Call::Fill && !moment->endless());
  if (fault.effect == Effect::TwoSlots) return faults().two_slot_pipes(rule);
  faults().add(call, rule);
}

bool Combination::harmless() const {
  const int error = fault.error;
  if (fault.effect != Effect::Fail) return true;
  switch (call) {
    // What isn't needed, or has another way.
    case Call::Socketpair:
    case Call::Setsockopt:
    case Call::Write:
    case Call::Pipe2:
    case Call::SetPipeSize:
    case Call::GetPipeSize:
    case Call::Outq:
    case Call::Close:
    case Call::Unlink:
      return true;
    case Call::Fill:
      return means_no_splice(error) || error == EAGAIN || (error == EINTR && !moment->endless());
    case Call::Flush:
      return means_no_splice(error) || ((error == EAGAIN || error == EINTR) && !moment->endless());
    case Call::Recv:
    case Call::Send:
      return (error == EAGAIN || error == EINTR) && !moment->endless();
    case Call::Connect:
    case Call::Shutdown:
    case Call::Read:
      return error == EINTR && !moment->endless();
    // Tried again later.
    case Call::Accept4:
    case Call::EpollWait:
      return !moment->endless();
    default:
      return false;
  }
}

const std::vector<Combination>& combinations() {
  static const std::vector<Combination> all = generate();
  return all;
}

}  // namespace millrace::test
