#!/bin/bash
# Taking one permission away resets the flow that lived by it, at once, and no other. So does revoking one identity's SVIDs.
# bound: 300
. /lab/scenes/lib.sh
. /lab/scenes/lib-capture.sh
CONTROL=$((PORT + 9))
SPEAK=$SCENE_TOOLS/speak

{ identity web 2001 "$PYTHON"
  identity one 2002 "$SPEAK"
  identity two 2003 "$SPEAK"
  service web web "$SERVER_IP:$PORT"; } >documents.yaml
both() { permit both one web; permit both two web | sed -n '/cedar: /,$p' | sed 1d | sed 's/@id.*/@id("d-second")/'; }
both >both.yaml
permit both two web >only-two.yaml
make_page "$SCENE_DIR/pages" 60000
RATE=$(($(stat -c %s "pages/$PAGE") / 200))
apply documents.yaml both.yaml
web=$(serve $SERVER_NODE web 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web"

capture wire "$LINK" "tcp portrange $PORT-$CONTROL"
control_transfer "$SCENE_DIR/pages" "$CONTROL"

# transfer NAME UID RATE: its exit status and the time of its end are in NAME.end.
transfer() {
    $(as "$2" "$SPEAK") slow "$SERVER_IP" "$PORT" "/$PAGE" "$3" >"$1.txt" 2>"$1.err" 3>&-
    echo "$? $(now_ms)" >"$1.end"
}
alive() { [ "$(stat -c %s "$1.txt" 2>/dev/null || echo 0)" -gt 10000 ]; }
say "two live transfers, by two identities"
transfer one 2002 "$RATE" &
transfer two 2003 $((RATE / 2)) &
eventually 60 alive one || fail "the first transfer does not get going"
eventually 60 alive two || fail "the second transfer does not get going"

say "tidelock apply, without the first one's permission"
before=$(last_event)
[ -e one.end ] && fail "the first transfer ended too early"
start=$(now_ms)
tidelock apply -f only-two.yaml || fail "the edit was not applied"
answered=$(now_ms)
eventually 15 test -e one.end || fail "the first transfer goes on without permission"
read -r status ended <one.end
cat one.err
grep -q 'then ECONNRESET$' one.err || fail "the first transfer was not reset: $(tail -n 1 one.err)"
figure apply_to_effect $((ended - start)) ms
figure apply_answered $((answered - start)) ms
[ -e two.end ] && fail "the second transfer ended too early: $(cat two.err)"
expect_event "$before" '"what":"flow-closed"' '"reason":"policy_changed"' >/dev/null
transfer again 2002 10000000
[ "$(connect_error again.err)" = EACCES ] || fail "a new connection of the first was not refused: $(tail -n 1 again.err)"
expect_event "$before" '"what":"denied"' 'no permit matched' "\"local_id\":\"$TRUST$NAME/one\"" >/dev/null

say "the permission comes back while the second transfer goes on"
tidelock apply -f both.yaml >applied.txt || fail "the permission was not restored"
why=$(enforced "$(sed -n 's/^generation //p' applied.txt)") || fail "$why"
transfer restored 2002 100000000
read -r status _ <restored.end
[ "$status" = 0 ] || fail "the first is not served again: $(tail -n 1 restored.err)"
say "tidelock revoke identity, of the first one"
transfer revoked 2002 "$RATE" &
eventually 60 alive revoked || fail "the first does not get going again"
[ -e two.end ] && abort "the second transfer ended too early: $(cat two.err)"
before=$(last_event)
start=$(now_ms)
tidelock revoke identity "$TRUST$NAME/one" --reason "scene d" || fail "the identity was not revoked"
eventually 15 test -e revoked.end || fail "the first transfer goes on with a revoked SVID"
read -r status ended <revoked.end
grep -q 'then ECONNRESET$' revoked.err || fail "the first transfer was not reset: $(tail -n 1 revoked.err)"
figure revoke_to_effect $((ended - start)) ms
[ -e two.end ] && fail "the second transfer ended too early: $(cat two.err)"
expect_event "$before" '"what":"flow-closed"' '"reason":"peer_revoked"' >/dev/null
transfer anew 2002 100000000
read -r status _ <anew.end
[ "$status" = 0 ] || fail "the first is not served with a new SVID: $(tail -n 1 anew.err)"
[ -e two.end ] && fail "the second transfer ended too early: $(cat two.err)"
hurry 2003
eventually 200 test -e two.end || fail "the second transfer does not end"
read -r status _ <two.end
[ "$status" = 0 ] || fail "the second transfer ended with status $status: $(cat two.err)"
sum=$(digest "pages/$PAGE")
[ "$(digest two.txt)" = "$sum" ] || fail "the second transfer is not what was sent"
[ "$(digest restored.txt)" = "$sum" ] || fail "the transfer after the permission came back is not what was sent"

end_capture wire
check_wire wire $CONTROL --governed "$PORT" --connections 5
pass "one flow was reset after an edit and one after a revocation, the other completed with the right checksum"
