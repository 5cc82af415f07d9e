# container.sh: root of a container, users who lost the right to the device, and other users of what we hook. Prints `pass WHAT` and
# `fail WHAT: WHY`.
. /lab/lib-tier.sh
WORK=/tmp/container PORT=7971
mkdir -p $WORK/pages && cd $WORK || exit 1
PYTHON=$(path_of python3) CURL=$(path_of curl)
echo served >pages/page
chmod 1777 $WORK
{ identity web web "unix:path:$PYTHON" unix:uid:2001; identity jailed jailed "unix:path:$PYTHON" unix:uid:2003
  identity curl curl "unix:path:$CURL"; service web 127.0.0.1:$PORT 'servers: ["spiffe://example.org/web"]'; cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: web}
spec:
  cedar: permit (principal, action == Action::"connect", resource == Service::"web");
END
} >documents.yaml
apply documents.yaml
(cd pages && as 2001 python3 -m http.server --bind 127.0.0.1 $PORT >../server.log 2>&1) &
honest() { [ "$(as 2004 curl -sS -m 60 http://127.0.0.1:$PORT/page 2>honest.err)" = served ]; }
eventually honest || { echo "fail set-up: nobody is served: $(cat honest.err)"; exit 1; }

sysctl -qw kernel.unprivileged_userns_clone=1 2>/dev/null
as 2003 python3 /lab/container.py $PORT "$CURL" >tried.txt 2>&1
cat >expected.txt <<'END'
as an ordinary user: served
it is root now: 0
root of a container is who it was outside: served
the device: EACCES
a device of its own: EPERM
switching ftrace off: EACCES
the list of flows: EACCES
the module's parameters: EPERM
a socket of raw: EACCES
a socket of packet: EACCES
a socket of mptcp: EPROTONOSUPPORT
a socket of sctp: EPROTONOSUPPORT
a socket of vsock: EACCES
a socket of alg: EACCES
the keys of a connection: EPERM
a ULP: EPERM
repair: EPERM
fast open: ENOTSUP
another program at a trusted path: PermissionError
a network of its own, and a raw socket in it: EACCES
a server of its own at the Service's address: EACCES
the same with a connection made by repair: EACCES
END
while read -r line; do
    what=${line%%: *}
    got=$(awk -v what="$what: " 'index($0, what) == 1' tried.txt)
    [ "$got" = "$line" ] && echo "pass root of a container: $line" || echo "fail root of a container, $what: ${got:-$(tail -n 1 tried.txt)}"
done <expected.txt

# Who has the device's rights no more: as root without the capability, and with a descriptor that was opened with it.
pkill -x tidelock-agent
gone() { ! pgrep -x tidelock-agent >/dev/null; }
eventually gone || echo 'fail device: the agent does not end'
opens='import os
try: os.close(os.open("/dev/tidelock", os.O_RDWR)); print("opened")
except OSError as e: print(e.strerror)'
[ "$(python3 -c "$opens")" = opened ] && echo 'pass device: root opens it' || echo "fail device: root opens it: $(python3 -c "$opens")"
got=$(setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin python3 -c "$opens")
[ "$got" = 'Operation not permitted' ] && echo 'pass device: root without CAP_SYS_ADMIN does not' || echo "fail device: root without CAP_SYS_ADMIN does not: $got"
got=$(python3 -c 'import os
device = os.open("/dev/tidelock", os.O_RDWR)
os.setgroups([]); os.setresgid(2003, 2003, 2003); os.setresuid(2003, 2003, 2003)
for what in (lambda: os.write(device, b"TIDK" + bytes(20)), lambda: os.read(device, 4096)):
    try: print(what())
    except OSError as e: print(e.strerror)' | paste -sd,)
[ "$got" = 'Operation not permitted,Operation not permitted' ] && echo 'pass device: a descriptor is worth nothing to who lost the right' ||
    echo "fail device: a descriptor is worth nothing to who lost the right: $got"
rm -f /run/tidelock/agent.sock
setsid lab-join 127.0.0.1:8443 /var/lib/tidelock/ca/bundle.pem /run/tidelock/token </dev/null >agent.log 2>&1 &
eventually honest && echo 'pass device: the agent has it again' || echo "fail device: the agent has it again: $(cat honest.err)"

# Others who trace the same functions.
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; T=/sys/kernel/tracing
echo 'p:beside inet_stream_connect' >$T/kprobe_events && echo 'r:behind inet_accept' >>$T/kprobe_events && echo 1 >$T/events/kprobes/enable ||
    echo 'fail beside us: no kprobe'
honest && echo 'pass beside kprobes: served' || echo "fail beside kprobes: $(cat honest.err)"
grep -q beside $T/trace && echo 'pass beside kprobes: they see the call' || echo 'fail beside kprobes: they see nothing'
echo 'inet_*' >$T/set_ftrace_filter; echo function >$T/current_tracer
honest && echo 'pass beside the function tracer: served' || echo "fail beside the function tracer: $(cat honest.err)"
echo nop >$T/current_tracer
echo 0 2>/dev/null >/proc/sys/kernel/ftrace_enabled && echo 'fail ftrace stays: it was switched off' || echo 'pass ftrace stays: root cannot switch it off'
pkill -x tidelock-agent; eventually gone
pkill -f http.server; tidelock-agent drain >drain.txt 2>&1 && rmmod tidelock && echo 'pass unloads under their eyes' || echo "fail unloads under their eyes: $(tail -n 1 drain.txt)"
echo 0 >$T/events/kprobes/enable; : >$T/kprobe_events
