# hostile.sh [PEERS]: peers that stall, trickle or talk nonsense, and a local user whose file system never answers, while one
# honest client wants to be served.
# Prints `pass WHAT` and `fail WHAT: WHY`.
export LC_ALL=C.UTF-8
PEERS=${1:-10000}
WORK=/tmp/hostile PORT=7900
STATUS=/proc/tidelock/status
mkdir -p $WORK/pages && cd $WORK || exit 1
NGINX=$(readlink -f "$(command -v nginx)") CURL=$(readlink -f "$(command -v curl)")
echo served >pages/page
as() { setpriv --reuid "$1" --regid "$1" --clear-groups "${@:2}"; }
eventually() { local i; for i in $(seq $(($1 * LAB_SLOWER))); do "${@:2}" && return 0; sleep 0.2; done; return 1; }
status_of() { sed -n "s/^$1 //p" $STATUS; }
echo 4096 >/proc/sys/net/core/somaxconn
modprobe tun

cat >documents.yaml <<END
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: web
spec:
  spiffeID: spiffe://example.org/web
  selectors: ["unix:path:$NGINX", "unix:uid:2001"]
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: honest
spec:
  spiffeID: spiffe://example.org/honest
  selectors: ["unix:path:$CURL", "unix:uid:2002"]
---
apiVersion: tidelock.dev/v1
kind: Service
metadata:
  name: web
spec:
  addresses: ["10.66.0.1:$PORT"]
  servers: ["spiffe://example.org/web"]
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: web
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/honest", action == Action::"connect", resource == Service::"web");
END
generation=$(tidelock apply -f documents.yaml | sed -n 's/^generation //p')
in_force() { [ "$(status_of generation)" -ge "${generation:-1000000}" ]; }
eventually 100 in_force || { echo "fail set-up: the documents are not in force"; exit 1; }
cat >nginx.conf <<END
daemon off; worker_processes 1; pid $WORK/nginx.pid; error_log $WORK/nginx.log;
events { worker_connections 1024; }
http {
    access_log $WORK/access.log;
    client_body_temp_path $WORK/t1; proxy_temp_path $WORK/t2; fastcgi_temp_path $WORK/t3; uwsgi_temp_path $WORK/t4; scgi_temp_path $WORK/t5;
    server { listen $PORT backlog=4096; root $WORK/pages; }
}
END
chmod -R a+rwX $WORK
ip link add here type dummy && ip addr add 10.66.0.1/32 dev here && ip link set here up
as 2001 nginx -c $WORK/nginx.conf -e $WORK/nginx.log >nginx.out 2>&1 &
honest() { as 2002 curl -sS -m 90 http://10.66.0.1:$PORT/page >honest.txt 2>&1 && [ "$(cat honest.txt)" = served ]; }
eventually 50 honest || { echo "fail set-up: the honest client is not served: $(cat nginx.out nginx.log)"; exit 1; }
arenas=$(status_of arenas)

cat >peers.py <<'END'
"""peers.py HOW COUNT PORT: so many peers beyond a tunnel that connect and never prove anything. Who is cut off comes again.
No sockets: bare packets, as from as many machines as there are peers."""
import fcntl, os, random, select, socket, struct, sys, time
how, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SERVER = socket.inet_aton("10.66.0.1")
HELLO = bytes.fromhex("1603010200010001fc0303")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"peers", 0x1001))
os.system("ip link set peers up; ip route add 10.66.0.0/16 dev peers")

def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~((total >> 16) + total) & 0xFFFF

def send(peer, seq, ack, flags, data=b""):
    head = struct.pack("!HHIIBBHHH", peer[1], port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 65535, 0, 0)
    check = checksum(peer[0] + SERVER + struct.pack("!HH", 6, len(head) + len(data)) + head + data)
    head = head[:16] + struct.pack("!H", check) + head[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0x4000, 64, 6, 0, peer[0], SERVER)
    try:
        os.write(tun, ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + head + data)
    except BlockingIOError:
        pass

opened, cut, peers = 0, 0, {}
def connect():
    global opened
    n, opened = opened % 50000, opened + 1
    peer = (bytes([10, 66, 1 + n // 250, 1 + n % 250]), 20000 + opened // 50000)
    peers[peer] = None
    send(peer, 1000, 0, SYN)

def words():
    if how == "partial":
        return HELLO
    if how == "trickle":
        return HELLO[:1]
    if how == "garbage":
        return os.urandom(random.randrange(1, 1200))
    body = os.urandom(random.randrange(1, 600))
    return bytes([random.choice((20, 21, 22, 23)), 3, 3]) + len(body).to_bytes(2, "big") + body

def receive(packet):
    global cut
    peer, flags = (packet[16:20], struct.unpack("!H", packet[22:24])[0]), packet[33]
    seq, ack = struct.unpack("!II", packet[24:32])
    if packet[9] != 6 or peer not in peers:
        return
    if flags & (RST | FIN):
        if flags & FIN:
            send(peer, ack, seq + 1, RST | ACK)
        del peers[peer]
        cut += 1
    elif flags & SYN:
        data = b"" if how == "silent" else words()
        send(peer, ack, seq + 1, ACK | (PSH if data else 0), data)
        peers[peer] = (ack + len(data), seq + 1)

said = trickled = time.monotonic()
while True:
    for _ in range(min(50, count - len(peers))):
        connect()
    if select.select([tun], [], [], 0.01)[0]:
        for _ in range(200):
            try:
                receive(os.read(tun, 2048))
            except BlockingIOError:
                break
    now = time.monotonic()
    if how == "trickle" and now > trickled + 0.7:
        trickled = now
        for peer, where in list(peers.items()):
            if where:
                send(peer, where[0], where[1], ACK | PSH, HELLO[1:2])
                peers[peer] = (where[0] + 1, where[1])
    if now > said + 1:
        said = now
        there = sum(1 for where in peers.values() if where)
        print(f"{there} of {len(peers)} connected, {opened} came, {cut} were cut off", flush=True)
END

most=0
for how in silent partial trickle garbage record; do
    count=$PEERS
    case $how in trickle | garbage | record) count=$((PEERS / 10)) ;; esac
    python3 peers.py $how "$count" $PORT >peers.txt 2>&1 &
    peers=$!
    came() { [ "$(sed -n '$s/.* \([0-9]*\) came.*/\1/p' peers.txt | grep . || echo 0)" -ge "$count" ]; }
    eventually 300 came || echo "fail $how: only $(tail -n 1 peers.txt)"
    start=$EPOCHREALTIME
    for n in 1 2 3; do
        honest && echo "pass $how: honest client $n of 3 served" || echo "fail $how: honest client $n of 3 is not served: $(cat honest.txt); $(tail -n 1 peers.txt)"
    done
    at_once=$(sed -n 's/ of .*//p' peers.txt | sort -n | tail -n 1)
    [ "$at_once" -gt "$most" ] && most=$at_once
    echo "  $how: $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") s; $(tail -n 1 peers.txt); $(grep -E '^(handshakes|arenas|flows)' $STATUS | paste -sd' ')"
    kill $peers; wait $peers 2>/dev/null
done
[ "$most" -ge 1000 ] && echo "pass they were many: $most at once" || echo "fail they were many: only $most at once"
as_before() { [ "$(status_of arenas)" -le $((arenas + 2)) ] && [ "$(status_of handshakes)" = 0 ]; }
eventually 100 as_before && echo "pass everything is given back" || echo "fail everything is given back: $(paste -sd' ' $STATUS)"
[ "$(grep -vc 'GET /page' access.log)" = 0 ] && echo "pass nobody else reached the server" || echo "fail nobody else reached the server: $(grep -v 'GET /page' access.log | head -n 2)"

# A user's own file system, a program that runs from it, and one whose arguments lie in it. Then it answers no more, and a
# configuration comes by which both are looked at.
modprobe fuse; mkdir -p fuse
python3 /lab/stuck.py serve $WORK/fuse "$(readlink -f "$(command -v sleep)")" >serve.txt 2>&1 & server=$!
served() { grep -qx ready serve.txt; }
eventually 100 served || echo "fail stuck: no file system: $(cat serve.txt)"
as 2003 fuse/program 1000 & runs=$!
as 2003 python3 /lab/stuck.py hide $WORK/fuse/program >hide.txt 2>&1 & hides=$!
hidden() { grep -qx ready hide.txt; }
eventually 100 hidden || echo "fail stuck: nothing is hidden: $(cat hide.txt)"
kill -USR1 $server
stuck() { grep -qx stuck serve.txt; }
eventually 100 stuck || echo "fail stuck: it still answers"
cat >stuck.yaml <<END
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: stuck
spec:
  spiffeID: spiffe://example.org/stuck
  selectors: ["unix:uid:2003", "unix:sha256:$(printf '%064d' 0)"]
END
generation=$(tidelock apply -f stuck.yaml | sed -n 's/^generation //p')
eventually 100 in_force && echo "pass stuck: a configuration comes into force" || echo "fail stuck: no configuration comes into force: $(paste -sd' ' $STATUS)"
honest && echo "pass stuck: the honest client is served" || echo "fail stuck: the honest client is not served: $(cat honest.txt)"
kill -0 $runs $hides 2>/dev/null && echo "pass stuck: both were there" || echo "fail stuck: they were gone: $(cat hide.txt)"
kill -KILL $server $runs $hides
umount -l fuse
