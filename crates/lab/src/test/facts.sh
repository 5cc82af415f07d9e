# facts.sh: what policies are told of processes, nodes, addresses and the time, whether a workload may listen, and which requests
# pass: each policy is applied, and a connection is made or lives on that it decides about. Prints `pass WHAT` and `fail WHAT: WHY`.
. /lab/lib-tier.sh
WORK=/tmp/facts PORT=7911 OWN=10.66.0.1
mkdir -p $WORK && cd $WORK || exit 1
ip link add here type dummy && ip addr add $OWN/32 dev here && ip link set here up
PYTHON=$(path_of python3)
# within CGROUP COMMAND…: begun there.
within() {
    mkdir -p "/sys/fs/cgroup$1" || return 1
    local procs=/sys/fs/cgroup$1/cgroup.procs
    ( echo "$BASHPID" >"$procs" && exec "${@:2}" )
}
# decide_by CEDAR: these are the policies from now on, beside a permit of everything.
decide_by() {
    { cat <<END
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: facts}
spec:
  cedar: |
    @id("usual")
    permit (principal, action == Action::"connect", resource == Service::"echo");
END
      sed 's/^/    /' <<<"$1"; } >policy.yaml
    apply policy.yaml
}
{ identity server server unix:uid:2001 "unix:path:$PYTHON"; identity client client unix:uid:2002 "unix:path:$PYTHON"
  service echo $OWN:$PORT 'servers: ["spiffe://example.org/server"]'; } >documents.yaml
cat >server.py <<END
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile: self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True; daemon_threads = True; request_queue_size = 64
Server(("$OWN", $PORT), Echo).serve_forever()
END
# once: says what came back. hold: that, and how it ended.
cat >client.py <<END
import socket, sys
try:
    s = socket.create_connection(("$OWN", $PORT), timeout=60)
    s.sendall(b"ping\n")
    got = s.recv(100)
    print(got.decode().strip() or "nothing", flush=True)
    if sys.argv[1] == "hold":
        s.settimeout(None)
        print("ended" if s.recv(1) == b"" else "more", flush=True)
except OSError as error:
    print(f"{type(error).__name__}: {error}", flush=True)
END
apply documents.yaml
decide_by ''
SCOPE=/system.slice/docker-$(printf 'ab%.0s' $(seq 32)).scope
within $SCOPE setpriv --reuid 2001 --regid 2001 --clear-groups python3 server.py >server.log 2>&1 &
eventually sh -c "ss -Hltn 'sport = :$PORT' | grep -q ." || abort "the server does not run: $(tail -n 3 server.log)"

once() { as 2002 timeout 120 python3 client.py once 2>&1; }
told() { tidelock -o json events | grep "$1" | grep -q "$2"; }
# served WHAT CEDAR
served() {
    decide_by "$2"
    local got; got=$(once)
    [ "$got" = ping ] && echo "pass $1" || echo "fail $1: $got: $(tidelock events --tail 2 | paste -sd' ')"
}
# refused WHAT ID CEDAR: and an event names the policy.
refused() {
    decide_by "$3"
    local got; got=$(once)
    if [ "$got" = ping ]; then echo "fail $1: it was served"
    elif ! eventually told '"denied"' "$2"; then echo "fail $1: no event names $2: $(tidelock events --tail 2 | paste -sd' ')"
    else echo "pass $1"
    fi
}
# both WHAT ID CONDITION OTHER: served unless CONDITION fails, and then refused by OTHER.
both() {
    served "$1" "@id(\"$2\") forbid (principal, action == Action::\"connect\", resource) unless { $3 };"
    refused "$1, and another is refused" "$2-other" \
        "@id(\"$2-other\") forbid (principal, action == Action::\"connect\", resource) unless { $4 };"
}
# What only one end knows, the other leaves to it.
at() { echo "if context has $1 then $2 else true"; }

both 'a cgroup is told as the host sees it' cgroup \
    "$(at server "context.server has cgroup && context.server.cgroup == \"$SCOPE\"")" \
    "$(at server "context.server has cgroup && context.server.cgroup == \"/elsewhere\"")"
both 'a container is told by its id' container \
    "$(at server "context.server has container && context.server.container == \"$(printf 'ab%.0s' $(seq 32))\"")" \
    "$(at client "context.client has container")"
both "a network namespace is told, and the host's by name" namespace \
    "$(at client 'context.client has namespace && context.client.namespace == "host"')" \
    "$(at client 'context.client has namespace && context.client.namespace like "net:*"')"
both 'who is seen from its exec on is not adopted' adopted \
    "$(at client 'context.client has adopted && !context.client.adopted')" \
    "$(at client 'context.client has adopted && context.client.adopted')"
both 'addresses of both ends are told' address \
    "$(at clientAddress "context.clientAddress == ip(\"$OWN\") && context has serverAddress && context.serverAddress == ip(\"$OWN\")")" \
    "$(at clientAddress 'context.clientAddress.isInRange(ip("192.0.2.0/24"))')"
both 'the node, its attestation and its kernel are told' posture \
    "context has posture && context.posture has node && context.posture.node == Node::\"node-a\" &&
     context.posture has attestedAt && context has time && context.posture.attestedAt <= context.time &&
     context.posture.attestedAt > context.time.offset(duration(\"-1h\")) &&
     context.posture has kernel && context.posture.kernel == \"$(uname -r)\"" \
    'context has posture && context.posture has node && context.posture.node == Node::"node-b"'

# --- To listen.
hold() { as 2002 python3 client.py hold >held 2>&1 & holder=$!; eventually grep -q ping held || abort "no connection to hold: $(cat held)"; }
ended() { ! kill -0 $holder 2>/dev/null; }
NO_LISTENING="@id(\"no-listening\") forbid (principal == Workload::\"spiffe://example.org/server\", action == Action::\"listen\", resource)
when { context has process.cgroup && context.process.cgroup like \"*docker*\" && context has address && context.address == ip(\"$OWN\") };"
decide_by ''; hold
decide_by "$NO_LISTENING"
if ! eventually ended; then echo "fail who is forbidden to listen: its connection lives on"
elif ! grep -q ConnectionReset held; then echo "fail who is forbidden to listen: its connection: $(cat held)"
else echo "pass who is forbidden to listen is cut"
fi
refused 'who is forbidden to listen serves nobody' no-listening "$NO_LISTENING"
served 'who may listen again serves again' ''

# --- Time.
UNTIL=$(($(date +%s) + 20 * LAB_SLOWER))
BEFORE=$(date -u -d "@$UNTIL" +%Y-%m-%dT%H:%M:%SZ)
decide_by "@id(\"closing-time\") forbid (principal, action == Action::\"connect\", resource)
unless { context has time && context.time < datetime(\"$BEFORE\") };"
hold
if ! eventually ended; then echo "fail what time ends: it lives on after $BEFORE: $(date -u)"
elif [ "$(date +%s)" -lt $UNTIL ]; then echo "fail what time ends: it ended before: $(cat held)"
elif ! grep -q ConnectionReset held; then echo "fail what time ends: $(cat held)"
elif ! eventually told '"denied"' closing-time; then echo "fail what time ends: no event names closing-time"
else echo "pass what time ends is cut without a change of documents"
fi
[ "$(once)" = ping ] && echo "fail after closing time: it was served" || echo "pass after closing time nobody is served"
# What is only observed is told once for a flow.
{ cat policy.yaml | sed '/closing-time/,$d'; cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: observed}
spec:
  mode: observe
  cedar: |
    @id("would-close") forbid (principal, action == Action::"connect", resource) when { context has time };
END
} >observed.yaml
apply observed.yaml
[ "$(once)" = ping ] && echo "pass what is only observed of the time decides nothing" || echo "fail what is only observed of the time: refused"
eventually told '"observed"' would-close && echo "pass what is observed of the time is told" || echo "fail what is observed of the time is not told"

# --- Requests.
WEB=7912
cat >web.py <<END
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        print(self.command, self.path, flush=True)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = (self.headers["X-Forwarded-Client-Cert"] or "nobody").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(answer))); self.end_headers(); self.wfile.write(answer)
    do_POST = do_GET
    def log_message(self, *_): pass
ThreadingHTTPServer(("$OWN", $WEB), Handler).serve_forever()
END
# asks METHOD TARGET…: on one connection, as a program would; a line for each.
cat >asks.py <<END
import http.client, sys
c = http.client.HTTPConnection("$OWN", $WEB, timeout=60)
for words in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        c.putrequest(*words, skip_accept_encoding=True); c.putheader("X-Forwarded-Client-Cert", "URI=me"); c.endheaders()
        answer = c.getresponse(); print(answer.status, answer.read().decode().split(";")[-1], flush=True)
    except (OSError, http.client.HTTPException) as error:
        print(type(error).__name__, flush=True); break
END
asks() { as 2002 timeout 120 python3 asks.py "$@" 2>&1 | paste -sd,; }
as 2001 python3 web.py >>web.log 2>web.err &
eventually sh -c "ss -Hltn 'sport = :$WEB' | grep -q ." || abort "the web server does not run: $(tail -n 3 web.err)"
# web CEDAR [LINE]: the Service, with this line, and its policies.
web() {
    { service web $OWN:$WEB 'servers: ["spiffe://example.org/server"]' "${2-transform: authorizeRequests}"; cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: web}
spec:
  cedar: |
    permit (principal, action == Action::"connect", resource == Service::"web");
END
      sed 's/^/    /' <<<"$1"; } >web.yaml
    apply web.yaml
}
CLIENT=spiffe://example.org/client
READ="permit (principal == Workload::\"$CLIENT\", action == Action::\"http\", resource == Service::\"web\")
when { context.method == \"GET\" && context.path like \"/reports/*\" && context has host && context.host == \"$OWN\" };"
# requests WHAT EXPECTED METHOD TARGET…
requests() {
    local got; got=$(asks "${@:3}")
    [ "$got" = "$2" ] && echo "pass requests: $1" || echo "fail requests: $1: $got; $(tidelock events --tail 1 | cut -c1-200)"
}
web '' 'mode: strict'
cat >stays.py <<END
import http.client, sys
c = http.client.HTTPConnection("$OWN", $WEB, timeout=60)
c.request("GET", "/open"); print(c.getresponse().read(), flush=True)
sys.stdin.readline()
try: c.request("GET", "/unasked"); print(c.getresponse().status)
except OSError as error: print(type(error).__name__)
END
mkfifo orders
as 2002 python3 stays.py <orders >stays.txt 2>&1 &
stays=$!
exec 4>orders
eventually grep -q nobody stays.txt || echo "fail requests: no connection that is open before they are asked about: $(cat stays.txt)"
web ''
echo go >&4; wait $stays
if grep -q unasked web.log || ! grep -q ConnectionResetError stays.txt; then echo "fail requests: a connection from before they are asked about is cut: $(cat stays.txt)"
else echo 'pass requests: a connection from before they are asked about is cut'
fi
eventually told '"policy_changed"' 'transform: authorizeRequests' && echo 'pass requests: and it is told' || echo "fail requests: and it is told: $(tidelock events --tail 2 | paste -sd' ')"
>web.log
requests 'a permit of the connection is none of a request' ConnectionResetError GET /reports/a
web "$READ"
requests 'what is permitted is served, and told who asks' "200 URI=$CLIENT,200 URI=$CLIENT" GET '/reports/a?b=/../c' GET /reports/b
requests 'what is not ends the connection' "200 URI=$CLIENT,ConnectionResetError" GET /reports/a POST /reports/a
eventually told '"denied"' 'POST /reports/a: no permit matched' && echo 'pass requests: an event says which' || echo "fail requests: an event says which: $(tidelock events --tail 2 | paste -sd' ')"
requests 'a path that leads elsewhere is refused' ConnectionResetError GET /reports/../admin
requests 'a path with another spelling is refused' ConnectionResetError GET /reports/%61
web "$READ
@id(\"no-b\") forbid (principal, action == Action::\"http\", resource) when { context.path == \"/reports/b\" };"
requests 'a forbid takes away' "200 URI=$CLIENT,ConnectionResetError" GET /reports/a GET /reports/b
eventually told '"denied"' 'GET /reports/b: no-b' && echo 'pass requests: an event names the forbid' || echo "fail requests: an event names the forbid: $(tidelock events --tail 2 | paste -sd' ')"
{ sed '/no-b/d' web.yaml; cat <<END
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata: {name: observed}
spec:
  mode: observe
  cedar: |
    @id("would-close") forbid (principal, action == Action::"http", resource) when { context.path == "/reports/a" };
END
} >observed.yaml
apply observed.yaml
requests 'what is only observed of them decides nothing' "200 URI=$CLIENT" GET /reports/a
eventually told '"observed"' 'GET /reports/a: would-close' && echo 'pass requests: and is told' || echo "fail requests: and is told: $(tidelock events --tail 2 | paste -sd' ')"
# Of the others, /reports/b came once, when it was permitted.
[ "$(sort web.log | uniq | paste -sd,)" != 'GET /reports/a,GET /reports/a?b=/../c,GET /reports/b' ] || [ "$(grep -c '/reports/b$' web.log)" != 1 ] && echo "fail requests: a refused one reached the server: $(paste -sd, web.log)" || echo 'pass requests: no refused one reached the server'
