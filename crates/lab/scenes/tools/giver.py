#!/usr/bin/env python3
"""Connects, gives the descriptor to another process, and stays."""
import socket
import sys
import time

flow = socket.create_connection((sys.argv[2], int(sys.argv[3])))
gift = socket.socket(socket.AF_UNIX)
gift.connect(sys.argv[1])
socket.send_fds(gift, [b"x"], [flow.fileno()])
print("given", flush=True)
time.sleep(600)
