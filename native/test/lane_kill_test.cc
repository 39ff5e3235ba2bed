// A conversation of several visits, whose carrying connection dies at every frame boundary and at every byte of every
// header, by RST and by FIN, at either end and in either direction: on the simulated kernel, whose oracle checks every byte
// and every end (native/fuzz/lane_oracle.cc). Here it is said what must have become of each visit.
#include <doctest/doctest.h>

#include <set>

#include "lane_world.h"

namespace millrace::test {

namespace {

using fuzz::Connection;
using fuzz::LaneActor;
using fuzz::LaneJoin;
using fuzz::LaneVisit;
using fuzz::LaneWorld;
using fuzz::Party;

// How a visit goes: both ends end it in order, the far end first or last; or one of them resets.
enum class Story { FarFirst, FarLast, FarResets, OtherResets };
constexpr Story kStories[] = {Story::FarLast, Story::FarFirst, Story::FarResets, Story::FarLast, Story::OtherResets, Story::FarLast};
constexpr uint64_t kSizes[] = {1, 3000, 40, 100'000, 700, 5};
constexpr uint64_t kForEver = UINT64_MAX;

struct Kill {
  LaneRole role;
  bool outward;  // so many bytes of the engine's have left; else of the far end's
  uint64_t at;
  bool reset;
  bool at_once;  // before the engine has looked at what came before
  Mode mode;
};

class Conversation {
 public:
  explicit Conversation(const Kill& kill) : kill_(kill), lane_(*world_.connect(kill.role, 0, -1)), far_(*lane_.actor()) {
    if (kill.outward && kill.at != kForEver) {
      carrier().reading = false;
      carrier().resize(kill.at, 1 << 20, 0);
    }
    world_.make_lane(lane_, 0);
    world_.settle();
  }

  // Plays it up to the kill.
  void play();
  void die();
  LaneWorld& world() { return world_; }
  Connection& carrier() { return *lane_.connection; }
  const Party& lane() const { return lane_; }
  LaneActor& far() { return far_; }

 private:
  bool over() { return kill_.outward ? carrier().took >= kill_.at : carrier().frames_sent >= kill_.at; }
  // Has the far end's words sent, as far as it lives.
  void send();
  void settle() {
    if (!kill_.at_once || !over()) world_.settle();
  }
  bool begin(size_t number);
  bool tell(Story story);

  const Kill kill_;
  LaneWorld world_{1};
  Party& lane_;
  LaneActor& far_;
  Connection* other_ = nullptr;
};

void Conversation::send() { carrier().send_frames(16 << 10, kill_.outward ? kForEver : kill_.at - carrier().frames_sent); }

// A visit begins, and both ends say something. False when it comes to nothing.
bool Conversation::begin(size_t number) {
  if (lane_.phase != Party::Phase::Free) return false;
  LaneJoin plan;
  plan.mode = kill_.mode;
  std::vector<uint8_t> open;
  if (kill_.role == LaneRole::Accepts) {
    // In one segment with the end of the visit before, where the far end was last.
    if (!far_.open(8) || !far_.data(kSizes[number]) || !far_.data(9)) return false;
    send();
    settle();
    if (lane_.phase != Party::Phase::Opened || over()) return false;
    plan.a = 0;
    plan.b = world_.parties.size();
  } else {
    open.assign(8, static_cast<uint8_t>(number));
    plan.a = world_.parties.size();
    plan.b = 0;
  }
  other_ = world_.adopt(true)->connection.get();
  other_->peer_send(kSizes[number], 16 << 10);
  world_.join(std::move(plan), std::move(open));
  settle();
  if (over()) return false;
  if (kill_.role == LaneRole::Opens) {
    far_.data(kSizes[number]);
    far_.data(9);
    send();
    settle();
  }
  return !over();
}

bool Conversation::tell(Story story) {
  switch (story) {
    case Story::FarFirst:
      far_.end();
      send();
      settle();
      other_->peer_finish();
      break;
    case Story::FarLast:
      other_->peer_finish();
      settle();
      far_.end();
      if (kill_.role == LaneRole::Opens) send();
      break;
    case Story::FarResets:
      far_.reset(0, world_.kernel.now);
      send();
      break;
    case Story::OtherResets:
      other_->peer_reset();
      break;
  }
  settle();
  // An OPEN behind the END.
  if (kill_.role == LaneRole::Accepts && story == Story::FarLast) {
    if (lane_.phase != Party::Phase::Left) send();
    settle();
  }
  return !over();
}

void Conversation::play() {
  for (size_t i = 0; i < std::size(kStories); ++i) {
    if (!begin(i) || !tell(kStories[i])) return;
  }
}

void Conversation::die() {
  if (kill_.reset) carrier().peer_reset();
  else carrier().peer_finish();
  world_.settle();
  // One that its client has in hand is his to let go.
  world_.leave(lane_, true);
  // What has waited for a connection that takes nothing waits no longer.
  world_.pass(20'000);
}

// Every byte of each header, and the boundaries and some of the middle of each payload.
void add_points(std::set<uint64_t>& points, uint64_t at, uint64_t length) {
  for (uint64_t i = 0; i <= LaneFrame::kHeader; ++i) points.insert(at + i);
  for (const uint64_t payload : {uint64_t{1}, (length - LaneFrame::kHeader) / 2}) points.insert(at + std::min(length, LaneFrame::kHeader + payload));
  points.insert(at + length - 1);
  points.insert(at + length);
}

std::set<uint64_t> points_of(Conversation& whole, bool outward) {
  std::set<uint64_t> points;
  if (outward) {
    for (const LaneActor::Heard& frame : whole.far().heard()) add_points(points, frame.at, frame.length);
    return points;
  }
  const std::vector<uint8_t>& wire = whole.far().wire();
  for (uint64_t at = 0; at < wire.size();) {
    LaneFrame::Header header{};
    LaneFrame frame{};
    std::copy_n(wire.begin() + static_cast<std::ptrdiff_t>(at), header.size(), header.begin());
    REQUIRE(LaneFrame::decode(header, frame));
    add_points(points, at, LaneFrame::kHeader + frame.length);
    at += LaneFrame::kHeader + frame.length;
  }
  return points;
}

// docs/protocol.md, section 6: whoever loses a lane loses the visitor on it, who is reset; one of whom nothing was taken goes
// on; a visit that was over is what it was.
void check_outcome(Conversation& played) {
  LaneWorld& world = played.world();
  CHECK(world.broken() == "");
  CHECK(played.lane().told_gone);
  CHECK(played.carrier().closed);
  for (const LaneJoin& join : world.joins) {
    REQUIRE(join.ended);
    const bool opens = played.far().role == LaneRole::Opens;
    const LaneVisit* const visit = join.visit(!opens) < played.far().visits.size() ? &played.far().visits[join.visit(!opens)] : nullptr;
    const Party& other = world.parties[opens ? join.a : join.b];
    const Connection& connection = *other.connection;
    const bool told = visit && visit->said == LaneEnd::End && visit->end_at <= played.carrier().consumed;
    if (join.reason == EndReason::Eof) {
      CHECK(told);
      // The END of the end that opens may have waited for the next OPEN.
      CHECK((visit->heard == LaneEnd::End || (opens && visit->heard == LaneEnd::None)));
      CHECK(connection.saw_fin);
      CHECK_FALSE(connection.saw_reset);
    } else if (join.reason == EndReason::Unreachable) {
      CHECK(opens);
      CHECK_FALSE(connection.closed);
      CHECK(connection.consumed == 0);
      CHECK(connection.accepted == 0);
    } else {
      CHECK(join.reason == EndReason::Reset);
      CHECK((connection.saw_reset || connection.reset_by_peer));
      CHECK((!connection.shut || told));
    }
  }
  world.end_in_order();
  CHECK(world.broken() == "");
}

}  // namespace

TEST_CASE("lanes: killed at every frame boundary and at every byte of a header") {
  size_t kills = 0;
  for (const LaneRole role : {LaneRole::Opens, LaneRole::Accepts}) {
    for (const Mode mode : {Mode::Copy, Mode::Splice}) {
      for (const bool outward : {false, true}) {
        std::set<uint64_t> points;
        {
          Conversation whole({role, outward, kForEver, true, false, mode});
          whole.play();
          REQUIRE(whole.world().broken() == "");
          REQUIRE(whole.world().joins.size() == std::size(kStories));
          points = points_of(whole, outward);
        }
        for (const uint64_t at : points) {
          for (const bool reset : {true, false}) {
            for (const bool at_once : {true, false}) {
              CAPTURE(static_cast<int>(role));
              CAPTURE(static_cast<int>(mode));
              CAPTURE(outward);
              CAPTURE(at);
              CAPTURE(reset);
              CAPTURE(at_once);
              Conversation played({role, outward, at, reset, at_once, mode});
              played.play();
              played.die();
              check_outcome(played);
              ++kills;
            }
          }
        }
      }
    }
  }
  MESSAGE(kills, " kills");
}

}  // namespace millrace::test
