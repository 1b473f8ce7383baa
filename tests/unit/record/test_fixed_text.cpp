// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "dlscale_catch.hpp"
#include "record/fixed_text.hpp"
#include "sample_run.hpp"

using dlscale::cut_utf8;
using dlscale::fit_json;

TEST_CASE("texts are cut between characters") {
  CHECK(cut_utf8("größe", 5) == "grö");  // ö and ß take two bytes each
  CHECK(cut_utf8("größe", 6) == "größ");
  CHECK(cut_utf8("größe", 7) == "größe");
  CHECK(cut_utf8("€", 2) == "");
  CHECK(cut_utf8("a€", 3) == "a");
  CHECK(cut_utf8("a\xF0\x9F\x98\x80", 4) == "a");  // four bytes
  CHECK(cut_utf8("abc", 0) == "");
  CHECK(cut_utf8("\x80\x80\x80", 2) == "");  // no UTF-8 at all: still ends
}

TEST_CASE("JSON that doesn't fit stays JSON") {
  const std::string small = R"({ "a": 1 })";
  CHECK(fit_json(small, 100) == small);
  CHECK(fit_json(small, 8) == R"({"a":1})");
  nlohmann::json object = {
      {"keep", 1}, {"ranks", std::vector<int>(1000, 7)}, {"names", std::string(300, 'x')}};
  const auto fitted = nlohmann::json::parse(fit_json(object.dump(), 400));
  CHECK(fitted["keep"] == 1);
  CHECK(fitted["names"].get<std::string>().size() == 300);
  CHECK(fitted["truncated"] == std::vector<std::string>{"ranks"});
  CHECK(fit_json("[1,2,3,4,5,6,7,8,9,10,11,12,13]", 20) == R"({"truncated":[]})");
  CHECK(fit_json("no json at all, and too long", 20) == R"({"truncated":[]})");
}

TEST_CASE("long texts in a row are cut, and the file stays readable") {
  using namespace record_test;
  const TemporaryFolder folder;
  auto file = dlscale::RunFile::create(folder.file("run.h5"), sample_spec());
  dlscale::CaseRow row = sample_spec().cases[0].row;
  row.dtype = "fünfzehn bytes und mehr";
  row.message = std::string(1023, 'm') + "€";
  row.results_json = nlohmann::json{{"list", std::vector<int>(9000, 1)}, {"kept", true}}.dump();
  row.status = std::string(16, 's');  // exactly full: no terminating zero in the file
  file->update_case(row);
  file->close("completed");
  const auto state = dlscale::RunFile::inspect(folder.file("run.h5"));
  CHECK(state.cases[0].dtype == "fünfzehn bytes ");
  CHECK(state.cases[0].message == std::string(1023, 'm'));
  CHECK(state.cases[0].status == row.status);
  CHECK(nlohmann::json::parse(state.cases[0].results_json)["kept"] == true);
}
