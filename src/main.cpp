// SPDX-License-Identifier: BSD-3-Clause
// dlscale: parse, plan, run, summarise.
#include <exception>

#include "base/error.hpp"
#include "comm/signals.hpp"
#include "config/config.hpp"
#include "ending.hpp"
#include "launch.hpp"
#include "launch_times.hpp"
#include "mislaunch.hpp"

int main(int argc, char** argv) {
  using namespace dlscale;
  note_main_begins();
  catch_ending_signals();
  try {
    const CommandLine line = parse_command_line({argv, argv + argc});
    if (const int answered = answer_without_running(line); answered >= 0) return answered;
    refuse_singletons_before_init(line.allow);
    Ending ending;
    const SignalThread signals([&](int number) { ending.on_signal(number); });
    return run_job(line, ending);
  } catch (const Error& e) {
    complain(e.what());
    return static_cast<int>(e.exit_code());
  } catch (const std::exception& e) {
    complain(e.what());
    return static_cast<int>(ExitCode::case_failed);
  }
}
