// Clients and engines that end in the middle of things.
#include <atomic>
#include <thread>

#include "harness.h"

namespace millrace::test {

namespace {

// Peers that send and read for as long as the other side lets them.
class Traffic {
 public:
  Traffic(Harness& harness, int joins, Mode mode) {
    for (int i = 0; i < joins; ++i) joined_.push_back(harness.start({.mode = mode}));
    for (const Joined& joined : joined_) {
      for (const Fd* fd : {&joined.a, &joined.b}) {
        threads_.emplace_back([fd] {
          const Bytes block = pattern(1, 50'000);
          while (send_all(fd->get(), block)) {
          }
        });
        threads_.emplace_back([fd] { receive_all(fd->get()); });
      }
    }
  }
  ~Traffic() { wait(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  void wait() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  bool flows() const {
    return eventually([&] {
      for (const Joined& joined : joined_) {
        if (joined.cell->a_to_b < 200'000 || joined.cell->b_to_a < 200'000) return false;
      }
      return true;
    });
  }
  const std::vector<Joined>& joins() const { return joined_; }

 private:
  std::vector<Joined> joined_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("life cycle: an engine starts and stops, and leaves nothing behind") {
  const size_t before = open_descriptors();
  for (int i = 0; i < 5; ++i) {
    Engine engine({.workers = worker_count()});
    REQUIRE(engine.start() == 0);
    const EngineStats stats = engine.stats();
    CHECK(stats.workers == worker_count());
    CHECK(stats.splice_works);
    CHECK(stats.endpoints + stats.joins + stats.listeners + stats.pipes == 0);
    CHECK(open_descriptors() == before + 2 * worker_count());
    engine.stop();
    engine.stop();
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("life cycle: a client detaches in mid-traffic; its cells and its doorbell are left alone") {
  const size_t before = open_descriptors();
  for_each_mode([&](Mode mode) {
    Harness harness;
    Traffic traffic(harness, 4, mode);
    Listening listening;
    REQUIRE(harness.engine.listen(harness.client(), {.address = loopback()}, listening) == 0);
    const Fd visitor = connect_to(listening.local.port);
    harness.expect(EventType::Accepted);
    REQUIRE(traffic.flows());
    harness.engine.detach(*harness.client());
    std::vector<uint64_t> counts;
    for (const Joined& joined : traffic.joins()) counts.push_back(joined.cell->a_to_b);
    // Everything of it is gone at once, or on its way.
    CHECK(harness.quiet());
    CHECK(eventually([&] { return harness.engine.stats().listeners == 0; }));
    traffic.wait();
    size_t i = 0;
    for (const Joined& joined : traffic.joins()) CHECK(joined.cell->a_to_b == counts[i++]);
    CHECK_FALSE(harness.inbox.has(EventType::JoinEnded));
    CHECK(receive_all(visitor.get()).end != End::TimedOut);
    harness.engine.detach(*harness.client());
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("life cycle: a client's end is none of another's business") {
  Harness harness;
  Traffic traffic(harness, 2, Mode::Adaptive);
  REQUIRE(traffic.flows());
  for (int i = 0; i < 20; ++i) {
    Inbox other;
    SocketPair a = connect_pair(Family::Tcp);
    SocketPair b = connect_pair(Family::Tcp);
    int error = 0;
    const EndpointId left = harness.engine.adopt(other.client(), a.near.take(), error);
    const EndpointId right = harness.engine.adopt(other.client(), b.near.take(), error);
    CounterCell cell{};
    auto spec = std::make_unique<JoinSpec>();
    spec->client = other.client();
    spec->cell = &cell;
    spec->a = left;
    spec->b = right;
    harness.engine.join(std::move(spec));
    harness.engine.dial(other.client(), loopback(closed_port()), 1000);
    send_all(a.far.get(), pattern(1, 100));
    if (i % 2) receive(b.far.get(), 100);
    // The cell and the client go with this block.
    harness.engine.detach(*other.client());
  }
  CHECK(harness.engine.stats().joins == 2);
  for (const Joined& joined : traffic.joins()) {
    const uint64_t count = joined.cell->a_to_b;
    CHECK(eventually([&] { return joined.cell->a_to_b > count; }));
    harness.engine.abort(joined.left);
    CHECK(harness.ended(joined).reason == EndReason::Aborted);
  }
}

TEST_CASE("life cycle: an engine stops with live traffic, listeners and dials; whoever comes later isn't kept waiting") {
  const size_t before = open_descriptors();
  for_each_mode([&](Mode mode) {
    auto harness = std::make_unique<Harness>();
    auto traffic = std::make_unique<Traffic>(*harness, 4, mode);
    Listening listening;
    REQUIRE(harness->engine.listen(harness->client(), {.address = loopback()}, listening) == 0);
    const Fd visitor = connect_to(listening.local.port);
    REQUIRE(traffic->flows());
    harness->engine.dial(harness->client(), loopback(listening.local.port), 10'000);
    std::thread other([&] { harness->engine.stop(); });
    harness->engine.stop();
    other.join();
    // Nobody carries these out any more; none of them hangs or leaks.
    SocketPair late = connect_pair(Family::Tcp);
    harness->adopt(std::move(late.near));
    harness->engine.dial(harness->client(), loopback(listening.local.port), 10'000);
    harness->engine.abort(traffic->joins()[0].left);
    harness->engine.unlisten(listening.id);
    harness->engine.detach(*harness->client());
    // The cells are the harness's: the traffic's peers learn of the end by its descriptors.
    std::thread end([&] { harness.reset(); });
    traffic.reset();
    end.join();
  });
  CHECK(open_descriptors() == before);
}

TEST_CASE("life cycle: calls from many threads") {
  Harness harness;
  std::vector<std::thread> threads;
  std::atomic<int> joined{0};
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Inbox inbox;
      Random random(t);
      std::vector<std::unique_ptr<CounterCell>> cells;
      for (int i = 0; i < 40; ++i) {
        SocketPair a = connect_pair(random.below(2) ? Family::Tcp : Family::Unix);
        SocketPair b = connect_pair(Family::Tcp);
        int error = 0;
        const EndpointId left = harness.engine.adopt(inbox.client(), a.near.take(), error);
        const EndpointId right = harness.engine.adopt(inbox.client(), b.near.take(), error);
        cells.push_back(std::make_unique<CounterCell>());
        auto spec = std::make_unique<JoinSpec>();
        spec->token = i + 1;
        spec->client = inbox.client();
        spec->cell = cells.back().get();
        spec->a = left;
        spec->b = right;
        harness.engine.join(std::move(spec));
        send_all(a.far.get(), pattern(t, 3000));
        receive(b.far.get(), 3000);
        switch (random.below(3)) {
          case 0:
            harness.engine.abort(left);
            break;
          case 1:
            a.far.close();
            b.far.close();
            break;
          default:
            reset(b.far);
        }
        inbox.expect(EventType::JoinEnded, i + 1);
        ++joined;
      }
      harness.engine.detach(*inbox.client());
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(joined == 160);
  CHECK(harness.quiet());
}

}  // namespace millrace::test
