// SPDX-License-Identifier: BSD-3-Clause
#include "record/fixed_text.hpp"

#include <nlohmann/json.hpp>

namespace dlscale {

std::string_view cut_utf8(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  // Continuation bytes are 10xxxxxx: the cut must not stand in front of one.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

namespace {

std::string compact(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json::iterator largest_member(nlohmann::json& object) {
  auto largest = object.end();
  std::size_t size = 0;
  for (auto it = object.begin(); it != object.end(); ++it) {
    if (it.key() == "truncated") continue;
    if (const std::size_t length = it.key().size() + compact(it.value()).size(); length > size) {
      size = length;
      largest = it;
    }
  }
  return largest;
}

}  // namespace

std::string fit_json(const std::string& json, std::size_t max_bytes) {
  if (json.size() <= max_bytes) return json;
  const std::string nothing = R"({"truncated":[]})";
  auto object = nlohmann::json::parse(json, nullptr, false);
  if (!object.is_object()) return nothing;
  std::string text = compact(object);  // without the blanks it may fit already
  while (text.size() > max_bytes) {
    const auto largest = largest_member(object);
    if (largest == object.end()) return nothing;
    object["truncated"].push_back(std::string(cut_utf8(largest.key(), 40)));
    object.erase(largest.key());
    text = compact(object);
  }
  return text;
}

}  // namespace dlscale
