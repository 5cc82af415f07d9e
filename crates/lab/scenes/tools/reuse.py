#!/usr/bin/env python3
"""Takes the pid of a process that has ended, twice: by fork alone, and for a fresh program; each tries to connect.

reuse.py PID IP PORT. Both run under the uid that the ended process had, 2002. Exit status 1 if the pid was not to be had.
"""
import errno
import os
import socket
import sys


def attempt(ip, port):
    """Connects; how that went."""
    os.setgid(2002)
    os.setuid(2002)
    try:
        socket.create_connection((ip, port)).close()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "ok"


def with_pid(pid, act):
    """Runs `act` in a child that has this pid; what it wrote, or None."""
    reader, writer = os.pipe()
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as last:
        last.write(str(pid - 1))
    child = os.fork()
    if child == 0:
        # Nothing was executed: whatever the kernel knows of this pid is of the process before.
        os.dup2(writer, 1)
        if os.getpid() == pid:
            act()
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read() if child == pid else None


def main():
    pid, ip, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def forked():
        os.write(1, f"fork connect {attempt(ip, port)}\n".encode())

    def executed():
        os.execv(sys.executable, [sys.executable, __file__, "attempt", ip, str(port)])

    for act in (forked, executed):
        said = with_pid(pid, act)
        if said is None:
            return 1
        print(said.strip())
    print("pid", pid)
    return 0


if sys.argv[1] == "attempt":
    print("exec connect", attempt(sys.argv[2], int(sys.argv[3])))
else:
    sys.exit(main())
