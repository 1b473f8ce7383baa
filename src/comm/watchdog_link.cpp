// SPDX-License-Identifier: BSD-3-Clause
#include "comm/watchdog_link.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/error.hpp"

namespace dlscale::watchdog {
namespace {

constexpr std::size_t header_bytes = offsetof(Datagram, text);

[[noreturn]] void refuse(std::string_view problem) {
  throw Error(ExitCode::refused, problem, std::strerror(errno),
              "the watchdog needs one UDP socket per rank");
}

bool is_bridge(std::string_view name) {
  constexpr std::array<std::string_view, 8> prefixes{"docker", "virbr",  "veth", "lxc",
                                                     "cni",    "podman", "br-",  "vnet"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](auto prefix) { return name.starts_with(prefix); });
}

}  // namespace

void Datagram::set_text(std::string_view words) {
  words = words.substr(0, sizeof text);
  std::memcpy(text, words.data(), words.size());
  text_length = static_cast<std::int32_t>(words.size());
}

std::string_view Datagram::get_text() const {
  return {text, static_cast<std::size_t>(text_length)};
}

Link::Link() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  if (!socket_) refuse("the watchdog can't open a socket");
  // Thousands of ranks may report at once. The kernel caps what it grants; less is no error.
  const int wanted_bytes = 4 << 20;
  (void)setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &wanted_bytes, sizeof wanted_bytes);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_ANY);
  if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
    refuse("the watchdog can't bind its socket");
}

std::uint16_t Link::port_be() const {
  sockaddr_in bound{};
  socklen_t length = sizeof bound;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0)
    refuse("the watchdog's port is unknown");
  return bound.sin_port;
}

void Link::send(const sockaddr_in& to, const Datagram& datagram) const noexcept {
  if (to.sin_addr.s_addr == 0) return;
  const std::size_t bytes = header_bytes + static_cast<std::size_t>(datagram.text_length);
  (void)sendto(socket_.get(), &datagram, bytes, MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

std::optional<Datagram> Link::receive(sockaddr_in& from) const noexcept {
  for (;;) {
    Datagram datagram;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(socket_.get(), &datagram, sizeof datagram, MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) return std::nullopt;
    const auto bytes = static_cast<std::size_t>(got);
    if (bytes < header_bytes || datagram.text_length < 0) continue;
    if (bytes == header_bytes + static_cast<std::size_t>(datagram.text_length)) return datagram;
  }
}

sockaddr_in socket_address(const WatchdogAddress& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = address.ipv4_be;
  result.sin_port = address.port_be;
  return result;
}

std::uint32_t advertised_ipv4(const std::vector<std::string>& hosts) {
  if (!hosts.empty() &&
      std::all_of(hosts.begin(), hosts.end(), [&](const auto& host) { return host == hosts[0]; }))
    return htonl(INADDR_LOOPBACK);
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return 0;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::uint32_t bridge = 0;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_UP) == 0 || (entry->ifa_flags & IFF_LOOPBACK) != 0) continue;
    sockaddr_in address{};
    std::memcpy(&address, entry->ifa_addr, sizeof address);
    if (!is_bridge(entry->ifa_name)) return address.sin_addr.s_addr;
    if (bridge == 0) bridge = address.sin_addr.s_addr;
  }
  return bridge;
}

}  // namespace dlscale::watchdog
