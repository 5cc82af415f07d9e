# calls.sh: runs a program that moves bytes in every way that Linux has, ungoverned and governed, direct, mediated and unproved
# (in plain, as its Service is), and compares what came of each call. Prints `pass WHAT` and `fail WHAT: WHY`.
. /lab/lib-tier.sh
MOVES=/lab/scene-tools/moves PLAIN=7600 DIRECT=7700 MEDIATED=7800 UNPROVED=8000 LATE=7900
cd /tmp || exit 1

identity moves moves "unix:path:$MOVES" unix:uid:2001 >identity.yaml
# serves NAME PORT [LINE]
serves() { service "$1" "127.0.0.1:$2 [::1]:$2" 'servers: ["spiffe://example.org/moves"]' "${@:3}"; permit "$1" moves; }
{ serves direct $DIRECT; serves mediated $MEDIATED 'transform: identity'; serves unproved $UNPROVED 'mode: plain'; serves late $LATE; } >services.yaml
apply identity.yaml

# Its server is in accept() when its address becomes a Service's.
mkfifo orders
$MOVES $LATE late 2001 <orders >late.txt &
late=$!
exec 4>orders
for _ in $(seq 300); do
    [ "$(cat /proc/"$(pgrep -u 2001 -f "moves $LATE serve" | head -n 1)"/syscall 2>/dev/null | cut -d' ' -f1)" = 43 ] && break
    sleep 0.1
done
apply services.yaml
echo go >&4
wait $late || echo "fail late: status $?"
grep -q 'it says world' late.txt && grep -q 'ended with 0' late.txt && echo "pass late" || echo "fail late: $(paste -sd';' late.txt)"

# run NAME UID PORT: ungoverned is who has another uid.
run() {
    setpriv --reuid $2 --regid $2 --clear-groups $MOVES $3 >$1.txt || echo "fail $1: status $?"
    $MOVES $3 activate $2 >>$1.txt || echo "fail $1, activated: status $?"
    cp $1.txt /lab/out/
}
mkdir -p /lab/out
run plain 2002 $PLAIN
run direct 2001 $DIRECT
run mediated 2001 $MEDIATED
run unproved 2001 $UNPROVED

# They were governed: the kernel opened flows for them.
flows() { tidelock -o json events | grep '"what":"flow-opened"' | grep '"\(server\|client\)_id":"spiffe://example.org/moves"' | grep -c "\"service\":\"$1\""; }
opened() { [ "$(flows $1)" -ge 40 ]; }
for kind in direct mediated unproved; do
    for _ in $(seq 20); do
        opened $kind && break
        sleep 0.5
    done
    opened $kind && echo "pass $kind, governed" || echo "fail $kind, governed: only $(flows $kind) ends of flows were opened"
done

# compare KIND SECTION: each line that differs has to be one of those that are known to.
compare() {
    local name=${2//_/ } differences=$1-$2.diff
    if diff <(grep "^$name: " plain.txt) <(grep "^$name: " $1.txt) | grep '^[<>]' >"$differences"; then
        if grep -Fvxqf /lab/calls-differ-$1.txt "$differences"; then
            echo "fail $1, $name: $(grep -Fvxf /lab/calls-differ-$1.txt "$differences" | head -n 4 | paste -sd';')"
            cat "$differences"
            return
        fi
    fi
    echo "pass $1, $name"
}
for section in $(cut -d: -f1 plain.txt | uniq | tr ' ' _); do
    compare direct "$section"
    compare mediated "$section"
    compare unproved "$section"
done

# Whatever was accepted, and however: of the module's references as many were given back as were taken.
pkill -x tidelock-agent
for _ in $(seq 300); do pgrep -x tidelock-agent >/dev/null || break; sleep 0.1; done
tidelock-agent drain && [ "$(cat /sys/module/tidelock/refcnt)" = 0 ] && rmmod tidelock && echo "pass unloads" ||
    echo "fail unloads: $(cat /sys/module/tidelock/refcnt) references are held"
