# device-fuzz.sh SECONDS: throws records at the device while programs are governed, then sees whether everything works.
# Prints `pass WHAT` and `fail WHAT: WHY`.
export LC_ALL=C.UTF-8
seconds=${1:-60}
verdict() { if [ "$1" = 0 ]; then echo "pass $2"; else echo "fail $2: $3"; fi; }
gone() { for _ in $(seq 300); do pgrep -x "$1" >/dev/null || return 0; sleep 0.1; done; return 1; }

pkill -x tidelock-agent; pkill -x tidelock-ca
gone tidelock-agent && gone tidelock-ca || { echo "fail stopping: agent or control plane do not end"; exit 1; }

# Only root of the initial user namespace may use the device, whoever opened it.
python3 - <<'END'
import ctypes, errno, os, sys
def refused(what, call, *expected):
    try:
        call()
    except OSError as error:
        if error.errno in expected:
            return
        sys.exit(f"fail rights: {what}: {error}")
    sys.exit(f"fail rights: {what} is possible")
device = os.open("/dev/tidelock", os.O_RDWR | os.O_NONBLOCK)
libc = ctypes.CDLL(None, use_errno=True)
def from_nowhere():
    if libc.write(device, ctypes.c_void_p(16), ctypes.c_size_t(64)) < 0:
        raise OSError(ctypes.get_errno(), "write")
refused("a record from no memory", from_nowhere, errno.EFAULT)
child = os.fork()
if child == 0:
    os.setresuid(1000, 1000, 1000)
    refused("a record from a user without rights", lambda: os.write(device, bytes(24)), errno.EPERM)
    refused("reading without rights", lambda: os.read(device, 8192), errno.EPERM)
    refused("opening without rights", lambda: os.open("/dev/tidelock", os.O_RDWR), errno.EACCES, errno.EPERM)
    os._exit(0)
if os.waitpid(child, 0)[1]:
    sys.exit("fail rights: see above")
print("pass rights")
END

# Programs that the configurations of the fuzzer govern.
python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 & server=$!
( while :; do curl -s -m 2 -o /dev/null http://127.0.0.1:8080/; sleep 1; done ) & load=$!
# Some end while the module looks at them, as it does with every process at each new configuration.
( while :; do curl --version >/dev/null; done ) & churn=$!
disown -a

/lab/device_fuzz "$seconds" || failed=1
kill $load $churn $server 2>/dev/null
pkill -x curl
sed 's/^/status: /' /proc/tidelock/status

tidelock-agent drain; verdict $? "drains" "tidelock-agent drain failed"
rmmod tidelock; verdict $? "unloads" "$(dmesg | tail -n 1)"
insmod /lab/tidelock.ko; verdict $? "loads again" "$(dmesg | tail -n 1)"

works() {
    rm -f /run/tidelock/*.sock
    tidelock-ca serve --trust-domain example.org --data-dir /var/lib/tidelock/ca --listen 127.0.0.1:8443 \
        --admin-socket /run/tidelock/ca.sock </dev/null >>/var/log/tidelock/ca.log 2>&1 &
    for _ in $(seq 300); do tidelock status >/dev/null 2>&1 && break; sleep 0.1; done
    lab-join 127.0.0.1:8443 /var/lib/tidelock/ca/bundle.pem /run/tidelock/token || return 1
    printf '%s\n' 'apiVersion: tidelock.dev/v1' 'kind: WorkloadIdentity' 'metadata:' '  name: after' 'spec:' \
        '  spiffeID: spiffe://example.org/after' '  selectors:' '    - unix:path:/usr/bin/curl' >/tmp/after.yaml
    local generation
    generation=$(tidelock apply -f /tmp/after.yaml | sed -n 's/^generation //p')
    for _ in $(seq 300); do
        [ "$(sed -n 's/^generation //p' /proc/tidelock/status)" -ge "${generation:-1000000}" ] && return 0
        sleep 0.1
    done
    return 1
}
works; verdict $? "works again" "the agent does not bring a configuration into force: $(tail -n 1 /var/log/tidelock/agent.log)"

# Everything at warning level or above since the module came, but for what Linux says of any module that is not its own,
# and of the clock of an emulated machine.
dmesg -t -l emerg,alert,crit,err,warn | sed -n '/^tidelock: loading out-of-tree/,$p' |
    grep -vE '^(tidelock: (loading out-of-tree module|module verification failed)|hrtimer: interrupt took|clocksource: )' >/tmp/bad
verdict "$([ ! -s /tmp/bad ]; echo $?)" "kernel log" "$(head -n 1 /tmp/bad)"
mkdir -p /lab/out; dmesg -x >/lab/out/dmesg
exit ${failed:-0}
