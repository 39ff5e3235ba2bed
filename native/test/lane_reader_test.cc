// docs/protocol.md, section 6: the verdict on each frame in each state, and frames cut anywhere.
#include <doctest/doctest.h>

#include "lane_peer.h"
#include "lane_reader.h"

namespace millrace::test {

namespace {

// What a frame did to a reader.
enum class Verdict { Faulty, Opened, Delivered, Ended, WasReset, Skipped };

Verdict feed(LaneReader& reader, const Bytes& frame) {
  uint8_t out[64];
  const LaneEnd before = reader.end();
  const size_t payload = reader.take(frame, out, sizeof out);
  if (reader.faulty()) return Verdict::Faulty;
  if (reader.opened()) return Verdict::Opened;
  if (payload > 0) return Verdict::Delivered;
  if (!reader.active() || reader.end() == before) return Verdict::Skipped;
  return reader.end() == LaneEnd::End ? Verdict::Ended : Verdict::WasReset;
}

const Bytes kText = bytes_of("hello");

Bytes open_frame(uint8_t visit) { return lane_frame(LaneFrameType::Open, visit, kText); }
Bytes data_frame(uint8_t visit) { return lane_frame(LaneFrameType::Data, visit, kText); }
Bytes end_frame(uint8_t visit) { return lane_frame(LaneFrameType::End, visit); }

// A reader of the agent's in which visit 1 is over, ended by END on the relay's side, and visit 2 stands as `state` says.
LaneReader reader_at(const std::string& state) {
  LaneReader reader(LaneRole::Accepts);
  feed(reader, open_frame(1));
  reader.take_open();
  feed(reader, end_frame(1));
  reader.finish();
  if (state == "none") return reader;
  feed(reader, open_frame(2));
  reader.take_open();
  if (state == "begun") return reader;
  feed(reader, data_frame(2));
  if (state == "ended") feed(reader, end_frame(2));
  if (state == "reset") feed(reader, reset_frame(2));
  return reader;
}

}  // namespace

TEST_CASE("lane reader: the verdict on each frame in each state") {
  struct Row {
    Bytes frame;
    const char* name;
    Verdict none, begun, data, ended, reset;
  };
  constexpr auto F = Verdict::Faulty;
  const Row rows[] = {
      {open_frame(2), "OPEN 2", Verdict::Opened, F, F, F, F},
      {open_frame(3), "OPEN 3", F, F, F, F, F},
      {open_frame(1), "OPEN 1", F, F, F, F, F},
      {data_frame(2), "DATA 2", F, Verdict::Delivered, Verdict::Delivered, F, F},
      {data_frame(1), "DATA 1", F, F, F, F, F},
      {data_frame(3), "DATA 3", F, F, F, F, F},
      {end_frame(2), "END 2", F, Verdict::Ended, Verdict::Ended, F, F},
      {end_frame(1), "END 1", F, F, F, F, F},
      {reset_frame(2), "RESET 2", F, Verdict::WasReset, Verdict::WasReset, Verdict::WasReset, F},
      {reset_frame(1), "RESET 1", Verdict::Skipped, Verdict::Skipped, F, F, F},
      {reset_frame(3), "RESET 3", F, F, F, F, F},
      {lane_frame(static_cast<LaneFrameType>(0), 2), "type 0", F, F, F, F, F},
      {lane_frame(static_cast<LaneFrameType>(5), 2), "type 5", F, F, F, F, F},
      {lane_frame(LaneFrameType::Data, 2), "an empty DATA", F, F, F, F, F},
      {lane_frame(LaneFrameType::Open, 2), "an empty OPEN", F, F, F, F, F},
      {lane_frame(LaneFrameType::End, 2, kText), "an END with a payload", F, F, F, F, F},
      {lane_frame(LaneFrameType::Reset, 2, kText), "a RESET of five bytes", F, F, F, F, F},
  };
  for (const Row& row : rows) {
    const std::pair<const char*, Verdict> states[] = {
        {"none", row.none}, {"begun", row.begun}, {"data", row.data}, {"ended", row.ended}, {"reset", row.reset}};
    for (const auto& state : states) {
      INFO(row.name, " in state ", state.first);
      LaneReader reader = reader_at(state.first);
      CHECK(feed(reader, row.frame) == state.second);
    }
  }
}

TEST_CASE("lane reader: the end that opens accepts no OPEN, and a RESET is skipped once") {
  LaneReader relay(LaneRole::Opens);
  CHECK(feed(relay, open_frame(1)) == Verdict::Faulty);

  LaneReader reader = reader_at("none");
  CHECK(feed(reader, reset_frame(1)) == Verdict::Skipped);
  CHECK(feed(reader, reset_frame(1)) == Verdict::Faulty);

  LaneReader fresh(LaneRole::Accepts);
  CHECK(feed(fresh, reset_frame(0)) == Verdict::Faulty);
}

TEST_CASE("lane reader: a RESET in the middle of which its visit is over leaves the next one alone") {
  for (const bool begun : {false, true}) {
    LaneReader relay(LaneRole::Opens);
    uint8_t out[64];
    relay.begin(1);
    feed(relay, end_frame(1));
    const Bytes late = reset_frame(1);
    const auto cut = late.begin() + LaneFrame::kHeader + 2;
    relay.take(Bytes(late.begin(), cut), out, sizeof out);
    relay.finish();
    if (begun) relay.begin(2);
    relay.take(Bytes(cut, late.end()), out, sizeof out);
    CHECK_FALSE(relay.faulty());
    if (!begun) relay.begin(2);
    CHECK(relay.end() == LaneEnd::None);
    CHECK(feed(relay, data_frame(2)) == Verdict::Delivered);
  }
}

TEST_CASE("lane reader: what lies behind the longest payloads, and headers with something in their zeros, don't fit") {
  const auto fits = [](uint32_t length, LaneFrameType type, uint8_t zero) {
    LaneFrame::Header header = LaneFrame{type, 2, length}.encode();
    header[6] = zero;
    LaneReader reader = reader_at(type == LaneFrameType::Open ? "none" : "begun");
    uint8_t out[1];
    reader.take(header, out, sizeof out);
    return !reader.faulty();
  };
  CHECK(fits(LaneFrame::kMaxData, LaneFrameType::Data, 0));
  CHECK_FALSE(fits(LaneFrame::kMaxData + 1, LaneFrameType::Data, 0));
  CHECK_FALSE(fits(UINT32_MAX, LaneFrameType::Data, 0));
  CHECK(fits(LaneFrame::kMaxOpen, LaneFrameType::Open, 0));
  CHECK_FALSE(fits(LaneFrame::kMaxOpen + 1, LaneFrameType::Open, 0));
  CHECK_FALSE(fits(1, LaneFrameType::Data, 1));
}

TEST_CASE("lane reader: frames are the same however they are cut") {
  Bytes stream = open_frame(1);
  const auto append = [&](const Bytes& frame) { stream.insert(stream.end(), frame.begin(), frame.end()); };
  const Bytes first = pattern(1, 300);
  const Bytes second = pattern(2, 77);
  append(lane_frame(LaneFrameType::Data, 1, first));
  append(lane_frame(LaneFrameType::Data, 1, second));
  append(end_frame(1));
  append(lane_frame(LaneFrameType::Open, 2, first));
  append(lane_frame(LaneFrameType::Data, 2, second));
  append(reset_frame(2, LaneReset::Unreachable));
  Bytes whole = first;
  whole.insert(whole.end(), second.begin(), second.end());

  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    for (const size_t room : {size_t{1}, size_t{50}, size_t{1000}}) {
      LaneReader reader(LaneRole::Accepts);
      std::vector<Bytes> visitors;
      std::vector<Bytes> opens;
      const auto pull = [&](auto&& take) {
        Bytes out(room);
        const size_t n = take(out);
        REQUIRE_FALSE(reader.faulty());
        if (reader.opened()) {
          opens.push_back(reader.take_open());
          visitors.emplace_back();
        }
        if (n > 0) visitors.back().insert(visitors.back().end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(n));
        if (reader.active() && reader.end() != LaneEnd::None) reader.finish();
      };
      for (size_t at = 0; at < stream.size(); at += piece) {
        const std::span<const uint8_t> raw = std::span(stream).subspan(at, std::min(piece, stream.size() - at));
        pull([&](Bytes& out) { return reader.take(raw, out.data(), out.size()); });
        while (reader.holds()) pull([&](Bytes& out) { return reader.take_held(out.data(), out.size()); });
      }
      REQUIRE(visitors.size() == 2);
      CHECK((visitors[0] == whole));
      CHECK((visitors[1] == second));
      CHECK((opens[0] == kText));
      CHECK((opens[1] == first));
      CHECK(reader.end() == LaneEnd::Reset);
      CHECK(reader.reset_reason() == LaneReset::Unreachable);
    }
  }
}

}  // namespace millrace::test
