// The steps of which the fault table's scenarios are made.
#pragma once

#include "fault_scenarios.h"

namespace millrace::test {

using Arm = std::function<void()>;
using Exit = Peer::Exit;

// On the fake clock.
inline constexpr Millis kLimit = 20'000;

// What `a` has to say, or `b`: 2 MiB.
const Bytes& words(bool of_a);
// Bytes both ways, then both ends.
void converse(World& world, size_t from_a, size_t from_b);
// 0 when it was not taken.
EndpointId adopt(World& world, Peer& peer, int buffers);
// Two connections taken over, on neighbouring workers; false when one of them was not.
bool take_over(World& world, EndpointId& a, EndpointId& b, Sight& sight, int buffers = 0);
std::unique_ptr<JoinSpec> spec_of(World& world, EndpointId a, EndpointId b, Mode mode);
void join(World& world, std::unique_ptr<JoinSpec> spec, Sight& sight);
// Until the join has ended, and both peers know.
void see_the_end(World& world, Sight& sight);

}  // namespace millrace::test
