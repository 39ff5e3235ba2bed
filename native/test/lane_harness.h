// A lane of an engine's and the hand-made other end of it.
#pragma once

#include "harness.h"
#include "lane_peer.h"

namespace millrace::test {

struct Lane {
  EndpointId id = 0;
  LanePeer peer{Fd()};
};

Lane make_lane(Harness& harness, LaneRole role, int buffers = 0);
// A join of a visitor with a lane that opens visits.
Joined visit(Harness& harness, EndpointId visitor, const Lane& lane, const std::string& open, Plan plan = {});
// The same of a lane that accepts them, whose peer has sent OPEN.
Event opened(Harness& harness, const Lane& lane);
// Waits until it is free, of the visit that this returns.
uint64_t freed(Harness& harness, const Lane& lane);

}  // namespace millrace::test
