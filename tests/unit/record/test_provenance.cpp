// SPDX-License-Identifier: BSD-3-Clause
#include <dlfcn.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "device/blas.hpp"
#include "dlscale_catch.hpp"
#include "record/provenance.hpp"
#include "record/system_facts.hpp"
#include "sample_run.hpp"

using namespace dlscale;
using record_test::ScopedVariable;
using record_test::TemporaryFolder;

namespace {

void put(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

}  // namespace

TEST_CASE("facts of this host are sane") {
  const HostFacts facts = read_host_facts();
  CHECK_FALSE(facts.host.empty());
  CHECK(facts.pid == getpid());
  CHECK(facts.affinity_cores >= 1);
  CHECK(facts.affinity_pus >= facts.affinity_cores);
  CHECK(facts.node_cores >= facts.affinity_cores);
  CHECK(facts.core_ids.size() == static_cast<std::size_t>(facts.affinity_cores));
  CHECK(facts.memory_available_bytes > 0);
  CHECK(facts.memory_available_bytes <= facts.memory_total_bytes);
  CHECK_FALSE(facts.cpu_model.empty());
  CHECK_FALSE(facts.cpus.empty());
}

TEST_CASE("the affinity mask is what the scheduler was told") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const HostFacts bound = read_host_facts();
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(bound.cpus == std::to_string(first));
  CHECK(bound.affinity_pus == 1);
  CHECK(bound.affinity_cores == 1);
  CHECK(bound.node_cores == read_host_facts().node_cores);
}

TEST_CASE("the environment is JSON with every key the contract names") {
  const ScopedVariable seen("OPENBLAS_TEST_VARIABLE", "7"), slurm("SLURM_JOB_ID", "42"),
      secret("SLURM_JWT", "not for the file"), broken("OMP_BROKEN", "\xFF\xFE"),
      other("UNRELATED_NAME", "x");
  const auto all = nlohmann::json::parse(environment_json());
  for (const char* key :
       {"build", "command_line", "libraries", "blas", "mpi", "hdf5", "host", "cpu", "numa", "cpuset",
        "memory", "cgroup", "clock", "kernel", "hugepages", "slurm", "variables"})
    CHECK(all.contains(key));
  CHECK(all["hdf5"]["version"].get<std::string>().starts_with("1."));
  CHECK(all["cpu"]["cores"] >= 1);
  CHECK(all["clock"]["cost_s"] > 0);
  CHECK(all["clock"]["cost_s"] < 1e-4);
  CHECK(all["variables"]["OPENBLAS_TEST_VARIABLE"] == "7");
  CHECK(all["variables"].contains("OMP_BROKEN"));
  CHECK_FALSE(all["variables"].contains("UNRELATED_NAME"));
  CHECK(all["slurm"]["SLURM_JOB_ID"] == "42");
  CHECK_FALSE(all["slurm"].contains("SLURM_JWT"));
  const auto& libraries = all["libraries"];
  CHECK(std::any_of(libraries.begin(), libraries.end(), [](const auto& library) {
    const std::string path = library["path"];
    return path.find("libhdf5") != std::string::npos && path[0] == '/' && library["version"] != "";
  }));
  CHECK(all["command_line"].size() >= 1);
}

TEST_CASE("build facts are compiled in") {
  CHECK_FALSE(version().empty());
  CHECK_FALSE(git_hash().empty());
  const std::string id = executable_build_id();
  CHECK(id.size() >= 16);
  CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK_FALSE(build_facts().compiler.empty());
}

TEST_CASE("facts that ranks compare are stable lines") {
  const auto lines = comparable_facts();
  CHECK(lines == comparable_facts());
  for (const std::string& line : lines) {
    CHECK(line.find(": ") != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  }
  CHECK(std::any_of(lines.begin(), lines.end(), [](auto& line) { return line.starts_with("cpu: "); }));
}

TEST_CASE("control groups version 2: the tightest limit on the way to the root") {
  const TemporaryFolder root;
  put(root.file("proc/self/cgroup"), "0::/job/step\n");
  put(root.file("proc/self/mountinfo"), "30 1 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
  const std::string job = root.file("sys/fs/cgroup/job");
  put(job + "/memory.max", "8000\n");
  put(job + "/memory.current", "5000\n");
  put(job + "/memory.stat", "anon 1\ninactive_file 1000\n");
  put(job + "/cpu.max", "200000 100000\n");
  put(job + "/step/memory.max", "max\n");
  put(job + "/step/memory.current", "1\n");
  put(job + "/step/cpu.max", "max 100000\n");
  const ControlGroupLimits limits = control_group_limits(root.path());
  CHECK(limits.memory_limit_bytes.value_or(-1) == 8000);
  CHECK(limits.memory_left_bytes.value_or(-1) == 4000);  // 8000 − (5000 − 1000 reclaimable)
  CHECK(limits.cpus.value_or(-1) == 2.0);
}

TEST_CASE("control groups version 1, seen from inside a container") {
  const TemporaryFolder root;
  put(root.file("proc/self/cgroup"), "9:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n");
  put(root.file("proc/self/mountinfo"),
      "40 1 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
      "41 1 0:31 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n");
  put(root.file("sys/fs/cgroup/memory/memory.limit_in_bytes"), "9000\n");
  put(root.file("sys/fs/cgroup/memory/memory.usage_in_bytes"), "10000\n");
  put(root.file("sys/fs/cgroup/memory/memory.stat"), "inactive_file 3\ntotal_inactive_file 500\n");
  put(root.file("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us"), "150000\n");
  put(root.file("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us"), "100000\n");
  const ControlGroupLimits limits = control_group_limits(root.path());
  CHECK(limits.memory_limit_bytes.value_or(-1) == 9000);
  CHECK(limits.memory_left_bytes.value_or(-1) ==
        0);  // more used than allowed: nothing is left, not a negative
  CHECK(limits.cpus.value_or(-1) == 1.5);
  put(root.file("sys/fs/cgroup/memory/memory.limit_in_bytes"),
      "9223372036854771712\n");  // version 1's "none"
  CHECK_FALSE(control_group_limits(root.path()).memory_limit_bytes.has_value());
  CHECK_FALSE(control_group_limits(root.file("nothing")).memory_limit_bytes.has_value());
}

TEST_CASE("small readers") {
  CHECK(selected_choice("always [madvise] never") == "madvise");
  CHECK(selected_choice("none") == "none");
  const TemporaryFolder folder;
  put(folder.file("info"), "model name\t: A CPU @ 2 GHz\nmodel\t: 85\nMemTotal:   12 kB\n");
  CHECK(proc_field(folder.file("info"), "model name") == "A CPU @ 2 GHz");
  CHECK(proc_field(folder.file("info"), "model") == "85");
  CHECK(proc_field(folder.file("info"), "MemTotal") == "12 kB");
  CHECK(proc_field(folder.file("info"), "absent").empty());
  CHECK_FALSE(read_text_file(folder.file("absent")).has_value());
}

TEST_CASE("the switch comes from Slurm's topology") {
  const ScopedVariable address("SLURM_TOPOLOGY_ADDR", "core1.leaf3.node17"),
      pattern("SLURM_TOPOLOGY_ADDR_PATTERN", "switch.switch.node");
  CHECK(read_host_facts().network_switch == "core1.leaf3");
}

TEST_CASE("a BLAS that is loaded tells its name") {
  void* blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_GLOBAL);
  if (blas == nullptr) {
    WARN("skipped: no libopenblas.so.0");
    return;
  }
  const BlasFacts facts = blas_facts();
  CAPTURE(facts.vendor, facts.config, facts.library);
  CHECK(facts.vendor == "OpenBLAS");
  CHECK_FALSE(facts.core_name.empty());
  CHECK(facts.config.find("OpenBLAS") != std::string::npos);
  CHECK(facts.threads >= 1);
  CHECK(facts.library.find("/") == 0);
}
