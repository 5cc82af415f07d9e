# Stopping and starting the agent and the module of this node. Sourced by scenes that do.

agent_pid() { pgrep -x tidelock-agent; }
agent_gone() { ! agent_pid >/dev/null; }

kill_agent() {
    kill "-$1" "$(agent_pid)" && eventually 60 agent_gone || abort "the agent does not end"
}

# Starts the agent as it was started first, but outside the scene's control group: it stays when the scene ends.
start_agent() {
    rm -f /run/tidelock/agent.sock
    (
        echo "$BASHPID" >/sys/fs/cgroup/cgroup.procs
        exec setsid lab-join 127.0.0.1:8443 /var/lib/tidelock/ca/bundle.pem /run/tidelock/token 3>&- </dev/null
    ) || { echo "the agent does not start"; return 1; }
}

# Makes sure, when a scene ends, that module and agent are there for the next.
restore_tidelock() {
    [ -e /sys/module/tidelock ] || load_module || return 1
    agent_pid >/dev/null || start_agent
}

load_module() { insmod /lab/tidelock.ko ${SCENE_SABOTAGE:+"sabotage=$SCENE_SABOTAGE"}; }

# In the order in which an administrator does it.
unload_module() {
    kill_agent TERM
    tidelock-agent drain || { echo "drain failed"; return 1; }
    rmmod tidelock
}
