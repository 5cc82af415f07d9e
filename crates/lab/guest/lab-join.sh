#!/bin/bash
# lab-join SERVER BUNDLE TOKEN-FILE: starts this node's agent and waits until it serves.
log=/var/log/tidelock/agent.log
mkdir -p /var/log/tidelock
# An agent from before has written there too.
before=$(stat -c %s $log 2>/dev/null || echo 0)
tidelock-agent run --server "$1" --server-bundle "$2" --join-token-file "$3" --data-dir /var/lib/tidelock/agent \
    --device /dev/tidelock </dev/null >>$log 2>&1 9>&- &
for _ in $(seq 400); do
    # What the agent says once the kernel has taken a configuration from it.
    tail -c +$((before + 1)) $log | grep '^in force: ' >/dev/null && exit 0
    kill -0 $! 2>/dev/null || break
    sleep 0.1
done
echo "the agent of $(hostname) does not serve:"; tail $log
exit 1
