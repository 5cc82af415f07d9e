"""knock.py IP PORT COUNT: connects so often, one after another; prints how often it ended in what."""

import collections
import errno
import socket
import sys

ended = collections.Counter()
for _ in range(int(sys.argv[3])):
    with socket.socket() as knocking:
        error = knocking.connect_ex((sys.argv[1], int(sys.argv[2])))
        ended[errno.errorcode.get(error, "ok")] += 1
for what, count in ended.items():
    print(count, what)
