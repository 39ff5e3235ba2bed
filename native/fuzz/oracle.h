// What must hold, whatever the script did: the nine points, each as a check that names what is broken.
#pragma once

#include "world.h"

namespace millrace::fuzz {

class Oracle {
 public:
  explicit Oracle(World& world) : world_(world), kernel_(world.kernel) {}

  // After each turn: counters grow and don't run ahead; memory and a visit's share are bounded.
  void after_turn();
  // When every worker sleeps: nobody waits for something that is there.
  void in_quiet();
  // What a JoinEnded event says.
  void join_ended(JoinModel& join, const EventRecord& record);

 private:
  Connection& source(const JoinModel& join, bool a_to_b);
  Connection& sink(const JoinModel& join, bool a_to_b) { return source(join, !a_to_b); }
  uint64_t delivered(const JoinModel& join, bool a_to_b);
  uint64_t taken(const JoinModel& join, bool a_to_b);
  bool complete(const JoinModel& join, bool a_to_b);
  bool cut_is_reset(const JoinModel& join, bool a_to_b);
  bool ends_cut(const JoinModel& join, bool a_to_b);
  bool noticed(const JoinModel& join, bool a_to_b);
  bool truncated(const JoinModel& join) { return source(join, true).truncated() || source(join, false).truncated(); }
  // Ended like a reset for it.
  bool cut(const JoinModel& join) {
    const auto is_cut = [&](bool a_to_b) { return cut_is_reset(join, a_to_b) && ends_cut(join, a_to_b); };
    return is_cut(true) || is_cut(false);
  }
  bool broken(const JoinModel& join);
  void quiet_join(JoinModel& join);
  void quiet_dial(JoinModel& join);
  bool fits_unreachable(const JoinModel& join, int error);
  void quiet_direction(JoinModel& join, bool a_to_b);
  void quiet_side(const Side& side);
  void quiet_handshake(const Side& side);
  void check_reason(const JoinModel& join, int error);
  void check_cut(const JoinModel& join);
  void check_close(const JoinModel& join);

  World& world_;
  Kernel& kernel_;
};

}  // namespace millrace::fuzz
