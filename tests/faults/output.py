# SPDX-License-Identifier: BSD-3-Clause
"""Places where the file can't be written, or can't any more. Run by program.py."""
import contextlib
import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import time

from harness import (BINARY, FAULTY_IO, HELD, JOB, LONG, WORK, Skipped, Wrong, check_code, check_file, expect, kill_left,
                     mpirun, ours, rank_pids, read_cases, rows_kept, run, started)


@contextlib.contextmanager
def mounted(folder, *options):
    """A tmpfs of its own."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], capture_output=True).returncode:
        raise Skipped("mounting a tmpfs is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def faulty(path, switch):
    """Environment of a run whose writing to `path` fails while the file `switch` exists."""
    if not FAULTY_IO.exists():
        raise Wrong(f"{FAULTY_IO} is not built")
    return {"LD_PRELOAD": str(FAULTY_IO), "FAULTY_IO_PREFIX": str(path), "FAULTY_IO_SWITCH": str(switch)}


def codes_of(ranks, name, arguments, environment):
    """An mpirun whose ranks leave their exit codes in WORK/NAME.<rank>, and these files. It sees none of the codes: at the
    first that is not 0 it would kill the others."""
    exports = [word for key in environment for word in ("-x", f"{key}={environment[key]}")]
    script = f'"$0" "$@"; echo $? >"{WORK}/{name}.$OMPI_COMM_WORLD_RANK"'
    command = ["mpirun", "--oversubscribe", *exports, "-np", str(ranks), "bash", "-c", script, BINARY, *map(str, arguments)]
    return command, [WORK / f"{name}.{rank}" for rank in range(ranks)]


def test_output_refused():
    path = WORK / "exists.h5"
    path.write_text("precious")
    result = run(mpirun(2, "-o", path, *JOB))
    check_code(result, 5)
    expect(path.read_text() == "precious", "the existing file was touched")
    expect(len(ours(result)) == 1 and "exists.h5" in ours(result)[0], str(ours(result)))
    check_code(run(mpirun(2, "-o", WORK / "no" / "such" / "folder.h5", *JOB)), 5)


def test_second_run_on_same_output():
    path = WORK / "shared.h5"
    first = started(mpirun(2, "-o", path, *LONG), path)
    try:
        for arguments in (["-o", path, *JOB], ["--resume", path]):
            second = run(mpirun(2, *arguments))
            expect(second.returncode == 5, f"{arguments[0]}: exit code {second.returncode}: {second.stderr[-300:]}")
        expect(first.poll() is None, "the first run ended")
    finally:
        first.terminate()
        first.communicate(timeout=30)
    check_file(path)


def test_disk_full():
    """Something else fills the disk during the run."""
    with mounted(WORK / "small", "-o", "size=8m") as mount:
        path = mount / "full.h5"
        process = started(mpirun(2, "-o", path, *LONG), path, blocks=2)
        seen = check_file(path, swmr=True)
        with contextlib.suppress(OSError), open(mount / "other", "wb", buffering=0) as file:
            while file.write(bytes(4096)) == 4096:
                pass
        _, errors = process.communicate(timeout=120)
        expect(process.returncode == 5, f"exit code {process.returncode}: {errors[-400:]}")
        said = [line for line in errors.splitlines() if line.startswith("dlscale: can't write")]
        expect(len(said) == 1 and "No space left on device" in said[0], errors[-400:])
        copy = WORK / "full-copy.h5"
        shutil.copy(path, copy)
        rows_kept(seen, copy, swmr=True)


def test_read_only_folder():
    with mounted(WORK / "read-only", "-o", "ro") as folder:
        result = run(mpirun(2, "-o", folder / "run.h5", *JOB))
    check_code(result, 5)
    expect(len(ours(result)) == 1 and "Read-only file system" in ours(result)[0], str(ours(result)))


def test_folder_vanishes():
    """rm -rf and umount during the run: found at the next block; what was measured is kept in another place."""
    for how in ("rm", "umount"):
        with mounted(WORK / f"vanishes-{how}") as mount:
            folder = mount / "runs"
            folder.mkdir()
            path = folder / "run.h5"
            process = started(mpirun(2, "-o", path, *HELD), path, blocks=2)
            seen = check_file(path, swmr=True)
            if how == "rm":
                shutil.rmtree(folder)
            else:
                subprocess.run(["umount", "-l", str(mount)], check=True)
            _, errors = process.communicate(timeout=60)
        expect(process.returncode == 5, f"{how}: exit code {process.returncode}: {errors[-400:]}")
        said = re.search(r"^dlscale: can't write .* \(No such file or directory\) what was measured is kept in (\S+);", errors,
                         re.M)
        expect(said, f"{how}: {errors[-400:]}")
        kept = WORK / f"kept-{how}.h5"
        shutil.move(said[1], kept)
        rows_kept(seen, kept, swmr=True)
    check_code(run(mpirun(2, "--resume", kept), timeout=200), 0)
    expect(read_cases(kept)[1] == "completed", "not completed by --resume")
    rows_kept(seen, kept)


def test_write_error():
    """A disk that reports an error: every rank ends with 5, and what was flushed is kept."""
    path, switch = WORK / "error.h5", WORK / "error.switch"
    command, files = codes_of(3, "error-code", ["-o", path, *LONG], faulty(path, switch))
    process = started(command, path, blocks=2)
    seen = check_file(path, swmr=True)
    switch.write_text(str(errno.EIO))
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if line.startswith("dlscale: can't write")]
    expect(len(lines) == 1 and "Input/output error" in lines[0], errors[-400:])
    codes = [file.read_text().strip() for file in files]
    expect(codes == ["5"] * 3, f"exit codes of the ranks: {codes}")
    rows_kept(seen, path, swmr=True)
    check_code(run([BINARY, "--recover", str(path)]), 0)
    rows_kept(seen, path)


def test_file_size_limit():
    """ulimit -f: the system's signal is not the end, the failed write is."""
    path = WORK / "limit.h5"
    process = started([BINARY, "-o", str(path), *LONG], path, blocks=2)
    seen = check_file(path, swmr=True)
    limit = path.stat().st_size + 10_000  # from the start it would hit the files of MPI
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    _, errors = process.communicate(timeout=90)
    expect(process.returncode == 5, f"exit code {process.returncode}: {errors[-400:]}")
    expect("dlscale: can't write" in errors and "File too large" in errors, errors[-400:])
    rows_kept(seen, path, swmr=True)


def test_file_server_hangs():
    """Writing never returns: with several ranks the watchdog says who hangs where, one rank ends at a signal."""
    for ranks in (2, 1):
        path, switch = WORK / f"hangs-{ranks}.h5", WORK / f"hangs-{ranks}.switch"
        environment = faulty(path, switch)
        exports = [word for key in environment for word in ("-x", f"{key}={environment[key]}")]
        job = ["-o", str(path), *LONG, "--set", "run.watchdog=3s"]
        command = ["mpirun", "--oversubscribe", *exports, "-np", str(ranks), BINARY, *job]
        process = started(command, path, blocks=2)
        seen = check_file(path, swmr=True)
        pids = rank_pids(process.pid)
        switch.write_text("hang")
        if ranks == 1:
            time.sleep(1)
            os.kill(pids[0], signal.SIGTERM)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            kill_left(pids)
        expect(process.returncode == (6 if ranks == 2 else 143), f"{ranks} ranks: exit code {process.returncode}: {errors[-400:]}")
        expect(f"{path} not closed (" in errors and "its finished blocks are kept: --resume" in errors, errors[-400:])
        if ranks == 2:
            expect(re.search(r"^dlscale: rank 0 .* \(last word: working at 'writing the output' for", errors, re.M), errors[-400:])
        rows_kept(seen, path, swmr=True)


def test_closing_hangs():
    """The file server dies while the ranks work: closing at SIGTERM is given up after ten seconds."""
    path, switch = WORK / "closing.h5", WORK / "closing.switch"
    # Between the writes of two blocks there are seconds.
    job = ["-o", path, "--case", "noop delay=1 min_time=60", "--set", "run.time_budget=90s"]
    process = started([BINARY, *map(str, job)], path, blocks=1, **faulty(path, switch))
    seen = check_file(path, swmr=True)
    switch.write_text("hang")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    expect(process.returncode == 143, f"exit code {process.returncode}: {errors[-400:]}")
    expect("not closed (its file system does not answer)" in errors, errors[-400:])
    rows_kept(seen, path, swmr=True)


def test_fuse_server_stopped():
    """A real file system whose server stops answering; it can't be unmounted by the run, but the run ends."""
    if shutil.which("bindfs") is None or not os.path.exists("/dev/fuse"):
        raise Skipped("no bindfs or no /dev/fuse")
    behind, folder = WORK / "behind", WORK / "fuse"
    behind.mkdir()
    folder.mkdir()
    server = subprocess.Popen(["bindfs", "-f", "--no-allow-other", str(behind), str(folder)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not os.path.ismount(folder) and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if not os.path.ismount(folder):
            raise Skipped("mounting with bindfs is not allowed here")
        process = started(mpirun(2, "-o", folder / "run.h5", *LONG, "--set", "run.watchdog=3s"), behind / "run.h5", blocks=2)
        seen = check_file(behind / "run.h5", swmr=True)
        server.send_signal(signal.SIGSTOP)
        deadline, said = time.monotonic() + 60, ""
        while "not closed" not in said and time.monotonic() < deadline:  # line by line: rank 0 may not go before its write
            said += process.stderr.readline()
        server.send_signal(signal.SIGCONT)
        said += process.communicate(timeout=60)[1]
        expect(process.returncode == 6, f"exit code {process.returncode}: {said[-400:]}")
        expect("working at 'writing the output'" in said, said[-400:])
        rows_kept(seen, behind / "run.h5", swmr=True)
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        server.kill()
        server.wait()
