# interop.sh: programs that speak TLS by themselves, with an X509-SVID of their own, and governed programs that know nothing of
# TLS: what arrives is what was sent. Prints `pass WHAT` and `fail WHAT: WHY`.
. /lab/lib-tier.sh
WORK=/tmp/interop SCENE=i
SERVED=7901 HYBRID=7902 OLDER=7903 P256=7904 NGINX=7905 TICKETS=7906 KEYS=7907 KEYS_MEDIATED=7908 KEYS_OUT=7909 KEYS_OUT_MEDIATED=7910
STREAM=8
mkdir -p $WORK/pages && cd $WORK || exit 1
at_end() { :; }
. /lab/lib-rogue.sh
rogue_network
OWN_IP=${ROGUE_IP%.*}.1

groupadd -g 2001 servers; useradd -u 2001 -g 2001 -M -d $WORK servers
groupadd -g 2002 clients; useradd -u 2002 -g 2002 -M -d $WORK clients
as_server() { as 2001 "$@"; }
as_client() { as 2002 "$@"; }
outside() { ip netns exec "$ROGUE_LINK" "$@"; }
# The guest's own OpenSSL is 3.0, which knows no ML-KEM; the other is 3.5, which does.
OLDER_OPENSSL="openssl" NEWER_OPENSSL="/lab/ld-linux-x86-64.so.2 --library-path /lab /lab/openssl"

head -c 300000 /dev/urandom | base64 >pages/page
SUM=$(sha256sum <pages/page | cut -d' ' -f1)
outsider() { service "outside-$1" "$ROGUE_IP:$1" 'servers: ["spiffe://example.org/outside"]'; permit "outside-$1" clients; }
{ identity servers servers unix:uid:2001 "unix:path:$(path_of python3)"; identity clients clients unix:uid:2002 "unix:path:$(path_of curl)"
  identity echoes clients unix:uid:2002 "unix:path:$(path_of python3)"
  service served "$OWN_IP:$SERVED" 'servers: ["spiffe://example.org/servers"]'; permit served outside
  service keys "$OWN_IP:$KEYS" 'servers: ["spiffe://example.org/servers"]'; permit keys outside
  service keys-mediated "$OWN_IP:$KEYS_MEDIATED" 'servers: ["spiffe://example.org/servers"]' 'transform: identity'; permit keys-mediated outside
  service keys-out-mediated "$ROGUE_IP:$KEYS_OUT_MEDIATED" 'servers: ["spiffe://example.org/outside"]' 'transform: identity'
  permit keys-out-mediated clients
  for port in $HYBRID $OLDER $P256 $NGINX $TICKETS $KEYS_OUT; do outsider $port; done; } >documents.yaml
apply documents.yaml
rogue_svid outside spiffe://example.org/outside >svid.log 2>&1
rogue_svid stranger spiffe://example.org/stranger >>svid.log 2>&1

# --- A governed server, and a client outside.
cat >server.py <<END
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
class Handler(SimpleHTTPRequestHandler):
    def log_message(self, form, *words): print(self.client_address, form % words, flush=True)
ThreadingHTTPServer(("$OWN_IP", $SERVED), Handler).serve_forever()
END
as_server python3 server.py >server.log 2>&1 &
eventually sh -c "ss -Hltn 'sport = :$SERVED' | grep -q ." || abort "the server does not run: $(tail -n 3 server.log)"

# asks OPENSSL NAME OPTION…: the page by s_client with NAME's SVID; what it said is in asked.
asks() {
    { sleep $hold; printf 'GET /pages/page HTTP/1.0\r\n\r\n'; } |
        outside timeout 60 $1 s_client -connect "$OWN_IP:$SERVED" -cert "$2.pem" -key "$2.key" -CAfile $AUTHORITY/bundle.pem \
            -verify 2 -verify_return_error -ign_eof "${@:3}" >asked 2>asked.err
}
hold=0
# What follows the head of the answer, without what s_client says at the end.
body() { sed -n '/^HTTP\/1/,$p' "$1" | sed '1,/^\r$/d' | sed '/^---$/,$d' | grep -v '^closed$'; }
# told WHAT WORD OPENSSL OPTION…: the page comes whole, and s_client says WORD of the connection.
told() {
    asks "$3" outside "${@:4}"
    if ! grep -q 'Verify return code: 0 (ok)' asked; then echo "fail $1: $(grep -m 2 -i -h -e error -e alert asked asked.err)"
    elif ! grep -q "$2" asked; then echo "fail $1: it says $(grep -i -e 'temp key' -e 'group:' -e '^New' asked | paste -sd ' ')"
    elif ! body asked | sha256sum | grep -q "^$SUM"; then echo "fail $1: it got something else: $(tail -n 3 asked | cut -c1-100)"
    else echo "pass $1"
    fi
}
told 'OpenSSL 3.5 as client: the page, by X25519MLKEM768' 'group: X25519MLKEM768' "$NEWER_OPENSSL"
told 'OpenSSL 3.0 as client: the page, by X25519' 'Server Temp Key: X25519' "$OLDER_OPENSSL"
told 'OpenSSL 3.0 as client: the page, by P-256' 'Server Temp Key: ECDH, prime256v1' "$OLDER_OPENSSL" -groups P-256
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    told "OpenSSL as client: the page, by $suite" "New, TLSv1.3, Cipher is $suite" "$OLDER_OPENSSL" -ciphersuites $suite
done
told 'OpenSSL as client, which may resume' 'New, TLSv1.3' "$OLDER_OPENSSL" -sess_out session
told 'OpenSSL as client, which asks to resume: a new handshake' 'New, TLSv1.3' "$OLDER_OPENSSL" -sess_in session
got=$(outside curl -sS -k --cert outside.pem --key outside.key "https://$OWN_IP:$SERVED/pages/page" 2>curl.err | sha256sum)
[ "$got" = "$SUM  -" ] && echo "pass curl as client, which offers h2 and http/1.1" || echo "fail curl as client: $(tail -n 1 curl.err)"

# refused WHAT WORD NAME OPTION…: no byte of the page, and OpenSSL is told WORD.
refused() {
    local before
    before=$(wc -l <server.log)
    # Who is closed with a request unread is sent a reset, and that overtakes the alert at the client.
    hold=$((2 * LAB_SLOWER))
    asks "$OLDER_OPENSSL" "$3" "${@:4}"
    hold=0
    if grep -q '^HTTP/1' asked; then echo "fail $1: it was answered"
    elif [ "$(wc -l <server.log)" != "$before" ]; then echo "fail $1: the server heard of it"
    elif ! grep -q "$2" asked.err; then echo "fail $1: it is told $(tail -q -n 2 asked asked.err | paste -sd ' ')"
    else echo "pass $1"
    fi
}
refused 'TLS 1.2 is refused' 'alert protocol version' outside -tls1_2
refused 'an SVID that no permit names is refused' 'alert access denied' stranger
refused 'a curve that is not ours is refused' 'alert handshake failure' outside -groups P-521

# --- Keys that change while a connection lives (KeyUpdate): OpenSSL changes its own by `k`, and asks for ours too by `K`.
# The kernels' TLS cannot before 6.14: the flow ends, and an event says so.
changes_keys() { [ "$(printf '6.14\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.14 ]; }
cat >echo.py <<END
import socket, sys, threading
page = open("pages/page", "rb").read()
def stream(conn, at_end):
    conn.sendall(b"BEGIN\n" + page * $STREAM + b"END\n")
    at_end.set()
def talk(conn):
    quiet = threading.Event()
    quiet.set()
    for line in conn.makefile("rb"):
        if line == b"stream\n":
            quiet.clear()
            threading.Thread(target=stream, args=(conn, quiet), daemon=True).start()
        elif line.startswith(b"while"):
            print("meanwhile", line, flush=True)
        else:
            quiet.wait()
            conn.sendall(b"echo " + line)
if sys.argv[1] == "connect":
    talk(socket.create_connection((sys.argv[2], int(sys.argv[3]))))
else:
    listener = socket.create_server((sys.argv[2], int(sys.argv[3])))
    while True:
        threading.Thread(target=talk, args=listener.accept()[:1], daemon=True).start()
END
# What arrived in file `asked`, without what OpenSSL says in between.
arrived() { sed -z 's/read R BLOCK\n//g' asked | tr -d '\r'; }
# says WORD…: to the OpenSSL behind the pipe, which takes one command at a time.
says() { local word; for word in "$@"; do echo "$word" >&7; sleep $(((LAB_SLOWER + 1) / 2)); done; }
awaits() { eventually sh -c "sed -z 's/read R BLOCK\n//g' asked | grep -q '^$1'"; }
answers() { grep -c '^<<<.*KeyUpdate' messages; }
# follows WHAT: the OpenSSL behind the pipe and a governed program exchange what they say, whoever's keys change in between.
follows() {
    local sum
    says data-1
    awaits 'echo data-1' || { echo "fail $1: not even without: $(tail -q -n 2 asked asked.err)"; return; }
    says K data-2 k data-3 K K data-4 k k K data-5
    awaits 'echo data-5' || { echo "fail $1: $(arrived | grep -c '^echo') lines of 5: $(tail -q -n 2 asked asked.err)"; return; }
    # What is asked for twice before anything is sent is answered once.
    [ "$(answers)" = 3 ] || { echo "fail $1: $(answers) answers, not 3"; return; }
    says stream K while-1 k K K while-2 k K
    awaits END || { echo "fail $1: a stream does not end: $(tail -q -n 1 asked.err)"; return; }
    says K data-6 k data-7
    awaits 'echo data-7' || { echo "fail $1: nothing after a stream: $(tail -q -n 2 asked asked.err)"; return; }
    sum=$(arrived | sed -n '/^BEGIN$/,/^END$/p' | sed '1d;$d' | sha256sum)
    if [ "$sum" != "$STREAM_SUM  -" ]; then echo "fail $1: a stream came as something else"
    elif [ "$(arrived | grep '^echo' | paste -sd ' ')" != "$(seq -f 'echo data-%.0f' 7 | paste -sd ' ')" ]; then
        echo "fail $1: it got $(arrived | grep '^echo' | paste -sd ' ')"
    else echo "pass $1"
    fi
}
# at_pipe COMMAND…: runs it in the background, reading what is said.
at_pipe() {
    rm -f pipe messages; mkfifo pipe
    outside timeout $((240 * LAB_SLOWER)) "$@" -msg -msgfile messages <pipe >asked 2>asked.err &
    openssl_pid=$!
    exec 7>pipe
}
hangs_up() { exec 7>&-; kill $openssl_pid 2>/dev/null; wait $openssl_pid 2>/dev/null; }
asks_echo() {
    at_pipe openssl s_client -connect "$OWN_IP:$1" -cert outside.pem -key outside.key -CAfile $AUTHORITY/bundle.pem "${@:2}"
    eventually grep -q '^Verify return code\|^    Verify return code' asked
}
ended_by_update() {
    if ! grep -q '^KEYUPDATE' asked.err; then echo "fail $1: none was sent"
    elif ! eventually grep -q 'errno=104' asked asked.err; then echo "fail $1: no reset: $(tail -n 2 asked asked.err)"
    elif ! eventually sh -c "tidelock -o json events | grep flow-closed | grep -q '\"reason\":\"key_updated\"'"; then
        echo "fail $1: no event tells of it: $(tidelock events --tail 3)"
    else echo "pass $1"
    fi
}
STREAM_SUM=$(for i in $(seq $STREAM); do cat pages/page; done | sha256sum | cut -d' ' -f1)
for port in $KEYS $KEYS_MEDIATED; do
    as_server python3 echo.py listen "$OWN_IP" "$port" >"echo-$port.log" 2>&1 &
    eventually sh -c "ss -Hltn 'sport = :$port' | grep -q ." || abort "nobody listens at $port: $(cat "echo-$port.log")"
done
if changes_keys; then
    for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
        asks_echo $KEYS -ciphersuites $suite
        follows "a client's keys change, $suite"
        hangs_up
    done
    asks_echo $KEYS_MEDIATED
    follows "a client's keys change, on a mediated connection"
    hangs_up
    for port in $KEYS_OUT $KEYS_OUT_MEDIATED; do
        at_pipe openssl s_server -accept "$ROGUE_IP:$port" -cert outside.pem -key outside.key -CAfile $AUTHORITY/bundle.pem \
            -Verify 2 -verify_return_error -tls1_3
        eventually sh -c "ip netns exec $ROGUE_LINK ss -Hltn 'sport = :$port' | grep -q ." || abort "nobody listens at $port: $(cat asked.err)"
        as_client python3 echo.py connect "$ROGUE_IP" "$port" >"echo-$port.log" 2>&1 &
        eventually grep -q '^CIPHER' asked
        follows "a server's keys change, at port $port"
        hangs_up
    done
    # More often than anybody needs to.
    asks_echo $KEYS
    # In shells of their own, which the end of OpenSSL may end too.
    (for i in $(seq 120); do echo k >&7; sleep 0.05; done)
    ended_by_update 'a flood of KeyUpdates ends the flow'
    hangs_up
else
    asks_echo $KEYS
    (says K GET)
    ended_by_update 'a KeyUpdate of the peer ends the flow'
    hangs_up
fi

# --- A server outside, and a governed client.
cat >nginx.conf <<END
worker_processes 1; pid $WORK/nginx.pid; daemon off; error_log $WORK/nginx.log;
events {}
http {
    access_log off; client_body_temp_path $WORK/b; proxy_temp_path $WORK/p; fastcgi_temp_path $WORK/f; uwsgi_temp_path $WORK/u; scgi_temp_path $WORK/s;
    server {
        listen $ROGUE_IP:$NGINX ssl; root $WORK; ssl_protocols TLSv1.3;
        ssl_certificate $WORK/outside.pem; ssl_certificate_key $WORK/outside.key;
        ssl_client_certificate $AUTHORITY/bundle.pem; ssl_verify_client on; ssl_verify_depth 2;
    }
}
END
# serves OPENSSL PORT OPTION…: files of this folder, to clients with an SVID.
serves() {
    outside $1 s_server -accept "$ROGUE_IP:$2" -cert outside.pem -key outside.key -CAfile $AUTHORITY/bundle.pem \
        -Verify 2 -verify_return_error -tls1_3 -WWW "${@:3}" >"server-$2.log" 2>&1 </dev/null &
}
serves "$NEWER_OPENSSL" $HYBRID -groups X25519MLKEM768
serves "$OLDER_OPENSSL" $OLDER
serves "$OLDER_OPENSSL" $P256 -groups P-256
serves "$OLDER_OPENSSL" $TICKETS -num_tickets 16
outside nginx -c $WORK/nginx.conf -e $WORK/nginx.log >nginx.out 2>&1 &
for port in $HYBRID $OLDER $P256 $TICKETS $NGINX; do
    eventually sh -c "ip netns exec $ROGUE_LINK ss -Hltn 'sport = :$port' | grep -q ." || abort "nobody listens at $port: $(cat server-$port.log nginx.log)"
done
# comes WHAT PORT: the page to a governed curl, which speaks plain HTTP.
comes() {
    local sum
    sum=$(as_client timeout 60 curl -sS "http://$ROGUE_IP:$2/pages/page" 2>curl.err | sha256sum)
    [ "$sum" = "$SUM  -" ] && echo "pass $1" || echo "fail $1: $(tail -n 1 curl.err) $(tail -q -n 1 "server-$2.log" nginx.log 2>/dev/null | paste -sd ' ')"
}
comes 'OpenSSL 3.5 as server, which takes X25519MLKEM768 only' $HYBRID
comes 'OpenSSL 3.0 as server' $OLDER
comes 'OpenSSL 3.0 as server, which takes P-256 only: after a HelloRetryRequest' $P256
comes 'OpenSSL 3.0 as server, with sixteen tickets after the handshake' $TICKETS
comes 'nginx as server, which asks for an SVID' $NGINX

# Rust's stack has 64 KiB; a quarter is to spare after every kind of handshake.
used=$(sed -n 's/^stack_high_water //p' /proc/tidelock/status)
[ "$used" -gt 0 ] && [ "$used" -le 49152 ] && echo "pass no handshake took more than three quarters of its stack" ||
    echo "fail a handshake took $used bytes of its stack of 65536"
