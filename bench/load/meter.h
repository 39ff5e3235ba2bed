// What a measurement is made of: the CPU time of other processes, and a histogram of latencies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace load {

// CPU time of processes (all their threads), from /proc/PID/task/*/schedstat: nanoseconds on a CPU. A process that is
// gone counts as 0.
class CpuMeter {
 public:
  // `pids`: comma-separated; may be empty.
  explicit CpuMeter(const std::string& pids);
  // Nanoseconds so far, a sum for each process in the order given.
  std::vector<uint64_t> read() const;

 private:
  std::vector<int> pids_;
};

// Latencies up to 17 s in 64 steps per power of two: 1.6 % wide.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}
  void add(uint64_t ns);
  // The latency in µs that a share `part` (0–1) of all does not exceed; 0 when there is none.
  double percentile_us(double part) const;
  uint64_t total() const { return total_; }
  void clear();

 private:
  static constexpr int kSteps = 64;
  static constexpr int kBuckets = 35 * kSteps;
  std::vector<uint64_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace load
