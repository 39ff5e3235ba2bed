#include "pipe_pool.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "faults.h"
#include "support.h"

namespace millrace::test {

namespace {

constexpr int kNoReserve = 1 << 30;

uint64_t fallbacks(const WorkerStats& stats, Fallback reason) {
  return stats[reason];
}

uint64_t open_pipes(const WorkerStats& stats) { return stats[Stat::PipesLeased] + stats[Stat::PipesPooled]; }

}  // namespace

TEST_CASE("pipe pool: an empty pipe is used again, a used one is not") {
  const size_t before = open_descriptors();
  {
    WorkerStats stats;
    PipePool pool(kernel_syscalls(), stats, kNoReserve);
    Pipe pipe;
    REQUIRE(pool.lease(pipe));
    CHECK(pipe.capacity >= PipePool::kLeast);
    CHECK(open_pipes(stats) == 1);
    const int first = pipe.read_end;
    pool.give_back(pipe);
    CHECK(pipe.read_end == -1);
    REQUIRE(pool.lease(pipe));
    CHECK(pipe.read_end == first);
    REQUIRE(::write(pipe.write_end, "left behind", 11) == 11);
    pool.discard(pipe);
    CHECK(pipe.read_end == -1);
    CHECK(open_pipes(stats) == 0);
    CHECK(open_descriptors() == before);
    // Neither does anything with a pipe that isn't there.
    pool.discard(pipe);
    pool.give_back(pipe);
    REQUIRE(pool.lease(pipe));
    char byte;
    CHECK(::read(pipe.read_end, &byte, 1) == -1);
    pool.give_back(pipe);
    CHECK(open_pipes(stats) == 1);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("pipe pool: keeps a bounded number") {
  const size_t before = open_descriptors();
  {
    WorkerStats stats;
    PipePool pool(kernel_syscalls(), stats, kNoReserve);
    std::vector<Pipe> pipes(PipePool::kKept + 8);
    for (Pipe& pipe : pipes) REQUIRE(pool.lease(pipe));
    CHECK(open_pipes(stats) == pipes.size());
    for (Pipe& pipe : pipes) pool.give_back(pipe);
    CHECK(open_pipes(stats) == PipePool::kKept);
    CHECK(open_descriptors() == before + 2 * PipePool::kKept);
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("pipe pool: refuses when the system gives none, or too small ones, and says which") {
  const FaultScope scope;
  const size_t before = open_descriptors();
  WorkerStats stats;
  PipePool pool(faulty_syscalls(), stats, kNoReserve);
  Pipe pipe;
  faults().set(Call::Pipe2, {.error = EMFILE, .times = 1});
  CHECK_FALSE(pool.lease(pipe));
  CHECK(pipe.read_end == -1);
  CHECK(fallbacks(stats, Fallback::NoPipe) == 1);
  faults().two_slot_pipes();
  CHECK_FALSE(pool.lease(pipe));
  CHECK(pipe.read_end == -1);
  CHECK(fallbacks(stats, Fallback::SmallPipe) == 1);
  CHECK(open_descriptors() == before);
  CHECK(open_pipes(stats) == 0);
  faults().clear(Call::Pipe2);
  // EPERM, but the default's 64 KiB are enough.
  faults().set(Call::SetPipeSize, {.error = EPERM});
  REQUIRE(pool.lease(pipe));
  CHECK(pipe.capacity == 64 << 10);
  pool.give_back(pipe);
}

TEST_CASE("pipe pool: leaves the reserve of descriptors alone") {
  const size_t before = open_descriptors();
  WorkerStats stats;
  Pipe pipe;
  PipePool pool(kernel_syscalls(), stats, 1);
  CHECK_FALSE(pool.lease(pipe));
  CHECK(pipe.read_end == -1);
  CHECK(fallbacks(stats, Fallback::NoPipe) == 1);
  CHECK(open_descriptors() == before);
}

}  // namespace millrace::test
