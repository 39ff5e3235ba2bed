// What must hold of lanes and their visits, whatever the script did, each as a check that names what is broken.
#pragma once

#include "lane_world.h"

namespace millrace::fuzz {

class LaneOracle {
 public:
  explicit LaneOracle(LaneWorld& world) : world_(world), kernel_(world.kernel) {}

  void after_turn();
  void in_quiet();
  void join_ended(LaneJoin& join, const EventRecord& record);
  // A lane says that its visit is over.
  void freed(const Party& lane, uint8_t number);
  // A lane is gone.
  void lane_gone(const Party& lane, int error);

 private:
  // One end of a join: a connection, or a visit of a lane.
  struct Port {
    const Party* party;
    const Connection* connection;
    const LaneActor* actor;
    const LaneVisit* visit;

    // Bytes that the engine has taken of it, and that it has been given.
    uint64_t taken() const;
    uint64_t given() const;
    // All that it has to say has been taken, and it has ended in order.
    bool ended() const;
    // It has been told that nothing more comes.
    bool told_end() const;
    // Something else than that has happened to it.
    bool disturbed() const;
    // The engine has had to see that it is broken, or will as soon as it looks.
    bool broken() const;
  };
  Port port(const LaneJoin& join, bool first) const;
  uint64_t delivered(const LaneJoin& join, bool a_to_b) const;
  uint64_t taken(const LaneJoin& join, bool a_to_b) const;
  bool complete(const LaneJoin& join, bool a_to_b) const;
  bool broken(const LaneJoin& join) const;
  void check_end_frames(const Party& lane);
  void check_shut(const Party& party);
  void check_reason(const LaneJoin& join, int error);
  void check_cut(const LaneJoin& join);
  void check_kept(const LaneJoin& join);
  void check_lost(const LaneJoin& join);
  void quiet_join(LaneJoin& join);
  void quiet_direction(const LaneJoin& join, bool a_to_b);
  void quiet_lane(const Party& lane);
  void quiet_party(const Party& party);

  LaneWorld& world_;
  Kernel& kernel_;
};

}  // namespace millrace::fuzz
