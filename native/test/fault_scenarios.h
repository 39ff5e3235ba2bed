// What the fault table is played over: the lives that sockets and joins lead, from the engine's start to the last
// descriptor's close. Each scenario goes as far as the faults let it, and says what it saw.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fault_world.h"
#include "harness.h"

namespace millrace::test {

// What is expected of a scenario in which nothing goes wrong.
struct Sight {
  bool began = false;       // join() was called
  bool got_through = false;  // the scenario saw all that it was to see, its bytes and ends included
  bool beyond = false;       // behind the join is another one, of the same engine, which did not end with `eof`
  std::string where;        // the step that it got to
};

struct Scenario {
  const char* name;
  // In the end of an undisturbed one.
  EndReason reason;
  bool joins;
  // Peers are on TCP: they can tell a cut connection from a complete one.
  bool tcp;
  // `arm` is called right before the join, or what stands for it.
  void (*play)(World& world, size_t size, const std::function<void()>& arm, Sight& sight);
  // Every n-th combination only, as it takes its time.
  size_t every = 1;
};

const std::vector<Scenario>& scenarios();
// Of whole tunnels, over proxy connections and lanes.
const std::vector<Scenario>& tunnel_scenarios();
// Those with TLS, of which a part of the table is asked: see fault_table_test.cc.
const std::vector<Scenario>& tls_scenarios();

// Lets go of everything that the scenario still owns, and drives until the engine owns nothing.
bool let_go(World& world);

}  // namespace millrace::test
