#!/bin/bash
# SVIDs are renewed under a transfer that lasts longer than they do; who connects next uses the newest.
# bound: 300
. /lab/scenes/lib.sh
. /lab/scenes/lib-capture.sh
CONTROL=$((PORT + 9))
ROTATIONS=3
SPEAK=$SCENE_TOOLS/speak

# The shortest life there is: the agent renews at half of it, by its own timer.
{ TTL=10s identity web 2001 "$PYTHON"
  TTL=10s identity reader 2002 "$SPEAK"
  service web web "$SERVER_IP:$PORT"
  permit reading reader web; } >documents.yaml
make_page "$SCENE_DIR/pages" 60000
first=$(last_event)
apply documents.yaml
web=$(serve $SERVER_NODE web 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web"
capture wire "$LINK" "tcp portrange $PORT-$CONTROL"
control_transfer "$SCENE_DIR/pages" "$CONTROL"

# The serials of the SVIDs that were installed for the client on this node, oldest first.
serials() {
    events_after "$1" | grep '"what":"svid-installed"' | grep '"node":"node-a"' | grep "$TRUST$NAME/reader\"" |
        sed 's/.*"serial":"\([0-9A-F]*\)".*/\1/'
}
# What the client's end of its live flow began with.
flow_serial() { flow a role=client "local_id=$TRUST$NAME/reader " | sed -n 's/.* local_serial=\([0-9A-Fa-f]*\).*/\U\1/p' | tail -n 1; }
has_flow() { [ -n "$(flow_serial)" ]; }

say "a transfer that outlives its SVIDs"
bytes=$(stat -c %s "pages/$PAGE")
$(as 2002 "$SPEAK") slow "$SERVER_IP" "$PORT" "/$PAGE" $((bytes / 250)) >long.txt 2>long.err 3>&- &
long=$!
at_end "kill $long 2>/dev/null; true"
eventually 60 has_flow || fail "the transfer does not get going: $(cat long.err)"
began=$(flow_serial)
from=$(last_event)
start=$(now_ms)
rotated() { [ "$(serials "$from" | sort -u | wc -l)" -ge $ROTATIONS ]; }
eventually 120 rotated || fail "only $(serials "$from" | sort -u | wc -l) rotations during the transfer"
figure three_rotations $(($(now_ms) - start)) ms
running() { ! grep -q ' then ' long.err; }
running || fail "the transfer ended before the third rotation: $(cat long.err)"
serials "$first"
[ "$(serials "$first" | sort | uniq -d | wc -l)" = 0 ] || fail "a serial number was used twice"
serials "$from" >since.txt
grep -qx "$began" since.txt && fail "a rotation brought the serial that the flow began with"
[ "$(flow_serial)" = "$began" ] || fail "the live flow changed its SVID"

say "the next connection, while the transfer goes on"
next_serial() { flow a role=client "local_id=$TRUST$NAME/reader " | sed -n 's/.* local_serial=\([0-9A-Fa-f]*\).*/\U\1/p' | grep -vx "$began" | tail -n 1; }
newest=$(serials "$from" | tail -n 1)
$(as 2002 "$SPEAK") slow "$SERVER_IP" "$PORT" "/$PAGE" $((bytes / 250)) >next.txt 2>next.err 3>&- &
next=$!
at_end "kill $next 2>/dev/null; true"
has_next() { [ -n "$(next_serial)" ]; }
eventually 25 has_next || fail "the next connection does not use a new SVID: $(cat next.err)"
used=$(next_serial)
# A renewal may have come between the two looks.
serials "$from" | sed -n "/^$newest\$/,\$p" >newest.txt
grep -qx "$used" newest.txt ||
    fail "the next connection used $used, not the newest, $newest"
kill $next
wait $next
running || fail "the transfer ended before the next connection was made"
hurry 2002
wait $long || fail "the transfer did not survive the rotations: $(cat long.err)"
[ "$(digest long.txt)" = "$(digest "pages/$PAGE")" ] || fail "the transfer is not what was sent"
count=$(serials "$first" | sort -u | wc -l)
figure svids "$count" serials

end_capture wire
check_wire wire $CONTROL --governed "$PORT" --connections 2
pass "$(serials "$from" | sort -u | wc -l) rotations during one transfer, all serials distinct; the next connection used the newest"
