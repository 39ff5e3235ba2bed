#include "meter.h"

#include <dirent.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>

namespace load {

CpuMeter::CpuMeter(const std::string& pids) {
  for (size_t at = 0; at < pids.size();) {
    pids_.push_back(std::atoi(pids.c_str() + at));
    const size_t comma = pids.find(',', at);
    at = comma == std::string::npos ? pids.size() : comma + 1;
  }
}

std::vector<uint64_t> CpuMeter::read() const {
  std::vector<uint64_t> sums;
  for (const int pid : pids_) {
    uint64_t sum = 0;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    if (DIR* folder = opendir(tasks.c_str())) {
      while (const dirent* entry = readdir(folder)) {
        if (entry->d_name[0] == '.') continue;
        const std::string file = tasks + "/" + entry->d_name + "/schedstat";
        if (FILE* stat = std::fopen(file.c_str(), "r")) {
          unsigned long long ran = 0;
          if (std::fscanf(stat, "%llu", &ran) == 1) sum += ran;
          std::fclose(stat);
        }
      }
      closedir(folder);
    }
    sums.push_back(sum);
  }
  return sums;
}

void Histogram::add(uint64_t ns) {
  const uint64_t value = std::max<uint64_t>(ns, kSteps);
  const int shift = std::bit_width(value) - 7;  // leaves 64–127
  const int bucket = shift * kSteps + static_cast<int>((value >> shift) - kSteps);
  ++counts_[static_cast<size_t>(std::min(bucket, kBuckets - 1))];
  ++total_;
}

double Histogram::percentile_us(double part) const {
  if (total_ == 0) return 0;
  const auto rank = static_cast<uint64_t>(part * static_cast<double>(total_ - 1)) + 1;
  uint64_t seen = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[static_cast<size_t>(bucket)];
    if (seen < rank) continue;
    const int shift = bucket / kSteps;
    const uint64_t low = static_cast<uint64_t>(kSteps + bucket % kSteps) << shift;
    return (static_cast<double>(low) + static_cast<double>(uint64_t{1} << shift) / 2) / 1000;
  }
  return 0;
}

void Histogram::clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  total_ = 0;
}

}  // namespace load
