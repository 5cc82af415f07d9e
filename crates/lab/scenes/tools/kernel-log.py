#!/usr/bin/env python3
"""Reads the kernel's log from the moment before the module was first loaded.

It has to hold the two lines with which Linux says that a module is not its own, and otherwise nothing at warning level
or above. Exit status 1 if that is not so; the first line printed says why.
"""
import os
import re
import sys

BEGINNING = "lab: the module comes next"
TAINTS = [
    "tidelock: loading out-of-tree module taints kernel.",
    "tidelock: module verification failed: signature and/or required key missing - tainting kernel",
]
WARNING = 4
# What an emulated machine on a busy host says of its own clock, with or without any module.
EMULATION = re.compile(r"(hrtimer: interrupt took|clocksource: |sched: RT throttling)")


def records():
    """Every record of the log: (level, text)."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    while True:
        try:
            record = os.read(log, 16384).decode(errors="replace")
        except BlockingIOError:
            return
        except BrokenPipeError:
            sys.exit("the log is longer than the kernel keeps")
        head, _, text = record.partition(";")
        yield int(head.split(",")[0]) & 7, text.split("\n")[0]


def main():
    found = list(records())
    texts = [text for _, text in found]
    if BEGINNING not in texts:
        print("the beginning is not in the log")
        return 1
    found = found[texts.index(BEGINNING) + 1:]
    missing = [taint for taint in TAINTS if taint not in [text for _, text in found]]
    bad = [text for level, text in found if level <= WARNING and text not in TAINTS and not EMULATION.match(text)]
    if missing:
        print("not in the log:", missing[0])
    elif bad:
        print("the kernel's log:", bad[0])
    for level, text in found:
        print(level, text)
    return 1 if missing or bad else 0


if __name__ == "__main__":
    sys.exit(main())
