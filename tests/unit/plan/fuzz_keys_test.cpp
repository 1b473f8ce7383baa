// SPDX-License-Identifier: BSD-3-Clause
// A known key with a wrong value or a misspelled name: the sentence must name it.
#include "dlscale_catch.hpp"
#include "fuzz_tools.hpp"

using namespace dlscale;

namespace {

struct KnownKey {
  std::string section, name;
  Words wrong;  ///< TOML values that must be refused
};

const Words wrong_integers = {"\"x\"",
                              "1.5",
                              "true",
                              "-5",
                              "nan",
                              "1e300",
                              "[[1]]",
                              "{a = 1}",
                              "1979-05-27",
                              "99999999999999999999",
                              "9223372036854775807"};
const Words wrong_numbers = {"\"x\"", "true", "-1e9", "inf", "nan", "1e300", "{a = 1}", "07:32:00"};
const Words wrong_durations = {"\"x\"", "true",  "-5",           "\"-3s\"",
                               "inf",   "1e300", "\"9999999d\"", "{a = 1}"};
const Words wrong_flags = {"\"x\"", "1", "0.5", "-1", "{a = 1}", "\"true\""};
const Words wrong_texts = {"\"\"", "{a = 1}", "1979-05-27", "\"a\\nb\"", "[]"};
const Words wrong_choices = {"\"\"", "\"f46\"", "5", "-1", "true", "1e300", "{a = 1}", "[]"};

const std::vector<KnownKey> known_keys = {
    {"run", "name", {"\"\"", "3", "true", "{a = 1}", "\"a\\tb\""}},
    {"run", "seed", {"\"x\"", "1.5", "true", "-5", "nan", "[1]", "99999999999999999999"}},
    {"run", "time_budget", wrong_durations},
    {"run", "device", wrong_choices},
    {"run", "threads", wrong_integers},
    {"run", "watchdog", wrong_durations},
    {"sampling", "blocks", wrong_integers},
    {"sampling", "interleave", wrong_flags},
    {"sampling", "interval", wrong_numbers},
    {"sampling", "confidence", wrong_numbers},
    {"sampling", "warmup", wrong_durations},
    {"sampling", "min_time", wrong_durations},
    {"sampling", "max_time", wrong_durations},
    {"case", "m", wrong_integers},
    {"case", "k", wrong_integers},
    {"case", "alpha", wrong_numbers},
    {"case", "dtype", wrong_choices},
    {"case", "trans_a", wrong_choices},
    {"case", "pinned", wrong_flags},
    {"case", "note", wrong_texts},
    {"case", "threads", wrong_integers},
    {"case", "occupancy", {"\"\"", "\"alon\"", "0", "-1", "1.5", "true", "{a = 1}", "[]"}},
    {"case", "label", wrong_texts},
    {"case", "series", wrong_texts},
    {"case", "role", wrong_texts},
    {"case", "blocks", wrong_integers},
    {"case", "interval", wrong_numbers},
    {"case", "warmup", wrong_durations},
    {"case", "min_time", wrong_durations},
    {"case", "max_time", wrong_durations},
    {"require", "min_rate", wrong_numbers},
    {"require", "max_time", {"\"2s\"", "-1", "0", "true", "inf", "[1]", "{a = 1}"}},
    {"require", "min_flops", {"\"x\"", "-1", "0", "nan", "[1]"}}};

std::string misspelled(const std::string& name, Dice& dice) {
  std::string word = name;
  const std::size_t at = dice.below(word.size());
  switch (dice.below(3)) {
    case 0:
      word.insert(at, 1, word[at]);
      break;
    case 1:
      word[at] = 'q';
      break;
    default:
      word += "_x";
  }
  const bool is_known = std::any_of(known_keys.begin(), known_keys.end(),
                                    [&](const KnownKey& k) { return k.name == word; });
  return is_known ? name + "_x" : word;
}

std::string job_with(const KnownKey& key, const std::string& name, const std::string& value) {
  const std::string setting = name + " = " + value;
  if (key.section == "require") return "[[case]]\nworkload = \"gemm\"\nrequire = { " + setting + " }\n";
  if (key.section == "case") return "[[case]]\nworkload = \"gemm\"\n" + setting + "\n";
  return "[[case]]\nworkload = \"gemm\"\n[" + key.section + "]\n" + setting + "\n";
}

}  // namespace

TEST_CASE("a wrong value or a misspelled name is refused by name") {
  Dice dice(3);
  const Layout layout = small_layout();
  const auto must_name = [](const std::string& result, const std::string& name,
                            const std::string& input) {
    // In quotes, or in the line that is not TOML: a bare 'm' is in every sentence on gemm.
    const bool named = result.find("'" + name + "'") != std::string::npos ||
                       result.find(name + " = ") != std::string::npos;
    if (result.rfind("BROKEN", 0) != 0 && named) return;
    INFO(input);
    FAIL_CHECK("not refused by the name '" << name << "': " << result);
  };
  const auto plan_line = [&](const Words& words) {
    return outcome([&] {
      Words all = {"dlscale"};
      all.insert(all.end(), words.begin(), words.end());
      const CommandLine line = parse_command_line(all);
      plan_fully(load_config(line, ""), layout);
    });
  };
  for (int i = 0; i < fuzz_cases(); ++i) {
    const KnownKey& key = dice.pick(known_keys);
    const bool is_name = dice.below(3) == 0;
    const std::string name = is_name ? misspelled(key.name, dice) : key.name;
    const std::string value = is_name ? "1" : dice.pick(key.wrong);
    const std::string text = job_with(key, name, value);
    must_name(outcome([&] { plan_fully(parse_job(text, "job.toml", "/nowhere"), layout); }), name, text);
    const bool is_word = value.find_first_of("\"[{\n") == std::string::npos;
    if (key.section == "case" && is_word && !(key.wrong == wrong_texts)) {
      must_name(plan_line({"--case", "gemm " + name + "=" + value}), name,
                "--case " + name + "=" + value);
      must_name(plan_line({"--case", "gemm", "--set", "gemm." + name + "=" + value}), name,
                "--set " + name);
    }
    if ((key.section == "run" || key.section == "sampling") && is_word && key.name != "name")
      must_name(plan_line({"--case", "gemm", "--set", key.section + "." + name + "=" + value}), name,
                "--set " + name);
  }
}
