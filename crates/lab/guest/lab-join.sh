#!/bin/bash
# lab-join SERVER BUNDLE TOKEN-FILE: starts this node's agent and waits until it serves.
mkdir -p /var/log/tidelock
tidelock-agent run --server "$1" --server-bundle "$2" --join-token-file "$3" --data-dir /var/lib/tidelock/agent \
    --device /dev/tidelock </dev/null >>/var/log/tidelock/agent.log 2>&1 9>&- &
for _ in $(seq 400); do
    # What the agent says once the kernel has taken a configuration from it.
    grep -q '^in force: ' /var/log/tidelock/agent.log && exit 0
    kill -0 $! 2>/dev/null || break
    sleep 0.1
done
echo "the agent of $(hostname) does not serve:"; tail /var/log/tidelock/agent.log
exit 1
