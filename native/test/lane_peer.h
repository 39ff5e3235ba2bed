// The other end of a lane, by hand: it sends frames whole, in pieces or wrong, and reads them one by one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lane_frame.h"
#include "support.h"

namespace millrace::test {

struct SeenFrame {
  LaneFrame header{};
  Bytes payload;
};

Bytes lane_frame(LaneFrameType type, uint8_t visit, std::span<const uint8_t> payload = {});
Bytes reset_frame(uint8_t visit, LaneReset reason = LaneReset::Connection);
Bytes bytes_of(const std::string& text);

class LanePeer {
 public:
  explicit LanePeer(Fd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  Fd take() { return std::move(fd_); }
  bool send(std::span<const uint8_t> bytes) { return send_all(fd_.get(), bytes); }
  bool send(LaneFrameType type, uint8_t visit, std::span<const uint8_t> payload = {}) {
    return send(lane_frame(type, visit, payload));
  }
  // The next frame; nothing when the connection ends before.
  std::optional<SeenFrame> next();
  // The payload of DATA frames of a visit up to its END or RESET, which is in `last`.
  Bytes visitor(uint8_t visit, LaneFrameType& last);

 private:
  Fd fd_;
};

}  // namespace millrace::test
