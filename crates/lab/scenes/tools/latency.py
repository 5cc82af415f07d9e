#!/usr/bin/env python3
"""From exec to grant, and from exec to an SVID to use, for the first and the n-th process of an identity.

latency.py EVENTS IDENTITY FIRST NTH, with the events as `tidelock -o json events` prints them.
"""
import json
import sys
from datetime import datetime, timezone


def ns(text):
    """Nanoseconds since 1970 of a time as RFC 3339 writes it."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0")[:9])


def main():
    path, identity, first, nth = sys.argv[1:]
    events = [json.loads(line) for line in open(path, encoding="utf-8")]
    grants = [e["data"] for e in events if e["what"] == "granted" and e["data"]["identity"] == identity]
    ready = [ns(e["time"]) for e in events if e["what"] == "svid-installed" and e["data"]["identity"] == identity]
    if not grants or not ready:
        print("no grant, or no SVID")
        return 1
    grants.sort(key=lambda grant: grant["process"]["subject"])
    for name, number in (("first", int(first)), ("hundredth", int(nth))):
        grant = grants[number - 1]
        if not grant["took_ns"]:
            print("it is not known how long a grant took")
            return 1
        granted = ns(grant["granted"])
        execed = granted - grant["took_ns"]
        print(f"exec_to_grant_{name} {grant['took_ns'] / 1e6:.1f}")
        print(f"exec_to_svid_{name} {(max(granted, min(ready)) - execed) / 1e6:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
