// Bytes that wait to be sent. Most endpoints and directions hold none most of the time, so this is one pointer then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace millrace {

class HeldBytes {
 public:
  size_t size() const { return block_ ? block_->bytes.size() - block_->offset : 0; }
  bool empty() const { return !block_; }
  std::span<const uint8_t> bytes() const { return block_ ? std::span(data(), size()) : std::span<const uint8_t>(); }
  // Of what is left; only while something is.
  const uint8_t* data() const { return block_->bytes.data() + block_->offset; }

  // In place of what is held.
  void set(std::vector<uint8_t> bytes) {
    block_.reset();
    if (!bytes.empty()) block_ = std::make_unique<Block>(std::move(bytes));
  }
  void append(std::span<const uint8_t> bytes) {
    if (bytes.empty()) return;
    if (!block_) block_ = std::make_unique<Block>();
    block_->bytes.insert(block_->bytes.end(), bytes.begin(), bytes.end());
  }
  // `count` of them, at most size(), are out. Freed with the last, not kept for later: what is idle owns no buffer.
  void consume(size_t count) {
    if (count == 0) return;
    block_->offset += count;
    if (block_->offset == block_->bytes.size()) block_.reset();
  }
  void clear() { block_.reset(); }

 private:
  struct Block {
    Block() = default;
    explicit Block(std::vector<uint8_t> all) : bytes(std::move(all)) {}
    std::vector<uint8_t> bytes;
    size_t offset = 0;
  };
  std::unique_ptr<Block> block_;
};

}  // namespace millrace
