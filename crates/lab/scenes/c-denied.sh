#!/bin/bash
# Who may not talk gets an error from connect(), and nothing of what they would have said leaves.
# bound: 420
. /lab/scenes/lib.sh
. /lab/scenes/lib-capture.sh
. /lab/scenes/lib-rogue.sh
CONTROL=$((PORT + 9))
SPEAK=$SCENE_TOOLS/speak

# Narrows permits to those who run that file, where that is known.
running() {
    local is="context.client has sha256 \&\& context.client.sha256 == \"$(program_digest "$1")\""
    sed "s/);/) when { if context has client then $is else true };/"
}

{ identity web 2001 "$PYTHON"
  identity browser 2002 "$CURL"
  identity impostor 2003 "$PYTHON"
  identity script 2004 "$PYTHON" "unix:script:$SCENE_DIR/named.py"
  identity nobody 2005 "$CURL"
  identity speaker 2006 "$SPEAK"
  service web web "$SERVER_IP:$PORT"
  service far web "$ROGUE_IP:$PORT"
  permit browsing browser web | running "$CURL"
  permit elsewhere nobody web | running "$PYTHON"
  permit scripting script web
  permit lag speaker web
  permit far browser far
  permit refused speaker far; } >documents.yaml
cat >named.py <<'END'
import errno, socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    s.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
    print("answer", s.recv(4096)[9:12].decode())
except OSError as e:
    print("connect", errno.errorcode.get(e.errno, e))
END
cp named.py other.py
make_page "$SCENE_DIR/pages" 100
# A request so large that no other message could hold it.
LONG=$PAGE-$(printf '%08000d' 0)
for node in $NODES; do on "$node" "echo hello >$SCENE_DIR/pages/hello.txt"; done
apply documents.yaml
rogue_network

# capture and transfers of one server at a time, so that each question has a capture of its own.
capture wire "$LINK" "tcp portrange $PORT-$CONTROL"
control_transfer "$SCENE_DIR/pages" "$CONTROL"
web=$(serve $SERVER_NODE web 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web"

say "those who are permitted are served"
url=http://$SERVER_IP:$PORT/hello.txt
$(as 2002 "$CURL") -sS -m 60 -o /dev/null "$url" || fail "curl is not served, though it is permitted"
$(as 2004 "$PYTHON") named.py "$SERVER_IP" "$PORT" >named.txt
grep -q 'answer 200' named.txt || fail "the named script is not served: $(cat named.txt)"

# denied WHAT UID REASON COMMAND…: its connect() fails with EACCES, and an event says why.
denied() {
    local what=$1 uid=$2 reason=$3 before
    shift 3
    before=$(last_event)
    say "$what"
    $(as "$uid" "$@") >denied.txt 2>&1 && fail "$what: it was served"
    grep -q 'Permission denied\|connect EACCES' denied.txt || fail "$what: not EACCES: $(grep -v '^ ' denied.txt | tail -n 2)"
    expect_event "$before" '"what":"denied"' "\"reason\":\"$reason\"" "\"uid\":$uid," >/dev/null
    say "  EACCES, and an event: $(tidelock events --after "$before" | grep ' denied ' | tail -n 1 | cut -c41-200)"
}
denied "another program" 2002 no_identity "$(readlink -f /usr/bin/wget)" -t 1 -T 60 -O /dev/null "$url"
denied "the same program under another uid" 2999 no_identity "$CURL" -sv -m 60 -o /dev/null "$url"
before=$(last_event)
say "a script that the identity does not name"
$(as 2004 "$PYTHON") other.py "$SERVER_IP" "$PORT" >other.txt
grep -q '^connect EACCES' other.txt || fail "the other script: $(cat other.txt)"
expect_event "$before" '"what":"denied"' '"reason":"not_granted"' '"uid":2004,' >/dev/null
denied "an identity without a permission" 2005 no_permit "$CURL" -sv -m 60 -o /dev/null "$url"
grep -q 'no permit matched' event.json || fail "the event does not say \`no permit matched\`"
end_capture wire
check_wire wire $CONTROL --governed "$PORT" --connections 2

say "policies that are only observed change nothing, and events tell what they would have changed"
{ permit trying nobody web | sed 's/^spec:/&\n  mode: observe/'
  permit tried browser web | sed 's/^spec:/&\n  mode: observe/; s/permit (/forbid (/'
  for end in client:2002 server:2001 client:2001 server:2002; do
      permit "${end/:/-}" browser web | sed "s/^spec:/&\n  mode: observe/; s/permit (/forbid (/
          s/);/) when { context has ${end%:*} \&\& context.${end%:*}.uid == ${end#*:} };/"
  done; } >observed.yaml
apply observed.yaml
before=$(last_event)
$(as 2002 "$CURL") -sS -m 60 -o /dev/null "$url" || fail "curl is not served, though what forbids it is only observed"
# One for both ends, and one for each end's own process; in no order.
for role in client:2002 server:2001; do
    expect_event "$before" '"what":"observed"' '"reason":"would_deny"' "\"role\":\"${role%:*}\"" \
        "\"detail\":\"($SCENE-tried, $SCENE-${role/:/-}|$SCENE-${role/:/-}, $SCENE-tried)\"" >/dev/null
done
denied "an identity with nothing but an observed permission" 2005 no_permit "$CURL" -sv -m 60 -o /dev/null "$url"
expect_event "$before" '"what":"observed"' '"reason":"would_permit"' '"uid":2005,' "\"detail\":\"$SCENE-trying\"" >/dev/null
events_after "$before" | grep '"what":"observed"' | grep '"uid":2004,' >/dev/null && fail "it tells of whom no observed policy concerns"
tidelock events --after "$before" | grep ' observed ' | cut -c41-200

say "a workload with an identity of the same trust domain, at the service's address, that may not serve it"
stop $SERVER_NODE "$web"
before=$(last_event)
impostor=$(serve $SERVER_NODE impostor 2003 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the impostor does not run"
at_end "stop $SERVER_NODE $impostor"
capture impostor "$LINK" "tcp portrange $PORT-$CONTROL"
control_transfer "$SCENE_DIR/pages" "$CONTROL"
$(as 2002 "$CURL") -sv -m 60 -o /dev/null "http://$SERVER_IP:$PORT/$LONG" 2>impostor.err && fail "the impostor's page was taken"
grep -qi 'failed\|refused\|denied\|reset' impostor.err || fail "curl says: $(tail -n 2 impostor.err)"
expect_event "$before" '"what":"denied"' '"reason":"not_a_server"' >/dev/null
on $SERVER_NODE "cat $SCENE_DIR/impostor.log" | grep GET >/dev/null && fail "the impostor got the request"
end_capture impostor
check_wire impostor $CONTROL --governed "$PORT" --client-at-most 200

say "the same, by a machine that plays by no rules and holds a valid SVID and its key"
before=$(last_event)
rogue_svid rogue "$TRUST$NAME/rogue"
capture rogue "$ROGUE_LINK" "tcp portrange $PORT-$CONTROL"
rogue_control "$SCENE_DIR/pages" "$CONTROL"
rogue_serve rogue "$PORT"
$(as 2002 "$CURL") -sv -m 60 -o /dev/null "http://$ROGUE_IP:$PORT/$LONG" 2>rogue.err && fail "the rogue's answer was taken"
grep -q 'Permission denied' rogue.err || fail "not EACCES: $(grep -v '^ ' rogue.err | tail -n 2)"
expect_event "$before" '"what":"denied"' '"reason":"not_a_server"' '"role":"client"' "\"peer_id\":\"$TRUST$NAME/rogue\"" >/dev/null
rogue_stop
grep -q "$MARKER" rogue.got && fail "the rogue got the request"
end_capture rogue
check_wire rogue $CONTROL --governed "$PORT" --client-at-most 200

say "a server that refuses, after the client has proved itself"
before=$(last_event)
rogue_svid honest "$TRUST$NAME/web"
capture refusal "$ROGUE_LINK" "tcp portrange $PORT-$CONTROL"
rogue_control "$SCENE_DIR/pages" "$CONTROL"
rogue_serve honest "$PORT" refusing
$(as 2006 "$SPEAK") get "$ROGUE_IP" "$PORT" "/$LONG" >refused.txt 2>&1
rogue_stop
[ "$(connect_error refused.txt)" = ECONNREFUSED ] || fail "the server's refusal is not ECONNREFUSED: $(cat refused.txt)"
expect_event "$before" '"what":"denied"' '"reason":"peer_refused"' '"uid":2006,' >/dev/null
end_capture refusal
check_wire refusal $CONTROL --governed "$PORT" --client-at-most 4000

[ -z "$SCENE_PAIR" ] || . /lab/scenes/c-policy-lag.sh
pass "EACCES to whoever has no identity or no permission; an impostor gets nothing; a server's refusal is ECONNREFUSED"
