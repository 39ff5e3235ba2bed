// The combinations of the fault table, generated, and what is asked of each.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "faults.h"

namespace millrace::test {

// What goes wrong: a rule without its moment. TwoSlots is for pipe2 only, and Short for calls that move something.
struct Fault {
  Effect effect = Effect::Fail;
  int error = 0;
};

struct Moment {
  const char* name;
  bool at_join;  // counted from the join on, else from the engine's start
  uint64_t skip;
  uint64_t times;
  uint64_t every;

  // The call never works again.
  bool endless() const { return times == UINT64_MAX && every == 1; }
};

struct Combination {
  Call call;
  Fault fault;
  const Moment* moment;

  std::string name() const;
  // The rules that make it so.
  void arm() const;
  // The scenario must come to the same end as without the fault; else it may also be refused or cut, if that is told.
  bool harmless() const;
};

// Every call × every fault × every moment.
const std::vector<Combination>& combinations();

}  // namespace millrace::test
