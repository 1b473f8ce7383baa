# SPDX-License-Identifier: BSD-3-Clause
"""CPU that parked ranks use while one rank works: mpirun -np 8, a gemm with occupancy = alone, read from /proc.

    python3 tests/peers/parked_ranks.py [build/dlscale] [ranks = 8] [seconds = 10]
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
from harness import rank_pids  # noqa: E402

binary = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "build/dlscale")
ranks = int(sys.argv[2]) if len(sys.argv) > 2 else 8
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 10.0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


with tempfile.TemporaryDirectory() as folder:
    command = ["mpirun", "--oversubscribe", "-np", str(ranks), binary, "--quiet", "-o", f"{folder}/parked.h5", "--only",
               "gemm*", "--case", "gemm m=1024 n=1024 k=1024 occupancy=alone min_time=600", "--set",
               "run.time_budget=700s"]
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # No-op and roofs come first; by then the gemm's own blocks run.
        time.sleep(float(os.environ.get("DLSCALE_SETTLE_S", "60")))
        pids = rank_pids(process.pid, binary)
        before, start = [cpu_seconds(pid) for pid in pids], time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - start
        shares = [(cpu_seconds(pid) - old) / took for pid, old in zip(pids, before)]
    finally:
        process.terminate()
        process.wait(timeout=30)
print("CPU of each rank over", round(took, 1), "s:", " ".join(f"{100 * share:.2f}%" for share in shares))
print(f"parked ranks, largest: {100 * sorted(shares)[-2]:.2f} % of a core; the working one: {100 * max(shares):.1f} %")
