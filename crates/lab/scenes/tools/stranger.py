#!/usr/bin/env python3
"""Takes a descriptor from another process and uses it: one line there and back, then reads until it ends."""
import errno
import socket
import sys
import time


def say(*words):
    print(int(time.time() * 1000), *words, flush=True)


listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
peer, _ = listener.accept()
_, descriptors, _, _ = socket.recv_fds(peer, 16, 1)
flow = socket.socket(fileno=descriptors[0])
flow.setblocking(True)
flow.sendall(b"hello\n")
say("echo", "ok" if flow.recv(100) == b"hello\n" else "wrong")
try:
    end = "data" if flow.recv(100) else "EOF"
except OSError as error:
    end = errno.errorcode.get(error.errno, str(error))
say("end", end)
