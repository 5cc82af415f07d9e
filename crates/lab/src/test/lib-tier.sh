# lib-tier.sh: what the scripts of several tiers need; they source it. It writes documents, and sees to it that they are in force.
export LC_ALL=C.UTF-8

# eventually COMMAND…: it succeeds within 20 seconds, more where the machine is slower.
eventually() { local i; for i in $(seq $((200 * LAB_SLOWER))); do "$@" && return 0; sleep 0.1; done; return 1; }
abort() { echo "fail set-up: $*"; exit 1; }
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
path_of() { readlink -f "$(command -v "$1")"; }

# identity NAME ID SELECTOR…
identity() {
    local selectors
    selectors=$(printf '"%s", ' "${@:3}")
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata: {name: $1}
spec:
  spiffeID: spiffe://example.org/$2
  selectors: [${selectors%, }]
END
}
# service NAME ADDRESSES LINE…: of addresses with spaces between them.
service() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: Service
metadata: {name: $1}
spec:
  addresses: ["${2// /\", \"}"]
$(printf '  %s\n' "${@:3}")
END
}
# permit SERVICE ID: who has it may connect.
permit() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: $1}
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/$2", action == Action::"connect", resource == Service::"$1");
END
}
# apply FILE: its documents are in force.
apply() {
    local generation
    tidelock apply -f "$1" >apply.out 2>apply.err || abort "$1 was not applied: $(cat apply.err)"
    generation=$(sed -n 's/^generation //p' apply.out)
    # None where nothing changes.
    wanted=${generation:-${wanted:-1000000}}
    in_force() { [ "$(sed -n 's/^generation //p' /proc/tidelock/status)" -ge "$wanted" ]; }
    eventually in_force || abort "$1 does not come into force"
}
