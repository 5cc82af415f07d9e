# What the scenes share. Sourced by each of them.
# Bash's own variables, a few of run.sh's, SCENE, SCENE_DIR, SCENE_PAIR, SCENE_SABOTAGE and SCENE_TOOLS, and the lab's LAB_SLOWER.
# No `grep -q` at the end of a pipe: it leaves early, and with pipefail whoever still writes to it fails the pipe.
set -u -o pipefail
cd "$SCENE_DIR" || exit 1

CURL=$(readlink -f /usr/bin/curl)
PYTHON=$(readlink -f /usr/bin/python3)
NAME=/$SCENE                                   # every SPIFFE ID of this scene is below spiffe://example.org/a
TRUST=spiffe://example.org
PORT=$((7900 + 100 * (1 + $(printf %d "'$SCENE") - 97)))   # 8000 for scene a, 8100 for scene b, …
STATUS=/proc/tidelock/status
FLOWS=/proc/tidelock/flows

if [ -n "$SCENE_PAIR" ]; then
    LINK=eth0 SERVER_IP=10.77.0.2 SERVER_IP6=fd77::2 NODES="a b" SERVER_NODE=b
else
    LINK=lo SERVER_IP=127.0.0.1 SERVER_IP6=::1 NODES="a" SERVER_NODE=a
fi

# ---- what the lab reads ---------------------------------------------------------------------------

say() { echo "say $*" >&3; echo "--- $*"; }
# figure NAME VALUE UNIT
figure() { echo "figure $1 $2 $3" >&3; echo "--- figure $*"; }
pass() { verdict pass "$*"; exit 0; }
fail() { verdict fail "$*"; exit 1; }
# When it cannot come to what it is there to show: no sabotage counts as caught by this.
abort() { verdict abort "$*"; exit 1; }
verdict() { echo "$1 $2" >&3; echo "$1 $2" >>"$SCENE_DIR/verdict"; echo "--- $1 $2"; }

# ---- cleaning up ------------------------------------------------------------------------------------

CLEANUPS=()
# Runs a command when the scene ends, however it ends; the last registered first.
at_end() { CLEANUPS+=("$*"); }
clean_up() {
    local i status=$?
    trap '' TERM INT
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
        eval "${CLEANUPS[i]}" 3>&- || echo "cleaning up: ${CLEANUPS[i]}: status $?"
    done
    exit $status
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# ---- two machines, or one that plays both -----------------------------------------------------------

# on NODE COMMAND: runs a shell command on a node, as root.
on() {
    local node=$1 command=$2
    if [ "$node" = a ]; then
        bash -c "$command" </dev/null
    else
        on-peer "mkdir -p $SCENE_DIR /sys/fs/cgroup/scene; chmod 777 $SCENE_DIR; echo \$\$ >/sys/fs/cgroup/scene/cgroup.procs
export PATH=$SCENE_TOOLS:\$PATH; cd $SCENE_DIR; $command" </dev/null
    fi
}

# start NODE NAME COMMAND: starts it in the background; its output is $SCENE_DIR/NAME.log there. Prints its pid.
# `exec`, so that the pid is that of the program itself.
start() {
    local node=$1 name=$2 command=$3
    on "$node" "( exec $command ) >$SCENE_DIR/$name.log 2>&1 3>&- </dev/null & echo \$!"
}

# Ends a process of a node and waits until it is gone.
stop() {
    on "$1" "kill -${3:-TERM} $2 2>/dev/null; for i in \$(seq 100); do kill -0 $2 2>/dev/null || exit 0; sleep 0.05; done
        kill -9 $2"
}

# as UID COMMAND…: the words that run a program under a uid.
as() { echo "setpriv --reuid $1 --regid $1 --clear-groups ${*:2}"; }

# hurry UID: what is read slowly under a uid is read as fast as it comes from now on. A transfer that is to last lasts until
# it is told to end, on a machine of any speed.
hurry() { pkill -USR1 -u "$1" -x speak; }

# serve NODE NAME UID DIR IP PORT: an unmodified web server; waits until it listens. Prints its pid.
serve() {
    local pid
    pid=$(start "$1" "$2" "$(as "$3" "$PYTHON" -u -m http.server --bind "$5" --directory "$4" "$6")") || return 1
    listening "$1" "$6" "$pid" && echo "$pid"
}

# listening NODE PORT PID: waits until that process does. It starts no program before somebody listens there: on one emulated
# CPU what looks takes its time from what is looked for.
listening() {
    on "$1" "port=\$(printf :%04X $2)
    for i in \$(seq 300); do
        for table in /proc/net/tcp /proc/net/tcp6; do
            while read -r _ local _ state _; do
                case \$state\$local in 0A*\$port) ss -Hltnp 'sport = :$2' | grep -q 'pid=$3,' && exit 0 ;; esac
            done <\$table
        done
        kill -0 $3 2>/dev/null || exit 1
        sleep 0.1
    done; exit 1" || { echo "nothing listens on port $2 of node $1"; return 1; }
}

# Polls are few and cheap: an emulated machine starts some thirty programs a second.

# ---- time ---------------------------------------------------------------------------------------------

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# eventually SECONDS COMMAND…: repeats it until it succeeds. On a kernel that is slow it may take longer.
eventually() {
    local until=$((SECONDS + $1 * LAB_SLOWER))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.2
    done
}

# ---- documents ------------------------------------------------------------------------------------------

digest() { sha256sum "$1" | cut -d' ' -f1; }
# The same for a program, remembered: an emulated machine takes seconds for an interpreter.
program_digest() {
    local known
    known=/run/scenes/digest-$(stat -L -c %d-%i-%s-%.9Y "$1")
    [ -e "$known" ] || { digest "$1" >"$known.$$" && mv "$known.$$" "$known"; }
    cat "$known"
}

# identity NAME UID PROGRAM [SELECTOR…]: a document. The program is meant by path, by content and by who runs it.
# TTL=10s before it asks for a short-lived SVID.
identity() {
    local selector
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: $SCENE-$1
spec:
  spiffeID: $TRUST$NAME/$1
  selectors:
    - unix:path:$3
    - unix:uid:$2
    - unix:sha256:$(program_digest "$3")
$(for selector in "${@:4}"; do echo "    - $selector"; done)
  svid:
    ttl: ${TTL:-1h}
END
}

# service NAME SERVER ADDRESS…
service() {
    local address
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: Service
metadata:
  name: $SCENE-$1
spec:
  addresses:
$(for address in "${@:3}"; do echo "    - '$address'"; done)
  servers:
    - $TRUST$NAME/$2
${SCENE_TRANSFORM:+  transform: $SCENE_TRANSFORM}
END
}

# permit NAME CLIENT SERVICE: one policy that lets one client use one service.
permit() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: $SCENE-$1
spec:
  cedar: |
    @id("$SCENE-$1")
    permit (
      principal == Workload::"$TRUST$NAME/$2",
      action == Action::"connect",
      resource == Service::"$SCENE-$3"
    );
END
}

# apply FILE…: applies documents, and waits until every node enforces them; the scene is over if that does not come about.
# What is new is deleted at the end.
apply() {
    local file args=() why
    for file in "$@"; do
        args+=(-f "$file")
        at_end "tidelock delete -f $file --ignore-not-found"
    done
    tidelock apply "${args[@]}" >applied.txt 2>applied.err || abort "the documents were not applied: $(tail -n 1 applied.err)"
    cat applied.txt
    why=$(enforced "$(sed -n 's/^generation //p' applied.txt)") || abort "$why"
}

# agent_says NODE: whether its agent runs, and its last words.
agent_says() {
    on "$1" 'pgrep -x tidelock-agent >/dev/null && echo -n "runs: " || echo -n "is gone: "; tail -n 1 /var/log/tidelock/agent.log'
}

# enforced GENERATION: waits until the kernel of every node decides by it.
enforced() {
    local node
    for node in $NODES; do
        on "$node" "for i in \$(seq 300); do
            while read -r key value; do [ \$key = generation ] && [ \$value -ge $1 ] && exit 0; done <$STATUS
            sleep 0.1
        done; exit 1" || { echo "generation $1 is not enforced on node $node, whose agent $(agent_says "$node")"; return 1; }
    done
}


# ---- events and state -------------------------------------------------------------------------------------

# The number of the newest event.
last_event() { tidelock -o json events --tail 1 | sed 's/^{"seq":\([0-9]*\).*/\1/'; }
events_after() { tidelock -o json events --after "$1"; }
# event AFTER PATTERN…: is there an event that has all of these patterns? Prints the last such.
event() {
    local pattern found
    found=$(events_after "$1")
    for pattern in "${@:2}"; do
        found=$(grep -E -- "$pattern" <<<"$found") || return 1
    done
    tail -n 1 <<<"$found"
}
# expect_event AFTER PATTERN…: waits for it; fails the scene if it does not come.
expect_event() {
    eventually 20 event "$@" >event.json || fail "no event says ${*:2}"
    cat event.json
}
# field NAME: the value of a field of the JSON on standard input.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

# status_of NODE NAME: a number of the module's own account.
status_of() { on "$1" "sed -n 's/^$2 //p' $STATUS"; }
# flow NODE PATTERN…: the live flows of a node whose lines have all of these patterns.
flow() {
    local pattern found
    found=$(on "$1" "cat $FLOWS")
    for pattern in "${@:2}"; do
        found=$(grep -E -- "$pattern" <<<"$found") || return 1
    done
    echo "$found"
}

# How long the connect() of a run of `speak` took.
connect_ms() { awk '/connect ok/ { printf "%.1f\n", $4 / 1000; exit }' "$1"; }
# The errno, by name, with which the connect() of a run of `speak` failed; empty if it did not.
connect_error() { sed -n 's/^[0-9]* connect \(E[A-Z]*\)$/\1/p' "$1" | head -n 1; }
# When the event in event.json happened, in milliseconds since 1970.
event_ms() { date -d "$(field time <event.json)" +%s%3N; }
