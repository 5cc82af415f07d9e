# calls.sh: runs a program that moves bytes in every way that Linux has, ungoverned and governed, and compares what came
# of each call. Prints `pass WHAT` and `fail WHAT: WHY`.
export LC_ALL=C.UTF-8
MOVES=/lab/scene-tools/moves PLAIN=7600 GOVERNED=7700
cd /tmp || exit 1

cat >moves.yaml <<END
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: moves
spec:
  spiffeID: spiffe://example.org/moves
  selectors: ["unix:path:$MOVES", "unix:uid:2001"]
---
apiVersion: tidelock.dev/v1
kind: Service
metadata:
  name: moves
spec:
  addresses: ["127.0.0.1:$GOVERNED", "[::1]:$GOVERNED"]
  servers: ["spiffe://example.org/moves"]
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: moves
spec:
  cedar: |
    permit (
      principal == Workload::"spiffe://example.org/moves",
      action == Action::"connect",
      resource == Service::"moves"
    );
END
generation=$(tidelock apply -f moves.yaml | sed -n 's/^generation //p')
for _ in $(seq 300); do
    [ "$(sed -n 's/^generation //p' /proc/tidelock/status)" -ge "${generation:-1000000}" ] && break
    sleep 0.1
done

# Ungoverned is who has another uid.
setpriv --reuid 2002 --regid 2002 --clear-groups $MOVES $PLAIN >plain.txt || echo "fail ungoverned: status $?"
setpriv --reuid 2001 --regid 2001 --clear-groups $MOVES $GOVERNED >governed.txt || echo "fail governed: status $?"
$MOVES $PLAIN activate 2002 >>plain.txt || echo "fail ungoverned, activated: status $?"
$MOVES $GOVERNED activate 2001 >>governed.txt || echo "fail governed, activated: status $?"
mkdir -p /lab/out && cp plain.txt governed.txt /lab/out/

# It was governed: the kernel opened flows for it.
flows() { tidelock -o json events | grep '"what":"flow-opened"' | grep -c '"server_id":"spiffe://example.org/moves"'; }
for _ in $(seq 20); do
    [ "$(flows)" -ge 40 ] && break
    sleep 0.5
done
[ "$(flows)" -ge 40 ] && echo "pass governed" || echo "fail governed: only $(flows) ends of flows were opened"

for section in $(cut -d: -f1 plain.txt | uniq | tr ' ' _); do
    name=${section//_/ }
    if diff <(grep "^$name: " plain.txt) <(grep "^$name: " governed.txt) | grep '^[<>]' >"$section.diff"; then
        if grep -Fvxqf /lab/calls-differ.txt "$section.diff"; then
            echo "fail $name: $(grep -Fvxf /lab/calls-differ.txt "$section.diff" | head -n 4 | paste -sd';')"
            cat "$section.diff"
            continue
        fi
    fi
    echo "pass $name"
done
