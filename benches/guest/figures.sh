# figures.sh: what the datapath costs, in instructions, all in one guest. Run it so that nanoseconds are instructions:
#
#	cargo lab vm --icount --timeout 3600 --copy benches/guest -- benches/guest/figures.sh
export LC_ALL=C.UTF-8
cd /tmp || exit 1
gcc -O2 -o /usr/local/bin/bulk /lab/guest/bulk.c || exit 1
DIRECT=7101 MEDIATED=7102 PLAIN=7103 MIB=$((1 << 20))

service() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: Service
metadata:
  name: $1
spec:
  addresses: ["127.0.0.1:$2"]
  servers: ["spiffe://example.org/server"]
$3
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: $1
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/client", action == Action::"connect", resource == Service::"$1");
END
}
identity() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: $1
spec:
  spiffeID: spiffe://example.org/$1
  selectors: ["unix:uid:$2", "unix:path:/usr/local/bin/bulk"]
END
}
{ identity server 2001; identity client 2002; service direct $DIRECT; service mediated $MEDIATED "  transform: identity"; } >bulk.yaml
generation=$(tidelock apply -f bulk.yaml | sed -n 's/^generation //p')
for _ in $(seq 300); do
    [ "$(sed -n 's/^generation //p' /proc/tidelock/status)" -ge "${generation:-1000000}" ] && break
    sleep 0.1
done

ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }
row() { printf '%-10s %10s %10s %10s %10s   %12s %15s\n' "$@"; }

echo "Moving bytes over loopback: instructions per byte, both ends and the kernel"
row 'write' plain 'kTLS' direct mediated 'direct/kTLS' 'mediated/direct'
for write in 64 1024 16384 $MIB; do
    total=$((write < 1024 ? 2 * MIB : write < 16384 ? 16 * MIB : 64 * MIB))
    plain=$(bulk move 3001 3002 $PLAIN $write $total)
    ktls=$(bulk move 3001 3002 $PLAIN $write $total ktls)
    direct=$(bulk move 2001 2002 $DIRECT $write $total)
    mediated=$(bulk move 2001 2002 $MEDIATED $write $total)
    row $write "$plain" "$ktls" "$direct" "$mediated" "$(ratio "$direct" "$ktls")" "$(ratio "$mediated" "$direct")"
done
tidelock -o json events | grep flow-opened | tail -n 1 | sed 's/.*"suite":"\([^"]*\)".*/suite: \1/'

# The module decides without its agent, which has work of its own.
pkill tidelock-agent
for _ in $(seq 50); do pgrep tidelock-agent >/dev/null || break; sleep 0.1; done
connect=$(bulk connect 3001 3002 $PLAIN 10000)
exec=$(bulk exec 500)
# The same, in the same guest, without the module.
tidelock-agent drain >/dev/null && rmmod tidelock || echo "the module does not unload"
connect_without=$(bulk connect 3001 3002 $PLAIN 10000)
exec_without=$(bulk exec 500)
echo
echo "Ungoverned programs: instructions, with the module and without it"
echo "connect + accept + close  $connect  $connect_without  $(ratio "$connect" "$connect_without")"
echo "fork + exec + wait        $exec  $exec_without  $(ratio "$exec" "$exec_without")"
