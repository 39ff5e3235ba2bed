#pragma once

namespace load {

// Makes `device` send and receive packets no larger than its MTU: turns off segmentation by the device and by the
// kernel below TCP (TSO, GSO) and the merging of received packets (GRO), as `ethtool -K DEVICE tso off gso off gro off`
// does. Checksums stay as they are. The exit status of the process.
int disable_offloads(const char* device);

}  // namespace load
