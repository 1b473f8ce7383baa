// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_link.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dlscale_catch.hpp"

using namespace dlscale;
using namespace dlscale::watchdog;

namespace {

sockaddr_in loopback(const Link& link) {
  return socket_address({.ipv4_be = htonl(INADDR_LOOPBACK), .port_be = link.port_be()});
}

std::optional<Datagram> next(const Link& link) {
  sockaddr_in from{};
  for (int i = 0; i < 200; ++i) {
    if (auto datagram = link.receive(from)) return datagram;
    usleep(1000);
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("a datagram arrives as it was sent", "[watchdog]") {
  const Link here, there;
  Datagram sent;
  sent.run = 0x1234567890abcdef;
  sent.kind = Kind::report;
  sent.rank = 3;
  sent.stage = 1ull << 40;
  sent.elapsed_s = 1.5;
  sent.set_text("gather of case 4");
  here.send(loopback(there), sent);
  const auto got = next(there);
  REQUIRE(got);
  CHECK(got->run == sent.run);
  CHECK(got->kind == Kind::report);
  CHECK(got->rank == 3);
  CHECK(got->stage == sent.stage);
  CHECK(got->elapsed_s == 1.5);
  CHECK(got->get_text() == "gather of case 4");
}

TEST_CASE("text is cut to what fits", "[watchdog]") {
  Datagram datagram;
  datagram.set_text(std::string(5000, 'x'));
  CHECK(datagram.get_text() == std::string(1024, 'x'));
}

TEST_CASE("broken datagrams are skipped, good ones behind them are not", "[watchdog]") {
  const Link here, there;
  const auto to = loopback(there);
  Datagram lying;
  lying.set_text("four");
  const auto raw = [&](const void* bytes, std::size_t size) {
    REQUIRE(sendto(here.fd(), bytes, size, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
            static_cast<ssize_t>(size));
  };
  raw("short", 5);
  raw(&lying, sizeof lying);  // longer than it says
  lying.text_length = -7;
  raw(&lying, sizeof lying);
  lying.text_length = 1 << 30;
  raw(&lying, sizeof lying);
  Datagram good;
  good.rank = 5;
  here.send(to, good);
  const auto got = next(there);
  REQUIRE(got);
  CHECK(got->rank == 5);
}

TEST_CASE("sending nowhere is harmless", "[watchdog]") {
  const Link here;
  here.send(socket_address({}), Datagram{});
  sockaddr_in from{};
  CHECK_FALSE(here.receive(from));
}

TEST_CASE("the address is loopback exactly when all ranks share a host", "[watchdog]") {
  CHECK(advertised_ipv4({"n1", "n1", "n1"}) == htonl(INADDR_LOOPBACK));
  CHECK(advertised_ipv4({"n1", "n2"}) != htonl(INADDR_LOOPBACK));
  CHECK(advertised_ipv4({}) != htonl(INADDR_LOOPBACK));
}
