// SPDX-License-Identifier: BSD-3-Clause
// What the kernel tells about this process: events it counts, page faults, resident memory.
#include <linux/perf_event.h>
#include <sys/mman.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "dlscale_catch.hpp"
#include "measure/counters.hpp"
#include "measure/memory_peak.hpp"
#include "measure/probes.hpp"
#include "measure/statistics.hpp"

using namespace dlscale;

namespace {

constexpr std::size_t page = 4096;

// Fresh memory in small pages, given back at the end.
class Pages {
 public:
  explicit Pages(std::size_t count) : bytes_(count * page) {
    void* at = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(at != MAP_FAILED);
    madvise(at, bytes_, MADV_NOHUGEPAGE);
    memory_ = static_cast<volatile char*>(at);
  }
  ~Pages() { munmap(const_cast<char*>(memory_), bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  void touch() {
    for (std::size_t i = 0; i < bytes_; i += page) memory_[i] = 1;
  }

 private:
  std::size_t bytes_;
  volatile char* memory_;
};

// Other threads and the sanitizers' shadow memory fault too; what is missed, or counted twice, is n off.
bool about(double counted_events, std::size_t n) {
  return counted_events >= static_cast<double>(n) && counted_events < 1.5 * static_cast<double>(n);
}

// A thread that touches pages when told to, so that it can exist before something else does.
class Toucher {
 public:
  explicit Toucher(std::size_t count)
      : pages_(count), thread_([this] {
          go_.wait(false);
          pages_.touch();
        }) {}
  ~Toucher() {
    if (thread_.joinable()) touch();
  }
  void touch() {
    go_ = true;
    go_.notify_one();
    thread_.join();
  }

 private:
  Pages pages_;
  std::atomic<bool> go_{false};
  std::thread thread_;
};

const CounterEvent faults{"faults", "page faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS};
const CounterEvent nonsense{"nonsense", "no such event", PERF_TYPE_HARDWARE, 999};

}  // namespace

TEST_CASE("events are counted in threads made before and after the start") {
  constexpr std::size_t n = 2000;
  Toucher early(n);
  const Counters counters({nonsense, faults});
  REQUIRE(counters.why_missing().find("nonsense: ") != std::string::npos);  // it costs no other
  if (!counters.has("faults")) {
    WARN("skipped: " << counters.why_missing());
    return;
  }
  std::vector<CounterReading> before(1), between(1), after(1);
  counters.read(before);
  early.touch();
  counters.read(between);
  INFO(counted(before[0], between[0]) << " faults");
  CHECK(about(counted(before[0], between[0]), n));
  Toucher late(n);
  late.touch();
  counters.read(after);
  INFO(counted(between[0], after[0]) << " faults");
  CHECK(about(counted(between[0], after[0]), n));
}

TEST_CASE("what can't be counted is named with a reason, and can be dropped") {
  const Counters none({nonsense});
  CHECK(none.events().empty());
  CHECK(none.why_missing().starts_with("not available (nonsense: "));
  CHECK(none.why_missing().size() > std::string("not available (nonsense: )").size());
  Counters all;
  std::string listed;
  for (const CounterEvent& event : hardware_events())
    CHECK((all.has(event.name) || all.why_missing().find(event.name) != std::string::npos));
  all.keep({});
  CHECK(all.events().empty());
  Counters two({faults, nonsense});
  two.keep({"nonsense"});
  CHECK(two.events().empty());
}

TEST_CASE("an event that shared its register is scaled, and one that never had it is not zero") {
  CHECK(counted({100, 10, 10}, {300, 20, 20}) == 200);
  CHECK(counted({100, 10, 10}, {300, 50, 30}) == 400);
  CHECK(std::isnan(counted({100, 10, 10}, {100, 50, 10})));
}

TEST_CASE("page faults of a second thread are in the process's probes") {
  Probes probes;
  const auto& list = probes.list();
  const auto at = std::find_if(list.begin(), list.end(),
                               [](const Probe& probe) { return probe.name == "page_faults"; });
  REQUIRE(at != list.end());
  std::vector<double> values(list.size());
  constexpr std::size_t n = 3000;
  Toucher other(n);
  probes.begin(false);
  other.touch();
  probes.end(1, values.data());
  const double seen = values[static_cast<std::size_t>(at - list.begin())];
  INFO(seen << " faults");
  CHECK(about(seen, n));
  // Slow probes were not read before: a difference to nothing must not look like a number.
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].description.find("10 ms") != std::string::npos) CHECK(std::isnan(values[i]));
}

TEST_CASE("the peak of what a case allocates is seen, and that of the case before is not") {
  MemoryPeak peak;
  peak.begin();
  if (!peak.bytes()) {
    WARN("skipped: /proc/self/clear_refs can't be written");
    return;
  }
  constexpr double mib = 1024 * 1024;
  const auto touch_and_free = [](double bytes) {
    Pages(static_cast<std::size_t>(bytes) / page).touch();
  };
  touch_and_free(256 * mib);
  peak.begin();
  touch_and_free(64 * mib);
  CHECK(*peak.bytes() == Approx(64 * mib).epsilon(0.03));
  peak.begin();
  CHECK(*peak.bytes() < 2 * mib);
}
