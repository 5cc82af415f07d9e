# modes.sh: Services that take plain clients, go in plain or take nobody, because that is written: who gets through, who does not,
# what is told of it, and what becomes of what is open when it is written otherwise. Prints `pass WHAT` and `fail WHAT: WHY`.
. /lab/lib-tier.sh
WORK=/tmp/modes SCENE=m
PERMISSIVE=7951 GREETING=7952 PLAIN=7953 DENY=7954 STRICT=7955 LEGACY=7956 ALLOW=7957 LATE=7958
mkdir -p $WORK/pages && cd $WORK || exit 1
at_end() { :; }
. /lab/lib-rogue.sh
rogue_network
OWN_IP=${ROGUE_IP%.*}.1
groupadd -g 2001 servers; useradd -u 2001 -g 2001 -M -d $WORK servers
groupadd -g 2003 nobodies; useradd -u 2003 -g 2003 -M -d $WORK nobodies
groupadd -g 2002 clients; useradd -u 2002 -g 2002 -M -d $WORK clients
as_server() { as 2001 "$@"; }
as_nobody() { as 2003 "$@"; }
as_client() { as 2002 "$@"; }
outside() { ip netns exec "$ROGUE_LINK" "$@"; }
head -c 300000 /dev/urandom | base64 >pages/page
SUM=$(sha256sum <pages/page | cut -d' ' -f1)

SERVERS='servers: ["spiffe://example.org/servers"]'
# The kernel knows executable and user: that its process is not in the group, the agent finds.
{ identity servers servers unix:uid:2001 "unix:path:$(path_of python3)"; identity clients clients unix:uid:2002 "unix:path:$(path_of curl)"
  identity nobodies nobodies unix:uid:2003 "unix:path:$(path_of python3)" unix:gid:2001
  service permissive "$OWN_IP:$PERMISSIVE" "$SERVERS" 'mode: permissive'; permit permissive clients
  service greeting "$OWN_IP:$GREETING" "$SERVERS" 'mode: permissive'
  service plain "$OWN_IP:$PLAIN" 'mode: plain'
  service deny "$OWN_IP:$DENY" 'mode: deny'; permit deny clients
  service strict "$OWN_IP:$STRICT" "$SERVERS"; permit strict clients
  service legacy "$ROGUE_IP:$LEGACY" 'mode: plain'; permit legacy clients
  service allow "$OWN_IP:$ALLOW" "$SERVERS" 'mode: permissive' 'onUnavailable: allow'; permit allow clients
  service late "$OWN_IP:$LATE" "$SERVERS" 'mode: permissive' 'onUnavailable: allow'; permit late clients; } >documents.yaml
apply documents.yaml

cat >server.py <<END
import socket, sys, threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
class Handler(SimpleHTTPRequestHandler):
    def log_message(self, form, *words): print(self.server.server_port, form % words, flush=True)
def greet(address):
    listener = socket.create_server(address)
    while True:
        s, _ = listener.accept()
        def talk(s=s):
            try:
                s.sendall(b"hello\n")
                while some := s.recv(100): s.sendall(some)
            except OSError as e: print("greeting", e, flush=True)
            s.close()
        threading.Thread(target=talk, daemon=True).start()
host, greeting, *ports = sys.argv[1:]
for greeting in greeting.split(",")[greeting == "0":]: threading.Thread(target=greet, args=((host, int(greeting)),), daemon=True).start()
for port in ports: threading.Thread(target=ThreadingHTTPServer((host, int(port)), Handler).serve_forever).start()
END
as_server python3 server.py "$OWN_IP" $GREETING,$LATE $PERMISSIVE $PLAIN $DENY $STRICT $ALLOW >server.log 2>&1 &
# Not governed: in another network namespace, where the addresses mean nothing.
outside python3 server.py "$ROGUE_IP" 0 $LEGACY >legacy.log 2>&1 &
listens() { ss -Hltn "sport = :$1" | grep -q .; }
for port in $GREETING $LATE $PERMISSIVE $PLAIN $DENY $STRICT $ALLOW; do eventually listens $port || abort "nobody listens at $port: $(tail -n 3 server.log)"; done
legacy_listens() { outside ss -Hltn "sport = :$LEGACY" | grep -q .; }
eventually legacy_listens || abort "nobody listens outside: $(tail -n 3 legacy.log)"

# gets WHAT HOST PORT WHO…: the page comes whole.
gets() {
    local sum
    sum=$("${@:4}" timeout $((60 * LAB_SLOWER)) curl -sS "http://$2:$3/pages/page" 2>curl.err | sha256sum)
    [ "$sum" = "$SUM  -" ] && echo "pass $1" || echo "fail $1: $(tail -n 1 curl.err) $(tail -n 1 server.log)"
}
# refused WHAT WORD HOST PORT WHO…: nothing comes, curl says WORD, and no server hears of it.
refused() {
    local before after
    before=$(cat server.log legacy.log | wc -l)
    "${@:5}" timeout $((60 * LAB_SLOWER)) curl -sS "http://$3:$4/pages/page" >got 2>curl.err && { echo "fail $1: it was served"; return; }
    after=$(cat server.log legacy.log | wc -l)
    if [ -s got ]; then echo "fail $1: bytes came"
    elif ! grep -qiE "$2" curl.err; then echo "fail $1: curl says $(tail -n 1 curl.err)"
    elif [ "$before" != "$after" ]; then echo "fail $1: a server heard of it"
    else echo "pass $1"
    fi
}
events() { tidelock -o json events; }
# told WHAT PATTERN…: an event has all of them.
told() {
    has() { local lines pattern; lines=$(events); for pattern; do lines=$(grep -F -- "$pattern" <<<"$lines"); done; [ -n "$lines" ]; }
    eventually has "${@:2}" && echo "pass $1" || echo "fail $1: $(tidelock events --tail 4 | cut -c1-300 | paste -sd';')"
}
in_plain() { sed -n 's/^flows_in_plain //p' /proc/tidelock/status; }
# counted WHAT BEFORE HOW_MANY
counted() { [ "$(($(in_plain) - $2))" = "$3" ] && echo "pass $1" || echo "fail $1: $(($(in_plain) - $2)) more, not $3"; }
denied() { printf '"reason":"%s"' "$1"; }

# --- permissive
before=$(in_plain)
gets 'permissive: who has an identity is served' "$OWN_IP" $PERMISSIVE as_client
counted 'permissive: and uses it: nothing goes in plain' "$before" 0
told 'permissive: and both ends tell of it' '"what":"flow-opened"' '"service":"permissive"' '"client_id":"spiffe://example.org/clients"' '"role":"server"' '"plain":false'
gets 'permissive: a plain client is served' "$OWN_IP" $PERMISSIVE outside
counted 'permissive: and is counted' "$before" 1
told 'permissive: and told of' '"what":"plain"' '"service":"permissive"' "$(denied took_in_plain)" "\"remote\":\"$ROGUE_IP:"
gets 'permissive: a process here that nothing governs is served' "$OWN_IP" $PERMISSIVE env
# A client of TLS 1.3 is done before the server has read its certificate: it has to stay to hear what is said of it.
sleep $((3 * LAB_SLOWER)) | outside timeout $((30 * LAB_SLOWER)) openssl s_client -connect "$OWN_IP:$PERMISSIVE" >asked 2>asked.err
grep -q 'alert' asked.err && echo 'pass permissive: TLS without an SVID is refused' || echo "fail permissive: TLS without an SVID is refused: $(tail -n 2 asked asked.err | paste -sd ' ')"

cat >talk.py <<END
import socket, struct, sys, time
what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.create_connection((host, port)); s.settimeout(60)
def say(word): print(word, flush=True)
if what == "silent":
    say(s.recv(100)); s.sendall(b"echo"); say(s.recv(100))
elif what == "slow":
    # The first bytes of a TLS record, one at a time, and then not.
    for byte in (b"\x16", b"\x03", b"no"): s.sendall(byte); time.sleep(0.2)
    got = b""
    while len(got) < 10: got += s.recv(100)
    say(got)
elif what == "half":
    s.sendall(b"end"); s.shutdown(socket.SHUT_WR); got = b""
    while some := s.recv(100): got += some
    say(got)
elif what == "hold":
    say(s.recv(100)); sys.stdin.readline(); s.settimeout(120)
    try: say(s.recv(100))
    except OSError as e: say(type(e).__name__)
elif what == "many":
    held = [s] + [socket.create_connection((host, port)) for _ in range(200)]
    for n, s in enumerate(held): s.sendall(b"%d" % n)
    for n, s in enumerate(held):
        s.settimeout(60); got = b""
        while got != b"hello\n%d" % n: got += s.recv(100) or sys.exit(f"{n}: ended after {got}")
    say(len(held))
END
# talks WHAT HOW EXPECTED
talks() {
    local got
    got=$(outside timeout 90 python3 talk.py "$2" "$OWN_IP" $GREETING 2>talk.err | paste -sd' ')
    [ "$got" = "$3" ] && echo "pass $1" || echo "fail $1: $got $(tail -n 1 talk.err)"
}
talks 'permissive: who waits for the server to speak hears it' silent "b'hello\n' b'echo'"
talks 'permissive: what begins as TLS and is not arrives whole' slow "b'hello\n\x16\x03no'"
talks 'permissive: half a connection can be closed' half "b'hello\nend'"
talks 'permissive: two hundred plain clients at once' many 201

# --- plain and deny
before=$(in_plain)
gets 'plain: a server takes plain clients' "$OWN_IP" $PLAIN outside
gets 'plain: to a server that knows nothing of us, where policy permits' "$ROGUE_IP" $LEGACY as_client
counted 'plain: both are counted' "$before" 2
told 'plain: the client is known' '"what":"flow-opened"' '"service":"legacy"' '"client_id":"spiffe://example.org/clients"' '"plain":true'
refused 'plain: where no permit matches, nobody governed goes' 'permission denied|could ?n.t connect' "$OWN_IP" $PLAIN as_client
told 'plain: and it is told' '"what":"denied"' '"service":"plain"' "$(denied no_permit)"
gets 'plain: what nothing governs is left alone' "$ROGUE_IP" $LEGACY env
refused 'deny: who is permitted is refused all the same' 'permission denied|could ?n.t connect' "$OWN_IP" $DENY as_client
told 'deny: and it is told' '"what":"denied"' '"service":"deny"' "$(denied service_denied)"
refused 'deny: from outside, too' 'reset by peer|empty reply' "$OWN_IP" $DENY outside
refused 'strict: a plain client is refused' 'reset by peer|empty reply' "$OWN_IP" $STRICT outside
refused 'strict: a process that nothing governs is refused' 'permission denied|could ?n.t connect' "$OWN_IP" $STRICT env

# --- originate: servers outside, which nobody here has given an identity
HOST=api.bank.example
# authority NAME KIND…: a root of that kind of key.
authority() { openssl req -x509 -nodes -days 30 -subj "/CN=$1" -newkey "${@:2}" -keyout "$1.key" -out "$1.pem" 2>/dev/null; }
# certified NAME ROOT HOST KIND…: a certificate of that host.
certified() {
    openssl req -x509 -nodes -days 30 -subj "/CN=$1" -newkey "${@:4}" -CA "$2.pem" -CAkey "$2.key" -addext "subjectAltName=DNS:$3" \
        -addext basicConstraints=CA:FALSE -keyout "$1.key" -out "$1.pem" 2>/dev/null
}
EC='ec -pkeyopt ec_paramgen_curve:P-256'
{ authority ec-root ec -pkeyopt ec_paramgen_curve:P-384; authority rsa-root rsa:2048; authority other-root $EC
  certified own ec-root $HOST $EC; certified rsa rsa-root $HOST rsa:2048; certified else ec-root other.example $EC; certified unknown other-root $HOST $EC; } || abort 'no certificates'
# outside_server NAME PORT ROOT OPTION…: one of them, and the Service that it is. With `system` as its root it has none of its own.
outside_server() {
    ip netns exec "$ROGUE_LINK" openssl s_server -quiet -WWW -accept "$ROGUE_IP:$2" -key "$1.key" -cert "$1.pem" "${@:4}" >>legacy.log 2>&1 &
    service "outside-$1-$3${4-}" "$ROGUE_IP:$2" 'mode: originate' 'tls:' "  serverName: $HOST" >>originate.yaml
    [ "$3" = system ] && return
    echo '    roots: |' >>originate.yaml
    sed 's/^/      /' "$3.pem" >>originate.yaml
}
outside_server own 7961 ec-root; outside_server rsa 7962 rsa-root; outside_server else 7963 ec-root
outside_server unknown 7964 ec-root; outside_server own 7965 ec-root -tls1_2
# What the system trusts, and something in it that nobody can use.
mkdir -p /etc/ssl/certs
{ cat rsa-root.pem; echo '-----BEGIN CERTIFICATE-----'; head -c 48 pages/page | tr -d '\n' | base64; echo '-----END CERTIFICATE-----'; cat ec-root.pem; } >/etc/ssl/certs/ca-certificates.crt
outside_server own 7966 system; outside_server unknown 7967 system
cat >>originate.yaml <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: originate}
spec:
  cedar: |
    permit (principal == Workload::"spiffe://example.org/clients", action == Action::"connect", resource in External::"$HOST");
END
apply originate.yaml
outside_listens() { outside ss -Hltn "sport = :$1" | grep -q .; }
for port in 7961 7962 7963 7964 7965 7966 7967; do eventually outside_listens $port || abort "nobody listens outside at $port: $(tail -n 3 legacy.log)"; done
before=$(in_plain)
gets 'originate: a program that speaks plain HTTP is served by TLS' "$ROGUE_IP" 7961 as_client
gets 'originate: by a server and an authority that sign with RSA' "$ROGUE_IP" 7962 as_client
counted 'originate: nothing goes in plain' "$before" 0
told 'originate: and it is told' '"what":"flow-opened"' '"service":"outside-own-ec-root"' '"client_id":"spiffe://example.org/clients"' '"plain":false'
refused 'originate: another server is refused' 'permission denied|could ?n.t connect' "$ROGUE_IP" 7963 as_client
told 'originate: by its name' '"service":"outside-else-ec-root"' "$(denied peer_unauthenticated)" "the server is not \`$HOST\`"
refused 'originate: one that another authority vouches for is refused' 'permission denied|could ?n.t connect' "$ROGUE_IP" 7964 as_client
gets 'originate: without roots, those that the system trusts vouch' "$ROGUE_IP" 7966 as_client
refused 'originate: and nobody else' 'permission denied|could ?n.t connect' "$ROGUE_IP" 7967 as_client
refused 'originate: TLS 1.2 is refused' 'refused|permission denied|could ?n.t connect' "$ROGUE_IP" 7965 as_client
refused 'originate: a process that nothing governs is refused' 'permission denied|could ?n.t connect' "$ROGUE_IP" 7961 env
as_server timeout 30 python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], 7961))' "$ROGUE_IP" 2>curl.err && echo 'fail originate: whom no policy permits is refused: it is connected' ||
    { grep -q PermissionError curl.err && echo 'pass originate: whom no policy permits is refused' || echo "fail originate: whom no policy permits is refused: $(tail -n 1 curl.err)"; }
service outside-own-ec-root "$ROGUE_IP:7961" 'mode: originate' >wrong.yaml
tidelock apply -f wrong.yaml >apply.out 2>&1
grep -q 'spec.mode: is `originate`, and `tls` has to say which server' apply.out && echo 'pass originate: without tls it is refused where it stands' || echo "fail originate: without tls it is refused where it stands: $(head -n 2 apply.out)"

# --- it is written otherwise
mkfifo orders
outside python3 talk.py hold "$OWN_IP" $GREETING <orders >hold.txt 2>&1 &
hold=$!
exec 4>orders
greeted() { grep -q hello hold.txt; }
eventually greeted || echo "fail strict again: no connection to cut: $(cat hold.txt)"
tidelock get flows | grep -q '(plain).*spiffe://example.org/servers\|greeting.*(plain)' && echo 'pass a live connection in plain is shown as one' ||
    echo "fail a live connection in plain is shown as one: $(tidelock get flows | grep greeting)"
echo go >&4
{ service greeting "$OWN_IP:$GREETING" "$SERVERS"; } >strict.yaml
apply strict.yaml
wait $hold
grep -q ConnectionResetError hold.txt && echo 'pass strict again: a connection in plain is cut' || echo "fail strict again: a connection in plain is cut: $(cat hold.txt)"
told 'strict again: and it is told' '"what":"denied"' '"service":"greeting"' "$(denied policy_changed)" 'mode: strict'

# --- maxFlowAge
# aged: a governed client that says nothing, into age.txt: what it was told, and how it ended.
aged() { as_server timeout "$1" python3 talk.py hold "$OWN_IP" $GREETING </dev/null >age.txt 2>&1; }
is_open() { grep -q hello age.txt; }
was_reset() { grep -q ConnectionResetError age.txt && echo "pass $1" || echo "fail $1: $(paste -sd' ' age.txt)"; }
of_age() { service greeting "$OWN_IP:$GREETING" "$SERVERS" "$@" >age.yaml; apply age.yaml; }
permit greeting servers >age.yaml; apply age.yaml
aged 90 & age=$!
eventually is_open || echo "fail maxFlowAge: no connection to reset: $(paste -sd' ' age.txt)"
sleep 2
of_age 'maxFlowAge: 2s'
wait $age; was_reset 'maxFlowAge: a connection that is too old when it is written is reset'
aged 90; was_reset 'maxFlowAge: one that becomes too old is reset'
told 'maxFlowAge: and it is told' '"what":"denied"' '"service":"greeting"' "$(denied flow_too_old)" 'maxFlowAge: 2s'
of_age 'maxFlowAge: 1h'
aged 10
is_open && ! grep -q Error age.txt && echo 'pass maxFlowAge: one that is younger goes on' || echo "fail maxFlowAge: one that is younger goes on: $(paste -sd' ' age.txt)"

# --- onUnavailable
kill -9 "$(pgrep -x tidelock-agent)"
gone() { ! pgrep -x tidelock-agent >/dev/null; }
eventually gone || abort 'the agent does not end'
before=$(in_plain)
gets 'onUnavailable: allow: without an agent a new process goes in plain' "$OWN_IP" $ALLOW as_client
counted 'onUnavailable: allow: both ends are counted' "$before" 2
refused 'onUnavailable: deny: without an agent a new process goes nowhere' 'permission denied|could ?n.t connect' "$OWN_IP" $PERMISSIVE as_client
refused 'onUnavailable: deny: nor where it is strict' 'permission denied|could ?n.t connect' "$OWN_IP" $STRICT as_client
gets 'onUnavailable: without an agent plain clients are served as before' "$OWN_IP" $PERMISSIVE outside
# It goes in plain while nobody says who it is.
as_nobody python3 talk.py hold "$OWN_IP" $LATE <orders >late.txt 2>&1 &
late=$!
exec 4>orders
late_greeted() { grep -q hello late.txt; }
eventually late_greeted && echo 'pass onUnavailable: allow: so does one that has no identity' || echo "fail onUnavailable: allow: so does one that has no identity: $(cat late.txt)"
echo go >&4
rm -f /run/tidelock/agent.sock
setsid lab-join 127.0.0.1:8443 /var/lib/tidelock/ca/bundle.pem /run/tidelock/token </dev/null >agent.log 2>&1 &
before=$(in_plain)
again() { [ "$(as_client timeout 60 curl -sS "http://$OWN_IP:$STRICT/pages/page" 2>/dev/null | sha256sum)" = "$SUM  -" ]; }
eventually again && echo 'pass with an agent again, strict goes on' || echo 'fail with an agent again, strict goes on: it is refused'
wait $late
grep -q ConnectionResetError late.txt && echo 'pass onUnavailable: allow: with an agent again, who is refused an identity is cut' || echo "fail onUnavailable: allow: with an agent again, who is refused an identity is cut: $(cat late.txt)"
told 'onUnavailable: allow: and it is told' '"what":"denied"' '"service":"late"' "$(denied not_granted)"
gets 'onUnavailable: allow: with an agent again, who has an identity uses it' "$OWN_IP" $ALLOW as_client
counted 'onUnavailable: allow: and nothing goes in plain' "$before" 0
