#!/usr/bin/env python3
"""Makes what `strace -ff -o PREFIX` wrote comparable: what differs from run to run for no reason of ours is replaced.

traced.py PREFIX. Prints the processes in the order in which they began, each under a heading.

Replaced: addresses in memory, process numbers, random bytes, ports that the kernel chose, and what is counted in time.
A child's end is told before or after the call that waits for it, so it is printed behind a process's calls.
All else stays: every call, in order, with its arguments and its result.
"""
import glob
import re
import sys

REPLACED = [
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
    (re.compile(r"(getrandom\()\"[^\"]*\""), r"\1RANDOM"),
    (re.compile(r"(st_(?:dev|ino|blocks|nlink|size|[amc]time))=[^,}]*"), r"\1=N"),
    (re.compile(r"(si_[us]time)=\d+( /\* [^*]*\*/)?"), r"\1=N"),
    # From 32768 on: net.ipv4.ip_local_port_range.
    (re.compile(r"htons\((?:3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\)"), "htons(PORT)"),
    # Whether the first heap has to grow depends on where it begins.
    (re.compile(r"brk\((?:NULL|ADDRESS)\)\s+= ADDRESS"), "brk"),
]
# What stands before a number that is a process: other calls return numbers too.
MEANS_PROCESS = [
    r"^(?:clone3?|v?fork|wait4|getpid|gettid|getppid|set_tid_address)\(.*= ",
    r"pid=|wait4\(|\[",
]


def processes(prefix):
    """The files of a run, by process number, which grows."""
    names = glob.glob(glob.escape(prefix) + ".*")
    return sorted((int(name.rsplit(".", 1)[1]), name) for name in names if name.rsplit(".", 1)[1].isdigit())


def main():
    found = processes(sys.argv[1])
    pids = [
        (re.compile(rf"({means}){pid}\b"), rf"\1PROCESS{index}")
        for index, (pid, _) in enumerate(found)
        for means in MEANS_PROCESS
    ]
    for index, (_, name) in enumerate(found):
        print(f"process {index}")
        ends = []
        with open(name, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                for pattern, by in REPLACED + pids:
                    line = pattern.sub(by, line)
                if line.startswith("--- SIGCHLD "):
                    ends.append(line)
                else:
                    print(line.rstrip())
        print("".join(ends), end="")


if __name__ == "__main__":
    main()
