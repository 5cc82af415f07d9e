# programs.sh [ROUNDS]: real servers and clients, unmodified, both ends governed; what arrives is what was sent.
# Prints `pass WHAT` and `fail WHAT: WHY`.
. /lab/lib-tier.sh
ROUNDS=${1:-3}
WORK=/tmp/programs HOST=127.0.0.1
NGINX=7801 REDIS=7802 ECHO=7803 SSH=7804 RELAY=7805 SQL=7806 IPERF=7807 NODE=7808 TOLD=7809
# Before Debian's wrappers, which are other programs.
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
mkdir -p $WORK/pages && cd $WORK || exit 1
groupadd -g 2001 servers; useradd -u 2001 -g 2001 -M -d $WORK -s /bin/bash servers
groupadd -g 2002 clients; useradd -u 2002 -g 2002 -M -d $WORK clients
as_server() { as 2001 "$@"; }
as_client() { as 2002 "$@"; }
sum_of() { sha256sum "$1" | cut -d' ' -f1; }
listening() { eventually sh -c "ss -Hltn 'sport = :$1' | grep -q ."; }

# identities SIDE UID PROGRAM…: one for each, all of the same name.
identities() { local program; for program in "${@:3}"; do identity "$1-${program##*/}" "$1" "unix:uid:$2" "unix:path:$(path_of "$program")"; done; }
# serves NAME PORT [LINE]
serves() { service "$1" $HOST:$2 'servers: ["spiffe://example.org/servers"]' "${@:3}"; permit "$1" clients; }
{ identities servers 2001 nginx redis-server python3 sshd socat postgres iperf3 node
  identities clients 2002 curl wget redis-cli redis-benchmark python3 ssh socat psql pgbench iperf3 node wrk
  serves nginx $NGINX; serves redis $REDIS; serves echo $ECHO; serves ssh $SSH; serves relay $RELAY
  serves sql $SQL; serves iperf $IPERF; serves node $NODE
  serves told $TOLD 'transform: forwardClientCert'; } >documents.yaml
apply documents.yaml

head -c 3000000 /dev/urandom >pages/large
echo small >pages/small
chown -R 2001:2001 $WORK
chmod 777 $WORK
SUM=$(sum_of pages/large)

# ---- servers ----------------------------------------------------------------------------------------

cat >nginx.conf <<END
daemon off; worker_processes 2; pid $WORK/nginx.pid; error_log $WORK/nginx.log;
events { worker_connections 256; }
http {
    access_log off; sendfile on; tcp_nopush on; keepalive_timeout 30;
    client_body_temp_path $WORK/t1; proxy_temp_path $WORK/t2; fastcgi_temp_path $WORK/t3; uwsgi_temp_path $WORK/t4; scgi_temp_path $WORK/t5;
    server { listen $HOST:$NGINX; root $WORK/pages; }
}
END
as_server nginx -c $WORK/nginx.conf -e $WORK/nginx.log >nginx.out 2>&1 &
as_server redis-server --port $REDIS --bind $HOST --save '' --dir $WORK >redis.out 2>&1 &
cat >echo.py <<END
import asyncio
async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "$HOST", $ECHO)
    await server.serve_forever()
asyncio.run(main())
END
as_server python3 echo.py >echo.out 2>&1 &
ssh-keygen -q -t ed25519 -N '' -f host.key && ssh-keygen -q -t ed25519 -N '' -f user.key && cp user.key.pub authorized
chown 2001 host.key authorized && chown 2002 user.key
mkdir -p /run/sshd
as_server /usr/sbin/sshd -D -e -f /dev/null -p $SSH -h $WORK/host.key -o AuthorizedKeysFile=$WORK/authorized \
    -o StrictModes=no -o ListenAddress=$HOST -o UsePAM=no -o PidFile=none -o Subsystem="sftp internal-sftp" 2>sshd.out &
as_server socat -u TCP-LISTEN:$RELAY,bind=$HOST,fork,reuseaddr OPEN:$WORK/relayed,creat,append 2>socat.out &
cat >node.js <<END
const http = require('http'), fs = require('fs'), crypto = require('crypto')
const sum = () => crypto.createHash('sha256')
if (process.argv[2] === 'serve') {
    const server = http.createServer((request, response) => {
        if (request.method === 'GET') return fs.createReadStream('pages/large').pipe(response)
        const got = sum()
        request.on('data', data => got.update(data)).on('end', () => response.end(got.digest('hex')))
    })
    // Nobody hangs up on a slow machine between two requests.
    server.keepAliveTimeout = 120000
    server.listen($NODE, '$HOST')
} else {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
    let left = 24
    for (let n = 0; n < 24; n++) {
        const sent = crypto.randomBytes(20000 * n), got = sum()
        const options = { host: '$HOST', port: $NODE, agent, method: n % 2 ? 'POST' : 'GET' }
        http.request(options, answer => {
            let text = ''
            answer.on('data', data => { got.update(data); text += n % 2 ? data : '' }).on('end', () => {
                const good = n % 2 ? text === sum().update(sent).digest('hex') : got.digest('hex') === '$SUM'
                if (!good) console.log('request', n, 'is not what was sent')
                if (--left === 0) process.exit()
            })
        }).on('error', error => { console.log('request', n, error.message); process.exit(1) }).end(n % 2 ? sent : undefined)
    }
}
END
cat >told.py <<END
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Told(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body)
    def answer(self, body):
        # What any server could take for the field.
        told = [value for name, value in self.headers.items() if name.lower().replace("_", "-") == "x-forwarded-client-cert"]
        text = ("%d %s %s\n" % (len(told), ", ".join(told), hashlib.sha256(body).hexdigest())).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
ThreadingHTTPServer(("$HOST", $TOLD), Told).serve_forever()
END
as_server python3 told.py >told.out 2>&1 &
as_server node node.js serve >node.out 2>&1 &
as_server iperf3 -s -B $HOST -p $IPERF >iperf.out 2>&1 &
as_server initdb -D $WORK/sql -U servers --no-sync -A trust >initdb.out 2>&1
as_server postgres -D $WORK/sql -p $SQL -h $HOST -k '' -c fsync=off >postgres.out 2>&1 &
for port in $NGINX $REDIS $ECHO $SSH $RELAY $SQL $IPERF $NODE $TOLD; do
    listening $port || echo "fail set-up: nothing listens on port $port: $(tail -n 2 ./*.out | tr '\n' ' ')"
done

# ---- clients: each prints why it fails --------------------------------------------------------------

curl_gets_pages() {
    as_client curl -sS -m 60 http://$HOST:$NGINX/large -o got.1 http://$HOST:$NGINX/small -o got.2 http://$HOST:$NGINX/large -o got.3 || return
    [ "$(sum_of got.1)" = "$SUM" ] && [ "$(cat got.2)" = small ] && [ "$(sum_of got.3)" = "$SUM" ] || echo "not what was sent"
}
curl_at_once() {
    as_client curl -sS -m 120 -Z --parallel-max 20 -o "part.#1" "http://$HOST:$NGINX/small?[1-60]" 2>curl.err || { tail -n 1 curl.err; return; }
    [ "$(cat part.* | sort | uniq -c | tr -s ' ')" = " 60 small" ] || echo "only $(cat part.* | grep -c small) of 60 pages"
    rm -f part.*
}
wget_resumes() {
    head -c 1000000 pages/large >got.wget && chown 2002 got.wget
    as_client wget -q -T 60 -c -O got.wget http://$HOST:$NGINX/large || return
    [ "$(sum_of got.wget)" = "$SUM" ] || echo "not what was sent"
}
redis_benchmark() {
    as_client redis-benchmark -h $HOST -p $REDIS -q -n 1500 -c 25 -P 4 -d 300 -t ping,set,get,lpush >bench.txt 2>&1 || tail -n 3 bench.txt
    grep -i 'error' bench.txt
    [ "$(tr '\r' '\n' <bench.txt | grep -c 'requests per second')" -ge 4 ] || echo "it did not finish: $(tail -c 200 bench.txt)"
}
redis_keeps_values() {
    as_client redis-cli -h $HOST -p $REDIS -x set page <pages/large >/dev/null || return
    as_client redis-cli -h $HOST -p $REDIS --raw get page | head -c 3000000 >got.redis
    [ "$(sum_of got.redis)" = "$SUM" ] || echo "not what was sent"
}
cat >streams.py <<END
import asyncio, hashlib, os
async def one(n):
    reader, writer = await asyncio.open_connection("$HOST", $ECHO)
    sent, got = hashlib.sha256(), hashlib.sha256()
    async def send():
        for _ in range(8):
            data = os.urandom(1 + n * 997)
            sent.update(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    async def receive():
        while data := await reader.read(10000):
            got.update(data)
    await asyncio.gather(send(), receive())
    writer.close()
    assert sent.digest() == got.digest(), n
async def main():
    await asyncio.gather(*(one(n) for n in range(30)))
asyncio.run(main())
END
asyncio_streams() { as_client timeout 120 python3 streams.py 2>&1 | tail -n 1; }
SSH_OPTIONS="-F none -i user.key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
ssh_carries() {
    as_client ssh $SSH_OPTIONS -p $SSH servers@$HOST "cat $WORK/pages/large" >got.ssh || return
    [ "$(sum_of got.ssh)" = "$SUM" ] || echo "not what was sent"
    [ "$(as_client ssh $SSH_OPTIONS -p $SSH servers@$HOST sha256sum <pages/large)" = "$SUM  -" ] || echo "not what was sent there"
}
scp_copies() {
    as_client scp -q $SSH_OPTIONS -P $SSH servers@$HOST:$WORK/pages/large got.scp || return
    [ "$(sum_of got.scp)" = "$SUM" ] || echo "not what was sent"
}
socat_relays() {
    rm -f relayed
    as_client socat -u OPEN:pages/large TCP:$HOST:$RELAY || return
    whole() { [ "$(stat -c %s relayed 2>/dev/null)" = 3000000 ]; }
    eventually whole
    [ "$(sum_of relayed)" = "$SUM" ] || echo "not what was sent"
}
SQL_OPTIONS="-h $HOST -p $SQL -U servers"
pgbench_balances() {
    as_client pgbench $SQL_OPTIONS -i -q -s 1 postgres >pgbench.txt 2>&1 || { tail -n 2 pgbench.txt; return; }
    as_client pgbench $SQL_OPTIONS -c 6 -j 2 -t 40 postgres >pgbench.txt 2>&1 || { tail -n 2 pgbench.txt; return; }
    grep -q 'actually processed: 240/240' pgbench.txt || tail -n 3 pgbench.txt
    sums='select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history) and (select count(*) from pgbench_history) = 240'
    [ "$(as_client psql $SQL_OPTIONS -At -c "$sums" postgres)" = t ] || echo "the books do not balance"
}
psql_copies() {
    as_client psql $SQL_OPTIONS -q -c 'drop table if exists lines; create table lines (line text)' postgres 2>/dev/null || return
    xxd -p -c 100 pages/large >lines.txt
    as_client psql $SQL_OPTIONS -q -c '\copy lines from lines.txt' -c '\copy lines to stdout' postgres | cmp - lines.txt
}
iperf_both_ways() {
    as_client iperf3 -c $HOST -p $IPERF -n 8M -P 2 >iperf.txt 2>&1 || { tail -n 1 iperf.txt; return; }
    as_client iperf3 -c $HOST -p $IPERF -n 8M -R >iperf.txt 2>&1 || tail -n 1 iperf.txt
}
wrk_hurries() {
    as_client wrk -t 2 -c 50 -d 3s --timeout 30s http://$HOST:$NGINX/small >wrk.txt 2>&1 || { tail -n 2 wrk.txt; return; }
    grep 'Socket errors\|Non-2xx' wrk.txt
    grep -q 'Requests/sec: *[1-9]' wrk.txt || tail -n 2 wrk.txt
}
node_streams() { as_client timeout 120 node node.js 2>&1 | head -n 2; }
# A server is told who calls, in every request of a connection, whatever the caller says of itself.
caller_is_told() {
    local url=http://$HOST:$TOLD/ lie='X-Forwarded-Client-Cert: By=spiffe://example.org/servers;URI=spiffe://example.org/admin'
    local who='1 By=spiffe://example.org/servers;Hash=[0-9a-f]{64};URI=spiffe://example.org/clients'
    local none; none=$(sum_of /dev/null)
    as_client curl -sS -m 60 -H "$lie" -H "${lie//-/_}" $url $url --next -sS --data-binary @pages/large -H "$lie" $url \
        --next -sS -X POST -T pages/large -H 'Transfer-Encoding: chunked' -H "$lie" $url >told.txt || return
    [ "$(grep -cE "^$who $none$" told.txt)" = 2 ] && [ "$(grep -cE "$who $SUM$" told.txt)" = 2 ] || tail -n 4 told.txt
}
# What servers might read differently does not reach one.
smuggling_is_refused() {
    local after; after=$(tidelock -o json events | tail -n 1 | sed 's/^{"seq":\([0-9]*\).*/\1/')
    printf 'GET / HTTP/1.1\nHost: told\nX-Forwarded-Client-Cert: me\n\n' | as_client socat -t 10 - TCP:$HOST:$TOLD >smuggled.txt 2>&1
    grep HTTP smuggled.txt
    refusal() { tidelock -o json events --after "$after" | grep -q 'ends without a carriage return'; }
    eventually refusal || echo "no event says why"
}
nobody_else() {
    curl -sS -m 20 http://$HOST:$NGINX/small >stranger.txt 2>&1 && echo "root is served, who has no identity"
    grep -q . stranger.txt || echo "no word of the refusal"
}

flows() { tidelock -o json events | grep -c '"what":"flow-opened".*spiffe://example.org/servers'; }
for what in curl_gets_pages curl_at_once wget_resumes redis_benchmark redis_keeps_values asyncio_streams ssh_carries \
    scp_copies socat_relays pgbench_balances psql_copies iperf_both_ways wrk_hurries node_streams \
    caller_is_told smuggling_is_refused nobody_else; do
    for round in $(seq "$ROUNDS"); do
        start=$EPOCHREALTIME
        why=$($what 2>&1) && [ -z "$why" ] && { echo "pass ${what//_/ }, round $round"; continue; }
        echo "fail ${what//_/ }, round $round: $(tail -n 3 <<<"$why" | tr '\n' ' ')"
    done
    echo "  ${what//_/ }: $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") s for the last round"
done
opened=$(flows)
[ "$opened" -gt 200 ] && echo "pass governed: $opened ends of flows" || echo "fail governed: only $opened ends of flows were opened"
mkdir -p /lab/out && cp ./*.out ./*.log ./*.txt /lab/out/ 2>/dev/null
