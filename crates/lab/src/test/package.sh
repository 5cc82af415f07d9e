# package.sh: on a machine where Tidelock's packages were installed by dpkg, and which systemd has started.
# Prints `pass WHAT`, `fail WHAT: WHY` and `note TEXT`.
export LC_ALL=C.UTF-8
WORK=/tmp/package HOST=127.0.0.1 PORT=7801
RELEASE=$(uname -r)
mkdir -p $WORK && cd $WORK || exit 1
eventually() { local i; for i in $(seq $((300 * LAB_SLOWER))); do "$@" && return 0; sleep 0.2; done; return 1; }
# says WHAT STATUS: by the status of what was last done; what it printed lies in `said`.
says() { if [ "$2" = 0 ]; then echo "pass $1"; else echo "fail $1: $(tail -n 12 said | tr '\n' '|')"; fi; }
# check WHAT COMMAND…
check() { "${@:2}" >said 2>&1; says "$1" $?; }
# refused WHAT WORDS COMMAND…: it fails, and says so.
refused() {
    if "${@:3}" >said 2>&1; then echo "fail $1: it was not refused"; return; fi
    grep -qF -- "$2" said; says "$1" $?
}

# ---- what is there after a start ----------------------------------------------------------------------

started() { systemctl is-active systemd-modules-load.service && [ -r /proc/tidelock/status ] && cat /proc/tidelock/status; }
check "the module is loaded at boot" started
built() {
    modinfo tidelock
    case $(modinfo -n tidelock) in */$RELEASE/updates/dkms/tidelock.ko*) ;; *) return 1 ;; esac
    [ "$(modinfo -F vermagic tidelock | cut -d' ' -f1)" = "$RELEASE" ] && [ -n "$(modinfo -F signer tidelock)" ]
}
check "dkms built it for this kernel, and signed it" built
echo "note signed by $(modinfo -F signer tidelock); $(systemctl --version | head -n1)"
well_formed() { ! systemd-analyze verify /usr/lib/systemd/system/tidelock-*.service 2>&1 | grep .; }
check "the units are well formed" well_formed
for unit in agent control; do
    check "exposure of tidelock-$unit.service" systemd-analyze --no-pager security --threshold=35 tidelock-$unit.service
    echo "note tidelock-$unit.service: $(sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/exposure \1/p' said)"
done
waits() { [ "$(systemctl is-enabled tidelock-agent)$(systemctl is-enabled tidelock-control)" = disableddisabled ]; }
check "nothing is enabled before it is configured" waits
unconfigured() {
    systemctl start tidelock-agent
    eventually systemctl is-failed --quiet tidelock-agent && journalctl -u tidelock-agent --no-pager | grep -e '--server'
}
check "an agent without a server says so and is not tried again" unconfigured
systemctl reset-failed tidelock-agent

# ---- control plane and agent --------------------------------------------------------------------------

sed -i 's/^#TIDELOCK_TRUST_DOMAIN=/TIDELOCK_TRUST_DOMAIN=/' /etc/default/tidelock-control
mkdir -p /etc/credstore && (umask 077; echo "a passphrase of this machine" >/etc/credstore/tidelock-ca.passphrase)
control() { systemctl enable --now tidelock-control && eventually tidelock status; journalctl -u tidelock-control --no-pager -n 5; tidelock status; }
check "the control plane starts" control
sealed() { ls -la /var/lib/tidelock/ca/; [ -e /var/lib/tidelock/ca/bundle.pem ] && [ ! -e /var/lib/tidelock/ca/passphrase ]; }
check "its passphrase is the one of the credential store" sealed
alone() {
    id=$(awk '/^Uid:/ { print $2 }' "/proc/$(systemctl show -P MainPID tidelock-control)/status"); echo "$id"
    [ "$id" -ge 61184 ] && [ "$id" -le 65519 ]
}
check "its user is a dynamic one" alone

mkdir -p /etc/tidelock
cp /var/lib/tidelock/ca/bundle.pem /etc/tidelock/
(umask 077; tidelock token create --node "$(hostname)" >/etc/tidelock/join-token) 2>/dev/null
sed -i 's/^#TIDELOCK_SERVER=.*/TIDELOCK_SERVER=127.0.0.1:8443/' /etc/default/tidelock-agent
serves() { journalctl -u tidelock-agent --no-pager | grep -q 'in force: '; }
agent() { systemctl enable --now tidelock-agent && eventually serves; local status=$?; journalctl -u tidelock-agent --no-pager -n 5; return $status; }
check "the agent joins" agent
pid() { systemctl show -P MainPID tidelock-agent; }
least() {
    grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' "/proc/$(pid)/status"
    # CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_SYS_ADMIN
    grep -q 'CapEff:.*0000000000280004' "/proc/$(pid)/status" && grep -q 'Seccomp:.*2' "/proc/$(pid)/status"
}
check "the agent has three capabilities and a filter" least

# ---- an identity --------------------------------------------------------------------------------------

# A program that only root may read, where units with ProtectHome= see nothing: it is known by its content.
mkdir -p /home/client && install -m 711 "$(command -v curl)" /home/client/fetch && echo more >>/home/client/fetch
cat >documents.yaml <<DOCUMENTS
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata: {name: server}
spec:
  spiffeID: spiffe://example.org/server
  selectors: ["unix:uid:2001", "unix:path:$(readlink -f "$(command -v python3)")"]
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata: {name: client}
spec:
  spiffeID: spiffe://example.org/client
  selectors: ["unix:uid:2002", "unix:sha256:$(sha256sum /home/client/fetch | cut -d' ' -f1)"]
---
apiVersion: tidelock.dev/v1
kind: Service
metadata: {name: web}
spec:
  addresses: ["$HOST:$PORT"]
  servers: ["spiffe://example.org/server"]
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: web}
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/client", action == Action::"connect", resource == Service::"web");
DOCUMENTS
apply() {
    generation=$(tidelock apply -f documents.yaml | tee said | sed -n 's/^generation //p')
    eventually sh -c "[ \"\$(sed -n 's/^generation //p' /proc/tidelock/status)\" -ge ${generation:-1000000} ]"
}
apply; says "documents are in force" $?
mkdir -p pages && echo "page of $RELEASE" >pages/page
setpriv --reuid 2001 --regid 2001 --clear-groups python3 -m http.server --directory pages --bind $HOST $PORT >server.out 2>&1 &
server=$!
eventually sh -c "ss -Hltn 'sport = :$PORT' | grep -q ."
fetch() { timeout 60 setpriv --reuid 2002 --regid 2002 --clear-groups /home/client/fetch -sS --max-time 50 http://$HOST:$PORT/page; }
page() { local got; got=$(fetch); echo "$got"; [ "$got" = "page of $RELEASE" ]; }
check "a program known by its content has its identity" page
refused "a program without one is refused" "curl: (7)" curl -sS --max-time 20 http://$HOST:$PORT/page
named() { tidelock events | tail -n 3; tidelock get identities -o json | grep -F spiffe://example.org/client; }
check "the control plane knows of it" named

before=$(pid)
kill -9 "$before"
again() { local now; now=$(pid); [ "$now" != 0 ] && [ "$now" != "$before" ] && page; }
check "systemd starts the agent again, and it grants" eventually again

# ---- another version of the contract ---------------------------------------------------------------------

check "the shim compiles" gcc -O1 -Wall -Werror -shared -fPIC -o $WORK/another-abi.so /lab/another-abi.c
systemctl stop tidelock-agent
# as_if SHIFT: an agent whose version of the contract is that much higher than the module's.
as_if() {
    ABI_SHIFT=$1 LD_PRELOAD=$WORK/another-abi.so timeout 60 tidelock-agent run --server 127.0.0.1:8443 \
        --server-bundle /etc/tidelock/bundle.pem --data-dir /var/lib/tidelock/agent
}
refused "an agent that is newer than the module says so" "upgrade the module" as_if 1
refused "an agent that is older than the module says so" "upgrade the agent" as_if -1
drain_as_newer() { ABI_SHIFT=1 LD_PRELOAD=$WORK/another-abi.so timeout 60 tidelock-agent drain; }
refused "nor does it drain" "upgrade the module" drain_as_newer
unmoved() { local now; now=$(sed -n 's/^generation //p' /proc/tidelock/status); echo "$now"; [ "$now" = "$generation" ]; }
check "the module enforces what it did" unmoved
systemctl start tidelock-agent
check "the agent of its own version is taken again" eventually page

# ---- taking it away ------------------------------------------------------------------------------------

refused "what governs is not removed by the way" "tidelock-agent drain" dpkg --remove tidelock-agent
check "and goes on" page
refused "nor is its module" "tidelock-agent drain" dpkg --remove tidelock-dkms
systemctl stop tidelock-agent
let_go() {
    tidelock-agent drain && cat /proc/tidelock/status && [ "$(grep -cE '^(generation|services|prefilter|subjects|flows) 0$' /proc/tidelock/status)" = 5 ]
}
check "it lets go when told" let_go
kill $server; wait $server 2>/dev/null
removed() {
    timeout 400 dpkg --purge tidelock-agent tidelock-control tidelock tidelock-dkms && return
    ps axo pid,stat,wchan:30,args | grep -v '\]$'; cat /proc/"$(pgrep -o modprobe)"/stack
    return 1
}
check "and is removed" removed
gone() { ls -d /sys/module/tidelock /dev/tidelock /proc/tidelock 2>/dev/null; [ ! -e /sys/module/tidelock ]; }
check "the module is unloaded" gone
forgotten() { dkms status | grep tidelock; modinfo tidelock 2>&1; ! modinfo tidelock >/dev/null 2>&1 && [ -z "$(dkms status | grep tidelock)" ]; }
check "and forgotten" forgotten
# What the machine itself writes when it runs is not ours; nor is what this script made, or the lab.
own='^\./(lab|lost\+found|opt/tidelock|home/client|etc/credstore|usr/lib/modules/[^/]*/modules\.|var/\.updated|var/log|var/cache|var/tmp|var/lib/(dpkg|systemd|dkms/mok)|etc/(hosts|hostname|machine-id|mtab|resolv.conf|\.|ld.so))'
rm -rf /etc/credstore /home/client
rm -f /etc/tidelock/bundle.pem /etc/tidelock/join-token; rmdir --ignore-fail-on-non-empty /etc/tidelock 2>/dev/null
left() {
    (cd / && find . -xdev \( -path ./proc -o -path ./dev -o -path ./lab-packages \) -prune -o -print | sort) >$WORK/after
    ! comm -13 /lab-packages/before $WORK/after | grep -vE "$own" | grep .
}
check "nothing is left" left
