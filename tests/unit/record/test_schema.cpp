// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>

#include "dlscale_catch.hpp"
#include "sample_run.hpp"

using namespace record_test;

TEST_CASE("names, shapes, types and units are those of tests/golden/schema.txt") {
  if (!have_h5py()) return;
  const TemporaryFolder folder;
  const std::string path = folder.file("run.h5");
  auto file = dlscale::RunFile::create(path, sample_spec());
  file->append(full_case, sample_rows(full_case, 0, 2));
  file->close("completed");
  const std::string script = DLSCALE_SOURCE_DIR "/tests/golden/dump_schema.py";
  // DLSCALE_GOLDEN=generate accepts a change; raise schema_version with it unless objects were only
  // added.
  const char* mode = std::getenv("DLSCALE_GOLDEN");
  const bool generate = mode != nullptr && std::string(mode) == "generate";
  CHECK(std::system(("/usr/bin/python3 " + script + (generate ? " --generate " : " ") + path).c_str()) ==
        0);
}
