# churn.sh [ROUNDS]: the module is drained, unloaded and loaded again and again, under traffic of every kind: connections that come and
# go, ones that last, ones that are refused, and programs that start and end. Prints `pass WHAT` and `fail WHAT: WHY`.
export LC_ALL=C.UTF-8
ROUNDS=${1:-100} SPEAK=/lab/scene-tools/speak PORT=7900 OPEN=7901
STATUS=/proc/tidelock/status
SOCAT=$(readlink -f "$(command -v socat)")
WORK=/tmp/churn
mkdir -p $WORK && chmod 777 $WORK && cd $WORK || exit 1
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
eventually() { local i; for i in $(seq $(($1 * LAB_SLOWER))); do "${@:2}" && return 0; sleep 0.2; done; return 1; }
status_of() { sed -n "s/^$1 //p" $STATUS; }
give_up() { echo "fail $*"; exit 1; }

cat >documents.yaml <<END
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: echo
spec:
  spiffeID: spiffe://example.org/echo
  selectors: ["unix:path:$SOCAT", "unix:uid:2001"]
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: caller
spec:
  spiffeID: spiffe://example.org/caller
  selectors: ["unix:path:$SPEAK", "unix:uid:2002"]
---
apiVersion: tidelock.dev/v1
kind: Service
metadata:
  name: echo
spec:
  addresses: ["127.0.0.1:$PORT"]
  servers: ["spiffe://example.org/echo"]
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: echo
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/caller", action == Action::"connect", resource == Service::"echo");
END
generation=$(tidelock apply -f documents.yaml | sed -n 's/^generation //p')
in_force() { [ "$(status_of generation)" -ge "${generation:-1000000}" ]; }
eventually 100 in_force || give_up "set-up: the documents are not in force"

# Servers that send back what comes, to many at once. While there is no module, the governed one is as any other.
for at in "2001 $PORT" "2099 $OPEN"; do
    set -- $at
    as "$1" "$SOCAT" "TCP4-LISTEN:$2,bind=127.0.0.1,reuseaddr,fork" PIPE >"server-$2.txt" 2>&1 &
    servers="$servers $!"
done
answers() { as 2002 timeout 60 $SPEAK ask 127.0.0.1 $PORT hello >/dev/null 2>&1; }
eventually 150 answers || give_up "set-up: the governed server does not answer"

# Until the file is gone: who may call and who may not, and a program of no concern; each says how its last call went.
touch go
caller() { while [ -e go ]; do as "$1" timeout 60 $SPEAK ask 127.0.0.1 "$2" "word-$1" >"caller-$3.now" 2>&1; mv "caller-$3.now" "caller-$3.txt"; done; }
caller 2002 $PORT permitted &
callers=$!
caller 2099 $PORT stranger & callers="$callers $!"
caller 2099 $OPEN open & callers="$callers $!"
# One that connects and then only waits: it is there when the module goes.
(while [ -e go ]; do as 2002 $SPEAK hold 127.0.0.1 $PORT >>hold.txt 2>&1; sleep 0.3; done) & callers="$callers $!"

holds() { grep -q 'connect ok' hold.txt; }
gone() { ! pgrep -x tidelock-agent >/dev/null; }
failed=0
for round in $(seq "$ROUNDS"); do
    # What it holds since there was no module is plain: a new one is governed, and lives until it is cut. The others are met at
    # any moment of theirs.
    : >hold.txt
    pkill -u 2002 -f 'speak hold'
    eventually 100 holds || { echo "fail round $round: nobody talks: $(paste -sd' ' caller-permitted.txt)"; failed=1; break; }
    sleep "0.$((RANDOM % 10))"
    pkill -TERM -x tidelock-agent
    eventually 100 gone || { echo "fail round $round: the agent does not end"; failed=1; break; }
    # With a flow that lives it is in use.
    rmmod tidelock 2>/dev/null && { echo "fail round $round: it was unloaded under a live flow"; failed=1; break; }
    tidelock-agent drain >drain.txt 2>&1 && rmmod tidelock 2>>drain.txt ||
        { echo "fail round $round: it does not unload: $(paste -sd' ' drain.txt)"; failed=1; break; }
    insmod /lab/tidelock.ko || { echo "fail round $round: it does not load"; failed=1; break; }
    lab-join 127.0.0.1:8443 /var/lib/tidelock/ca/bundle.pem /run/tidelock/token >join.txt 2>&1 ||
        { echo "fail round $round: $(tail -n 1 join.txt)"; failed=1; break; }
    eventually 100 in_force || { echo "fail round $round: the documents are not in force"; failed=1; break; }
done
[ $failed = 0 ] && echo "pass it was unloaded $ROUNDS times under traffic, and never while a flow lived"

refused() { as 2099 timeout 60 $SPEAK ask 127.0.0.1 $PORT hello 2>&1 | grep -q 'connect EACCES'; }
eventually 100 answers && echo "pass who may is served" || echo "fail who may is served: $(cat caller-permitted.txt)"
eventually 100 refused && echo "pass who may not is refused" || echo "fail who may not is refused: $(cat caller-stranger.txt)"
rm go
pkill -u 2002 -x speak
wait $callers
for server in $servers; do kill -0 "$server" || echo "fail a server ended"; done
kill $servers
none() { [ "$(status_of flows)" = 0 ] && [ "$(status_of handshakes)" = 0 ]; }
eventually 150 none && echo "pass everything is given back" || echo "fail everything is given back: $(paste -sd' ' $STATUS)"
