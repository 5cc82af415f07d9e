#!/bin/bash
# Unmodified programs talk mutual TLS: nothing of it is in clear on the wire, over IPv4 and IPv6.
# bound: 300
. /lab/scenes/lib.sh
. /lab/scenes/lib-capture.sh
CONTROL=$((PORT + 9))

{ identity web 2001 "$PYTHON"
  identity browser 2002 "$CURL"
  service web web "$SERVER_IP:$PORT" "[$SERVER_IP6]:$PORT"
  permit browsing browser web; } >documents.yaml
make_page "$SCENE_DIR/pages" 20000
apply documents.yaml

capture wire "$LINK" "tcp portrange $PORT-$CONTROL"
say "an ungoverned transfer first, in the same capture: what is searched for can be found"
control_transfer "$SCENE_DIR/pages" "$CONTROL"

web4=$(serve $SERVER_NODE web4 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web4"
web6=$(serve $SERVER_NODE web6 2001 "$SCENE_DIR/pages" "$SERVER_IP6" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web6"

for ip in "$SERVER_IP" "[$SERVER_IP6]"; do
    say "curl http://$ip:$PORT/$PAGE"
    $(as 2002 "$CURL") -sS -m 90 -w '%{time_connect} %{time_total}\n' -o got.txt "http://$ip:$PORT/$PAGE" >times.txt ||
        fail "curl did not get the page from $ip"
    cmp got.txt "pages/$PAGE" || fail "curl got another page from $ip"
done
figure connect "$(awk '{ print $1 * 1000 }' times.txt)" ms
figure page "$(awk '{ print $2 * 1000 }' times.txt)" ms

say "the records of a flow, at both ends, while it lives"
# More than the buffers between the two programs hold, so that neither has done with it.
on $SERVER_NODE "truncate -s 64M $SCENE_DIR/pages/large"
$(as 2002 "$CURL") -sS -m 200 --limit-rate 50k -o /dev/null "http://$SERVER_IP:$PORT/large" &
large=$!
at_end "kill $large 2>/dev/null; true"
client_record() { flow a role=client "local_id=$TRUST$NAME/browser " "peer_id=$TRUST$NAME/web " "service=$SCENE-web "; }
server_record() { flow $SERVER_NODE role=server "local_id=$TRUST$NAME/web " "peer_id=$TRUST$NAME/browser "; }
eventually 25 client_record || fail "the client's record does not name the server"
eventually 20 server_record || fail "the server's record does not name the client"
shown() { [ "$(tidelock -o json get flows | grep -o "\"server_id\":\"$TRUST$NAME/web\"" | wc -l)" -ge 2 ]; }
eventually 20 shown || fail "\`tidelock get flows\` does not show both ends"
tidelock get flows
kill $large
wait $large

end_capture wire
check_wire wire $CONTROL --governed "$PORT" --connections 3
pass "the page came over IPv4 and IPv6; on the wire: $(cat wire.wire)"
