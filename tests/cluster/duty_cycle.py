#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Slows processes: stops them for STOPPED ms of every PERIOD ms, until all of them are gone.

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


def main(stopped_s, period_s, pids):
    handles = [os.pidfd_open(pid) for pid in pids]  # a handle never means another process, a number may
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while handles:
            handles = send(handles, signal.SIGSTOP)
            time.sleep(stopped_s)
            handles = send(handles, signal.SIGCONT)
            time.sleep(period_s - stopped_s)
    finally:
        send(handles, signal.SIGCONT)


if __name__ == "__main__":
    main(float(sys.argv[1]) / 1000, float(sys.argv[2]) / 1000, [int(pid) for pid in sys.argv[3:]])
