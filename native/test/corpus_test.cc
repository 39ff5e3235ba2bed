// The inputs that the fuzzers found worth keeping, those of faults that were fixed among them, without a fuzzer.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "targets.h"

namespace millrace::test {

TEST_CASE("corpus: nothing that a fuzzer kept breaks anything") {
  for (const fuzz::Target& target : fuzz::kTargets) {
    const std::filesystem::path folder = std::filesystem::path(MILLRACE_CORPUS) / target.name;
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream in(entry.path(), std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      const std::string broken = target.run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      INFO(entry.path().string());
      CHECK(broken == "");
      ++files;
    }
    INFO(folder.string());
    CHECK(files > 0);
  }
}

}  // namespace millrace::test
