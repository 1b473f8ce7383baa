#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Slows processes: stops them for STOPPED ms of every PERIOD ms, until all of them are gone.

Meanwhile a process of the same priority computes on their cores: a node that shares one with a slow node must not get what that
node does not use, as no node of a real cluster does.

Usage: duty_cycle.py STOPPED PERIOD PID…
"""
import os
import signal
import sys
import time


def send(handles, what):
    """Sends a signal; returns the handles of the processes that still are."""
    alive = []
    for handle in handles:
        try:
            signal.pidfd_send_signal(handle, what)
            alive.append(handle)
        except ProcessLookupError:
            os.close(handle)
    return alive


def stand_in(pid):
    """A process that computes where `pid` may, for as long as nobody stops it."""
    cores, nice = os.sched_getaffinity(pid), os.getpriority(os.PRIO_PROCESS, pid)
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, cores)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        while True:
            pass
    return child


def main(stopped_s, period_s, pids):
    handles = [os.pidfd_open(pid) for pid in pids]  # a handle never means another process, a number may
    children = [stand_in(pid) for pid in pids]
    others = [os.pidfd_open(child) for child in children]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while handles:
            handles = send(handles, signal.SIGSTOP)
            send(others, signal.SIGCONT)
            time.sleep(stopped_s)
            send(others, signal.SIGSTOP)
            handles = send(handles, signal.SIGCONT)
            time.sleep(period_s - stopped_s)
    finally:
        send(handles, signal.SIGCONT)
        send(others, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000, float(sys.argv[2]) / 1000, [int(pid) for pid in sys.argv[3:]])
