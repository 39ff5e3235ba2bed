// An engine on the simulated kernel, its client's queue, and time: what every target that plays whole engines has in
// common. What is asked of the engine, and what must come of it, is the business of whoever derives from it.
#pragma once

#include <memory>
#include <vector>

#include "engine.h"
#include "kernel.h"

namespace millrace::fuzz {

class Stage {
 public:
  // What the engine can't know of, its memory and its threads, is the same in each run.
  explicit Stage(uint32_t workers);
  virtual ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  Kernel kernel;
  std::unique_ptr<Engine> engine;
  std::shared_ptr<Client> client;
  const uint32_t workers;
  // Counts the commands that reached a worker, as far as can be told.
  uint64_t posted = 0;

  void turn(uint32_t worker);
  // Turns until every worker sleeps, then checks what must hold in a quiet moment.
  void settle();
  // Lets time pass from timer to timer, settling at each.
  void pass(uint64_t milliseconds);
  void drain();
  // How a run ends: nothing may be left.
  void end_by_detaching();
  void end_at_once();
  virtual void end_in_order() = 0;
  // From now on descriptors have such numbers.
  virtual void use_descriptors_from(int lowest) { kernel.lowest_fd = lowest; }

  const std::string& broken() const { return kernel.broken; }

 protected:
  // The checks: after each turn, in each quiet moment, and of each event; `payload` is moved behind what the event brings.
  virtual void after_turn() = 0;
  virtual void in_quiet() = 0;
  virtual void take(const EventRecord& record, const uint8_t*& payload) = 0;

  // Nothing fails or is held back any longer.
  void relent();
  bool rung() const { return rung_; }
  void expect_nothing_left();

 private:
  bool asleep();

  std::vector<EventRecord> records_;
  std::vector<uint8_t> arena_;
  bool rung_ = false;
};

}  // namespace millrace::fuzz
