// SPDX-License-Identifier: BSD-3-Clause
/// The watchdog's wire: one UDP socket per rank, one fixed datagram.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/file_descriptor.hpp"
#include "comm/watchdog.hpp"

namespace dlscale::watchdog {

enum class Kind : std::uint32_t {
  hello,   ///< rank → deputies: here is my address
  report,  ///< rank → deputies: what I do, for how long
  query,   ///< deputy → rank: what do you do?
  hold,    ///< deputy → rank: I end the run, stay until then
  leave,   ///< deputy → rank: go, with this exit code
  fatal,   ///< rank → root: I failed, `text` says how
};

/// Same binary on all ranks (checked at start by the caller), so plain memory will do.
struct Datagram {
  std::uint64_t run = 0;
  Kind kind = Kind::hello;
  std::int32_t rank = -1;
  std::int32_t doing = 0;  ///< Doing
  std::int32_t case_id = -1;
  std::int32_t exit_code = 0;
  std::int32_t text_length = 0;
  std::uint64_t stage = 0;
  double elapsed_s = 0, limit_s = 0;
  char text[1024] = {};  ///< not zero-terminated; only its used part is sent

  void set_text(std::string_view words);
  std::string_view get_text() const;
};

class Link {
 public:
  Link();
  std::uint16_t port_be() const;
  int fd() const { return socket_.get(); }
  /// Never blocks; a datagram that can't be sent is lost, as UDP allows.
  void send(const sockaddr_in& to, const Datagram& datagram) const noexcept;
  /// The next datagram in the queue that is whole; nothing when the queue is empty.
  std::optional<Datagram> receive(sockaddr_in& from) const noexcept;

 private:
  FileDescriptor socket_;
};

sockaddr_in socket_address(const WatchdogAddress& address);

/// 127.0.0.1 when all hosts are one, else the host's first IPv4 address that is up, no loopback, and no
/// bridge of containers or virtual machines unless there is nothing else; 0 if there is none.
std::uint32_t advertised_ipv4(const std::vector<std::string>& hosts);

}  // namespace dlscale::watchdog
