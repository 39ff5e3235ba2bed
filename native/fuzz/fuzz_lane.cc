// Lanes under scripts of everything that far ends, visitors, services, networks, clients and kernels do to them. The oracle
// wants above all that no byte of a visit reaches another.
#include "join.h"
#include "player.h"
#include "lane_world.h"
#include "targets.h"
#include "trace.h"

namespace millrace::fuzz {

namespace {

constexpr size_t kOpens[] = {1, 8, 40, LaneFrame::kMaxOpen};
// Of a lane's far end, in all.
constexpr uint64_t kMostFrames = 3 << 20;
constexpr uint64_t kCuts[] = {1, 3, 7, 8, 9, 12, 100, 5000};

class Run final : public Player {
 public:
  Run(const uint8_t* bytes, size_t length) : Player({bytes, length}), world_(setting() & 1 ? 2 : 1) {}

  std::string run() { return play(world_); }

 private:
  void step(bool within_turn) override;
  void begin() override;
  void new_lane();
  void far_end(uint8_t what);
  void speak(Connection& connection);
  void carrier(Connection& connection);
  void peer(uint8_t what);
  void client(uint8_t what, bool within_turn);
  void visit(bool dials);
  void forward();
  LaneJoin plan(size_t a, size_t b);
  LaneDirection direction();
  std::vector<uint8_t> open();
  Party* lane();
  Party* party();
  LaneJoin* join();

  LaneWorld world_;
  uint8_t opened_ = 0;
};

void Run::begin() {
  for (int lanes = 1 + (setting() >> 3 & 1); lanes > 0; --lanes) new_lane();
}

// The bits: 0 role, 1 something is written ahead, 2 and 3 TLS, 4 some of it has been read, 5 to 7 how the far end behaves.
void Run::new_lane() {
  const uint8_t how = script_.byte();
  const int suite = (how & 12) == 12 ? static_cast<int>(script_.below(kSuites)) : -1;
  Party* const made = world_.connect(how & 1 ? LaneRole::Opens : LaneRole::Accepts, how & 2 ? std::min<uint64_t>(script_.pick(kLengths), 200'000) : 0, suite);
  if (!made) return;
  LaneActor& far = *made->actor();
  if (how & 16) {
    far.open(script_.pick(kOpens));
    far.data(script_.pick(kLengths));
    made->connection->send_frames(16 << 10);
    world_.read(*made, script_.pick(kLengths), kNever);
    world_.settle();
  }
  far.polite = (how & 32) != 0;
  far.slow = (how & 0xc0) == 0x40;
  far.stubborn = (how & 0xc0) == 0x80;
  world_.make_lane(*made, SIZE_MAX);
}

Party* Run::lane() {
  if (world_.lanes.empty()) return nullptr;
  return &world_.parties[world_.lanes[script_.below(static_cast<uint32_t>(world_.lanes.size()))]];
}

// The latest are the most interesting ones.
Party* Run::party() {
  if (world_.parties.empty()) return nullptr;
  const auto count = static_cast<uint32_t>(world_.parties.size());
  return &world_.parties[count - 1 - script_.below(std::min(count, 6u))];
}

LaneJoin* Run::join() {
  if (world_.joins.empty()) return nullptr;
  const auto count = static_cast<uint32_t>(world_.joins.size());
  return &world_.joins[count - 1 - script_.below(std::min(count, 4u))];
}

void Run::step(bool within_turn) {
  const uint8_t what = script_.byte();
  trace("%s step %d: %d (at %lu ms)", within_turn ? "inner" : "outer", steps(), what, world_.kernel.now - Kernel::kStart);
  if (what < 80) return far_end(what);
  if (what < 112) return peer(what);
  if (what < 168) return client(what, within_turn);
  if (what < 180) return fault();
  if (what < 192) return arm(what);
  // Time and turns are not for whoever is inside one.
  if (within_turn) return;
  if (what < 216) return world_.turn(what % world_.workers);
  if (what < 242) return world_.settle();
  if (what < 252) return world_.pass(script_.pick(kTimes));
  if (what < 254) world_.jump(script_.pick(kTimes));
  else world_.drain();
}

void Run::far_end(uint8_t what) {
  Party* const one = lane();
  if (!one) return;
  Connection& connection = *one->connection;
  LaneActor& far = *connection.lane;
  const bool room = far.wire().size() < kMostFrames;
  switch (what % 20) {
    case 0:
      far.open(script_.pick(kOpens));
      break;
    case 1:
    case 2:
    case 3: {
      const uint8_t size = script_.byte();
      if (room) far.data(kLengths[size % std::size(kLengths)]);
      break;
    }
    case 4:
      far.end();
      break;
    case 5:
      far.reset(script_.below(5), world_.kernel.now);
      break;
    case 6: {  // everything at once, and the next visit in the same segment
      const uint8_t how = script_.byte();
      if (how & 1) far.open(script_.pick(kOpens));
      if (how & 2 && room) far.data(kLengths[how >> 4]);
      if (how & 4) far.end();
      if (how & 8) far.open(1 + (how >> 4));
      break;
    }
    case 7: {
      const uint8_t how = script_.byte();
      if ((how & 3) == 0) far.open(3, true);
      else if ((how & 3) == 1) far.wrong(static_cast<LaneActor::Wrong>(script_.byte() % static_cast<uint8_t>(LaneActor::Wrong::kCount)), script_.byte());
      break;
    }
    case 8:
      connection.holds_frames = !connection.holds_frames;
      break;
    case 9:
    case 10:
      // A piece of what is held, cut anywhere.
      connection.send_frames(script_.pick(kPackets), script_.pick(kCuts));
      return;
    case 11:
      far.slow = !far.slow;
      break;
    case 12:
      far.see();
      break;
    case 13:
      far.stubborn = script_.flag();
      far.polite = script_.flag();
      break;
    case 14:
      connection.reading = false;
      return;
    case 15:
    case 16:
      connection.reading = true;
      connection.peer_read(UINT64_MAX);
      break;
    case 17:
      connection.peer_read(script_.pick(kLengths));
      break;
    default:
      return carrier(connection);
  }
  if (!connection.holds_frames) connection.send_frames(script_.pick(kPackets));
}

// What carries a lane.
void Run::carrier(Connection& connection) {
  switch (script_.below(16)) {
    case 0:
      return connection.peer_reset();
    case 1:
      if (connection.tls && script_.flag()) connection.tls->notify();
      return connection.peer_finish();
    case 2:
      return connection.peer_close();
    case 3:
    case 4:
    case 5: {
      const uint64_t send_buffer = script_.pick(kBuffers);
      const uint64_t receive_buffer = script_.pick(kBuffers);
      return connection.resize(send_buffer, receive_buffer, script_.pick(kBuffers));
    }
    case 6:
      connection.peer_urgent();
      return;
    case 7:
      if (connection.fd >= 0) world_.kernel.wake(connection);
      return;
    default:
      connection.held = !connection.held;
      return connection.carry();
  }
}

void Run::peer(uint8_t what) {
  Party* const one = party();
  if (!one || one->is_lane()) return;
  Connection& target = *one->connection;
  switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const uint64_t packet = script_.pick(kPackets);
      uint64_t length = script_.pick(kLengths);
      if (packet < 1000 && length > 64 * packet) length = 64 * packet;
      if (target.sent + length <= kMostSent) target.peer_send(length, packet);
      return;
    }
    case 4:
    case 5:
      target.peer_finish();
      return;
    case 6:
      return target.peer_reset();
    case 7:
      return target.peer_close();
    case 8:
      target.reading = false;
      return;
    case 9:
    case 10:
      target.reading = true;
      return target.peer_read(UINT64_MAX);
    case 11:
      return target.peer_read(script_.pick(kLengths));
    case 12: {
      const uint64_t send_buffer = script_.pick(kBuffers);
      const uint64_t receive_buffer = script_.pick(kBuffers);
      return target.resize(send_buffer, receive_buffer, script_.pick(kBuffers));
    }
    case 13:
      target.held = !target.held;
      return target.carry();
    case 14:
      target.peer_urgent();
      return;
    default:
      if (target.state != Connection::State::Connecting) return;
      if (script_.below(4) > 0) target.establish();
      else target.refuse(script_.flag() ? ECONNREFUSED : ETIMEDOUT);
  }
}

std::vector<uint8_t> Run::open() {
  std::vector<uint8_t> bytes(1 + script_.byte() % 40);
  ++opened_;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(opened_ * 31 + i);
  return bytes;
}

LaneDirection Run::direction() {
  LaneDirection made;
  const uint8_t what = script_.byte();
  if (what < 128) return made;
  made.most = script_.pick(kMost);
  made.head = script_.pick(kHeads);
  made.caller = (what & 7) == 0;
  if ((what & 24) == 0) {
    made.rate = script_.pick(kRates);
    made.burst = script_.pick(kBursts);
  }
  return made;
}

LaneJoin Run::plan(size_t a, size_t b) {
  const uint8_t what = script_.byte();
  LaneJoin made;
  made.a = what & 4 ? b : a;
  made.b = what & 4 ? a : b;
  made.mode = static_cast<Mode>(what & 3 ? (what & 3) - 1 : 0);
  if (what & 128) {
    made.limits = {script_.pick(kLimits), script_.pick(kLimits), script_.pick(kLimits), script_.pick(kLimits)};
    made.a_to_b = direction();
    made.b_to_a = direction();
  }
  return made;
}

// A lane that is ready for it gets somebody to talk to.
void Run::visit(bool dials) {
  for (const size_t index : world_.lanes) {
    Party& one = world_.parties[index];
    if (!world_.can_join(one, {})) continue;
    if (dials && one.actor()->role == LaneRole::Accepts) {
      LaneJoin made = plan(index, index);
      return world_.join_to(std::move(made), script_.below(4) != 0, script_.pick(kTimes));
    }
    Party* const other = world_.adopt(script_.below(8) != 0);
    if (!other) return;
    // A visitor seldom comes without a word.
    const uint64_t length = script_.pick(kLengths);
    if (length > 1) other->connection->peer_send(length, 16 << 10);
    LaneJoin made = plan(world_.parties.size() - 1, index);
    return world_.join(std::move(made), open());
  }
}

// A visit that comes on one lane leaves on another.
void Run::forward() {
  size_t from = SIZE_MAX;
  size_t to = SIZE_MAX;
  for (const size_t index : world_.lanes) {
    const Party& one = world_.parties[index];
    if (!world_.can_join(one, {})) continue;
    (one.actor()->role == LaneRole::Accepts ? from : to) = index;
  }
  if (from == SIZE_MAX || to == SIZE_MAX) return;
  LaneJoin made = plan(from, to);
  world_.join(std::move(made), open());
}

void Run::client(uint8_t what, bool within_turn) {
  switch (what % 28) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
      return visit(false);
    case 6:
    case 7:
      return visit(true);
    case 8:
      return forward();
    case 9:
      if (LaneJoin* const one = join()) world_.abort(*one);
      return;
    case 10:
    case 11:
      if (LaneJoin* const one = join()) {
        const bool a_to_b = script_.flag();
        world_.finish(*one, a_to_b, script_.flag());
      }
      return;
    case 12:
    case 13:
      if (Party* const one = script_.flag() ? lane() : party()) world_.read(*one, script_.pick(kLengths), script_.flag() ? kNever : script_.pick(kTimes));
      return;
    case 14:
    case 15:
    case 16:
      if (Party* const one = script_.flag() ? lane() : party()) world_.write(*one, script_.pick(kLengths));
      return;
    case 17:
      if (Party* const one = script_.flag() ? lane() : party()) world_.flush(*one);
      return;
    case 18:
      if (Party* const one = lane()) {
        std::vector<uint8_t> start = open();
        world_.open(*one, std::move(start), script_.flag() ? script_.pick(kLengths) : 0);
      }
      return;
    case 19:
    case 20:
      if (Party* const one = lane()) world_.leave(*one, script_.flag());
      return;
    case 21:
      if (Party* const one = party(); one && script_.below(3) == 0) world_.destroy(*one, script_.flag());
      return;
    case 22:
      if (Party* const one = lane(); one && script_.below(4) == 0) world_.destroy(*one, script_.flag());
      return;
    case 23:
    case 24: {
      Party* const one = script_.below(4) == 0 ? party() : lane();
      const uint8_t call = script_.byte();
      if (one && !within_turn) world_.wrong_call(*one, call);
      return;
    }
    case 25:
    case 26:
      if (!within_turn) new_lane();
      return;
    default:
      return world_.drain();
  }
}

}  // namespace

std::string run_lane(const uint8_t* bytes, size_t length) {
  const FixedRandomness fixed;
  return Run(bytes, length).run();
}

}  // namespace millrace::fuzz
