// A script played on a stage: its first byte is the setting, which says among other things how the run ends; each later one is a step. Steps may fall between two
// system calls of one turn, or while a worker sleeps.
#pragma once

#include <cerrno>
#include <string>

#include "script.h"
#include "stage.h"

namespace millrace::fuzz {

inline constexpr uint64_t kLengths[] = {1, 2, 31, 1000, 1448, 4096, 8191, 8192, 16'384, 20'000, 65'536, 131'072, 262'144, 300'000, 524'288, 1 << 20};
inline constexpr uint64_t kPackets[] = {1448, 16'384, 65'536, 100, 4096, 1};
inline constexpr uint64_t kBuffers[] = {512, 2048, 4096, 16'384, 65'536, 262'144, 1 << 20};
inline constexpr uint64_t kTimes[] = {1, 5, 9, 10, 11, 50, 100, 250, 999, 1001, 2000, 4999, 5001, 30'000};
inline constexpr Millis kLimits[] = {0, 0, 0, 1, 20, 100, 1000, 5000, 20'000, kNever};
inline constexpr uint64_t kMost[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 1, 1000, 16'384, 200'000, 1 << 20};
inline constexpr uint64_t kHeads[] = {0, 0, 0, 1, 100, 5000, 70'000, 300'000};
inline constexpr double kRates[] = {0, 0, 0, 1000, 100'000, 10e6};
inline constexpr double kBursts[] = {1, 1000, 65'536, 1 << 20};
inline constexpr int kErrors[] = {EMFILE, ENFILE, ENOMEM, EPERM, ENOSYS, EINVAL, EPIPE, ECONNRESET, ENOBUFS, EIO, EACCES, EOPNOTSUPP};
inline constexpr uint64_t kMostSent = 4 << 20;

class Player {
 public:
  explicit Player(Script script) : script_(script), setting_(script_.byte()) {}
  virtual ~Player() = default;
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

 protected:
  // Takes steps until the script, or what a run may cost, is used up, and ends the run. What was broken first, if anything.
  std::string play(Stage& stage);
  // What every run of the setting starts with.
  virtual void begin() = 0;
  virtual void step(bool within_turn) = 0;
  // Has the kernel do something that it may do, but seldom does.
  void fault();
  // The next steps happen between two calls of a turn, or while a worker sleeps.
  void arm(uint8_t what);
  int steps() const { return steps_; }
  uint8_t setting() const { return setting_; }

  Script script_;

 private:
  void take_step(bool within_turn);
  void between_calls();
  void asleep();

  const uint8_t setting_;
  Stage* stage_ = nullptr;
  int steps_ = 0;
  uint32_t calls_until_ = 0;   // transfers until the next steps are taken between two calls of a turn; 0 is never
  uint32_t inner_steps_ = 0;
  uint32_t sleeping_steps_ = 0;  // steps to be taken while a worker sleeps
  bool inside_ = false;
};

}  // namespace millrace::fuzz
