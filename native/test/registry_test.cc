#include "registry.h"

#include <doctest/doctest.h>

#include <map>

#include "support.h"

namespace millrace::test {

TEST_CASE("registry: an id names its worker until it is released") {
  Registry registry;
  const EndpointId first = registry.allocate(2);
  const EndpointId second = registry.allocate(0);
  CHECK(first != 0);
  CHECK(first != second);
  CHECK(registry.owner(first) == 2);
  CHECK(registry.owner(second) == 0);
  registry.move(first, 1);
  CHECK(registry.owner(first) == 1);
  registry.release(first);
  CHECK(registry.owner(first) == -1);
  CHECK(registry.owner(second) == 0);
}

TEST_CASE("registry: ids that never were name nobody") {
  Registry registry;
  CHECK(registry.owner(0) == -1);
  CHECK(registry.owner(UINT64_MAX) == -1);
  const EndpointId id = registry.allocate(0);
  CHECK(registry.owner(id + 1) == -1);
  CHECK(registry.owner(id + (uint64_t{1} << Registry::kIndexBits)) == -1);
}

TEST_CASE("registry: a released id stays stale however often its slot is used again") {
  Registry registry;
  const EndpointId stale = registry.allocate(0);
  EndpointId current = stale;
  for (int i = 0; i < 1000; ++i) {
    registry.release(current);
    // Twice changes nothing: what has the slot now must not lose it.
    const EndpointId next = registry.allocate(1);
    registry.release(current);
    CHECK(registry.owner(next) == 1);
    CHECK(registry.owner(stale) == -1);
    current = next;
  }
}

TEST_CASE("registry: full, it gives 0, and every id is a safe integer in JavaScript") {
  Registry registry;
  EndpointId last = 0;
  for (uint32_t i = 0; i < Registry::kCapacity; ++i) last = registry.allocate(0);
  REQUIRE(last != 0);
  CHECK(last < uint64_t{1} << 53);
  CHECK(registry.allocate(0) == 0);
  registry.release(last);
  CHECK(registry.allocate(0) != 0);
  CHECK(registry.allocate(0) == 0);
}

TEST_CASE("registry: at random against a map") {
  Registry registry;
  Random random(7);
  std::map<EndpointId, int> model;
  std::vector<EndpointId> gone;
  for (int step = 0; step < 20'000; ++step) {
    const auto any = [&] {
      auto at = model.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random.below(model.size())));
      return at;
    };
    switch (model.size() > 200 ? 1 : random.below(3)) {
      case 0: {
        const auto worker = static_cast<uint32_t>(random.below(3));
        const EndpointId id = registry.allocate(worker);
        REQUIRE(model.emplace(id, static_cast<int>(worker)).second);
        break;
      }
      case 1:
        if (model.empty()) break;
        {
          const auto at = any();
          registry.release(at->first);
          gone.push_back(at->first);
          model.erase(at);
        }
        break;
      default:
        if (model.empty()) break;
        {
          const auto at = any();
          at->second = static_cast<int>(random.below(3));
          registry.move(at->first, static_cast<uint32_t>(at->second));
        }
    }
    if (!model.empty()) {
      const auto at = any();
      REQUIRE(registry.owner(at->first) == at->second);
    }
    if (!gone.empty()) REQUIRE(registry.owner(gone[random.below(gone.size())]) == -1);
  }
}

}  // namespace millrace::test
