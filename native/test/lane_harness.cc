#include "lane_harness.h"

namespace millrace::test {

Lane make_lane(Harness& harness, LaneRole role, int buffers) {
  Fd far;
  const EndpointId id = harness.adopt_one(far, Family::Tcp, buffers);
  harness.engine.lane(id, role, {});
  return {id, LanePeer(std::move(far))};
}

Joined visit(Harness& harness, EndpointId visitor, const Lane& lane, const std::string& open, Plan plan) {
  plan.open = bytes_of(open);
  return harness.start(visitor, lane.id, std::move(plan));
}

Event opened(Harness& harness, const Lane& lane) { return harness.expect(EventType::LaneOpened, lane.id); }

uint64_t freed(Harness& harness, const Lane& lane) {
  return harness.expect(EventType::LaneFree, lane.id).record.values[1];
}

}  // namespace millrace::test
