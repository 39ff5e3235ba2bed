#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "tls_fixtures.h"
#include "tls_pair.h"

namespace millrace::test {

namespace {

struct World {
  std::shared_ptr<TicketKeys> keys = std::make_shared<TicketKeys>(std::vector{ticket_key(1)});
  std::shared_ptr<TlsSessions> sessions = std::make_shared<TlsSessions>(library());
  std::shared_ptr<const TlsContext> server;
  std::shared_ptr<const TlsContext> client;

  explicit World(bool tls13 = true) {
    server = make_server("front", kServerChain, kServerKey, tls13);
    TlsClientOptions ask = client_options();
    ask.sessions = sessions;
    client = client_context(ask);
  }

  std::shared_ptr<const TlsContext> make_server(const char* front, const char* chain, const char* key, bool tls13 = true) {
    TlsServerOptions serve = server_options();
    serve.front = front;
    serve.certificate = chain;
    serve.key = key;
    serve.tickets = keys;
    auto context = server_context(serve);
    if (!tls13) library().SSL_CTX_ctrl(context->get(), openssl::kCtrlMaxVersion, openssl::kTls12, nullptr);
    return context;
  }

  // Connects, lets the tickets come, says whether the handshake was a short one.
  bool resumed(const std::shared_ptr<const TlsContext>& serve, const std::shared_ptr<const TlsContext>& ask,
               const std::string& name = "localhost", std::string_view address = "192.0.2.1:443") {
    TlsPair pair(serve, ask, name, address);
    REQUIRE(pair.shake());
    std::string heard;
    pair.write(pair.server, pair.client, "x");
    CHECK(pair.read(pair.client, pair.server, heard) == TlsIo::WantInput);
    CHECK(heard == "x");
    CHECK(pair.client.stream->resumed() == pair.server.stream->resumed());
    return pair.client.stream->resumed();
  }
  bool resumed() { return resumed(server, client); }
};

}  // namespace

TEST_CASE("tls resumption: the second handshake is a short one, and so are those after it") {
  for (const bool tls13 : {true, false}) {
    World world(tls13);
    CHECK_FALSE(world.resumed());
    CHECK(world.sessions->size() >= 1);
    for (int i = 0; i < 5; ++i) {
      CAPTURE(tls13);
      CAPTURE(i);
      CHECK(world.resumed());
    }
  }
}

TEST_CASE("tls resumption: only for the same address, name and trust") {
  for (const bool tls13 : {true, false}) {
    World world(tls13);
    CHECK_FALSE(world.resumed());
    CHECK_FALSE(world.resumed(world.server, world.client, "localhost", "192.0.2.2:443"));
    CHECK_FALSE(world.resumed(world.server, world.client, "relay.test"));
    TlsClientOptions other = client_options();
    const std::string roots = std::string(kRoot) + kOtherRoot;
    other.trust.roots = roots;
    other.sessions = world.sessions;
    CHECK_FALSE(world.resumed(world.server, client_context(other)));
    CHECK(world.resumed());
  }
}

TEST_CASE("tls resumption: keys are rotated, and forgotten") {
  for (const bool tls13 : {true, false}) {
    World world(tls13);
    CHECK_FALSE(world.resumed());
    world.keys->set({ticket_key(2), ticket_key(1)});
    CHECK(world.resumed());
    // The old key's session came with a new ticket.
    world.keys->set({ticket_key(2)});
    CHECK(world.resumed());
    // Those that are left over from the first handshake are of a forgotten key, and no harm.
    world.keys->set({ticket_key(3)});
    CHECK_FALSE(world.resumed());
    world.keys->set({});
    CHECK_FALSE(world.resumed());
    CHECK_FALSE(world.resumed());
  }
}

TEST_CASE("tls resumption: tickets of one front, or certificate, are none at another with the same keys") {
  for (const bool tls13 : {true, false}) {
    World world(tls13);
    TlsClientOptions ask;
    ask.trust.kind = TlsTrust::Kind::None;
    ask.sessions = world.sessions;
    const auto client = client_context(ask);
    CHECK_FALSE(world.resumed(world.server, client));
    CHECK_FALSE(world.resumed(world.make_server("another front", kServerChain, kServerKey, tls13), client));
    CHECK_FALSE(world.resumed(world.make_server("front", kOtherCertificate, kOtherKey, tls13), client));
    // Another context of the same front and certificate: another worker, or another relay.
    CHECK_FALSE(world.resumed(world.server, client, "localhost", "elsewhere"));
    CHECK(world.resumed(world.make_server("front", kServerChain, kServerKey, tls13), client, "localhost", "elsewhere"));
  }
}

TEST_CASE("tls resumption: a connection that is cut leaves its session useful") {
  for (const bool tls13 : {true, false}) {
    World world(tls13);
    CHECK_FALSE(world.resumed());
    CHECK(world.resumed());
    {
      TlsPair pair(world.server, world.client);
      REQUIRE(pair.shake());
      std::string heard;
      pair.read(pair.client, pair.server, heard);
    }
    CHECK(world.resumed());
  }
}

TEST_CASE("tls resumption: tickets are those of the context that the name chose") {
  World world;
  const auto names = std::make_shared<const TlsNames>(
      std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{
          {"other.test", world.make_server("front", kOtherCertificate, kOtherKey)}},
      world.server);
  const auto connect = [&](const std::string& name) {
    TlsPair pair(names, world.client, name);
    REQUIRE(pair.shake());
    std::string heard;
    pair.read(pair.client, pair.server, heard);
    return pair.server.stream->resumed();
  };
  CHECK_FALSE(connect("other.test"));
  CHECK_FALSE(connect("localhost"));
  CHECK(connect("other.test"));
  CHECK(connect("localhost"));
  // The ticket is the other certificate's.
  TlsClientOptions ask;
  ask.trust.kind = TlsTrust::Kind::None;
  ask.sessions = world.sessions;
  const auto client = client_context(ask);
  CHECK_FALSE(world.resumed(world.server, client, ""));
  TlsPair pair(std::make_shared<const TlsNames>(
                   std::unordered_map<std::string, std::shared_ptr<const TlsContext>>{},
                   world.make_server("front", kOtherCertificate, kOtherKey)),
               client, "");
  REQUIRE(pair.shake());
  CHECK_FALSE(pair.server.stream->resumed());
}

TEST_CASE("tls resumption: bounded, whoever is asked for") {
  World world;
  for (int i = 0; i < 12; ++i) CHECK_FALSE(world.resumed(world.server, world.client, "localhost", std::to_string(i)));
  const size_t before = world.sessions->size();
  // Fakes of the right type: any session will do.
  for (size_t i = 0; i < TlsSessions::kEach + 8; ++i) {
    TlsPair pair(world.server, world.client, "localhost", "one");
    REQUIRE(pair.shake());
    std::string heard;
    pair.read(pair.client, pair.server, heard);
  }
  CHECK(world.sessions->size() <= before + TlsSessions::kEach);
}

TEST_CASE("tls resumption: contexts, keys and sessions are shared by threads") {
  World world;
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30; ++i) {
        TlsEnd client{.stream = TlsStream::client(world.client, "localhost", "192.0.2.1:443"), .incoming = {}};
        TlsEnd server{.stream = TlsStream::server(world.server), .incoming = {}};
        Bytes plain(100);
        for (int round = 0; round < 6; ++round) {
          for (const bool at_client : {true, false}) {
            TlsEnd& from = at_client ? client : server;
            TlsEnd& to = at_client ? server : client;
            Bytes out(16 << 10);
            TlsOutput output{.room = out};
            TlsInput input = from.input(SIZE_MAX);
            size_t n = 0;
            if (from.stream->handshake(input, output) == TlsIo::Progress) from.stream->read(input, output, plain, n);
            from.took(input);
            to.incoming.insert(to.incoming.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(output.used));
          }
        }
        if (!client.stream->established() || !server.stream->established()) ++failed;
      }
    });
  }
  for (int i = 0; i < 30; ++i) world.keys->set({ticket_key(static_cast<uint8_t>(i)), ticket_key(static_cast<uint8_t>(i - 1))});
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
}

}  // namespace millrace::test
