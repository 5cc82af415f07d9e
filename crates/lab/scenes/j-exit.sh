#!/bin/bash
# When a process ends, its grant and its flows are gone within a second, whoever holds its descriptors.
# bound: 240
. /lab/scenes/lib.sh
LIMIT=1000
SPEAK=$SCENE_TOOLS/speak

{ identity echo 2001 "$SPEAK"
  identity holder 2002 "$SPEAK"
  identity giver 2003 "$PYTHON"
  service echo echo "127.0.0.1:$PORT"
  permit holding holder echo
  permit giving giver echo; } >documents.yaml
apply documents.yaml
server=$(start a echo "$(as 2001 "$SPEAK") accept 127.0.0.1 $PORT") && listening a "$PORT" "$server" || abort "the server does not run"
at_end "stop a $server"
subjects=$(status_of a subjects)
# One connection at first, so that all that is made once is made.
$(as 2002 "$SPEAK") ask 127.0.0.1 "$PORT" hello || fail "the service does not answer"
settled() { [ "$(status_of a handshakes)" = 0 ] && [ "$(status_of a subjects)" = "$subjects" ]; }
eventually 20 settled || fail "an ended process still counts: $(cat $STATUS)"
arenas=$(status_of a arenas)

say "a process with a live flow is killed"
before=$(last_event)
holder=$(start a holder "$(as 2002 "$SPEAK") hold 127.0.0.1 $PORT")
at_end "kill $holder 2>/dev/null; true"
record() { flow a role=client "pid=$holder " "local_id=$TRUST$NAME/holder "; }
eventually 60 record || fail "its flow does not open: $(cat holder.log)"
granted() { tidelock -o json get identities | grep "\"pid\":$holder," >/dev/null; }
eventually 20 granted || fail "its grant is not shown"
killed=$(now_ms)
kill -9 "$holder"
unrecorded() { ! record >/dev/null; }
eventually 5 unrecorded || fail "its flow lives on: $(record)"
expect_event "$before" '"what":"grant-ended"' "\"identity\":\"$SCENE-holder\"" >/dev/null
ended=$(($(event_ms) - killed))
expect_event "$before" '"what":"flow-closed"' '"reason":"(exited|local_closed)"' >/dev/null
closed=$(($(event_ms) - killed))
figure exit_to_grant_gone $ended ms
figure exit_to_flow_closed $closed ms
[ $ended -le $LIMIT ] && [ $closed -le $LIMIT ] || fail "it took more than $LIMIT ms"
granted && fail "its grant is still shown"
eventually 5 settled || fail "the kernel still counts it: $(cat $STATUS)"

say "a process gives its flow away and is killed: what it gave is cut"
python3 -u /lab/scenes/tools/stranger.py "$SCENE_DIR/gift.sock" >stranger.txt 2>&1 3>&- &
stranger=$!
at_end "kill $stranger 2>/dev/null; true"
has_socket() { [ -S gift.sock ]; }
eventually 60 has_socket || fail "the stranger does not wait"
chmod 777 gift.sock
giver=$(start a giver "$(as 2003 "$PYTHON") /lab/scenes/tools/giver.py $SCENE_DIR/gift.sock 127.0.0.1 $PORT")
at_end "kill $giver 2>/dev/null; true"
given() { grep -q 'echo ok' stranger.txt; }
eventually 60 given || fail "the stranger does not get a flow that works: $(cat stranger.txt giver.log)"
killed=$(now_ms)
kill -9 "$giver"
cut() { grep -q '^[0-9]* end ' stranger.txt; }
eventually 10 cut || fail "what it gave away lives on"
cat stranger.txt
read -r at _ how <<<"$(grep '^[0-9]* end ' stranger.txt)"
figure exit_to_given_flow_cut $((at - killed)) ms
[ "$how" = ECONNRESET ] || fail "what it gave away ended with $how"
[ $((at - killed)) -le $LIMIT ] || fail "it took more than $LIMIT ms"

say "nothing of them is left; without its identity, the key goes too"
eventually 10 settled || fail "the kernel still counts it: $(cat $STATUS)"
same() { [ "$(status_of a arenas)" = "$arenas" ]; }
eventually 10 same || fail "$(status_of a arenas) arenas are in use, $arenas were before"
tidelock delete WorkloadIdentity "$SCENE-giver" || fail "the identity was not deleted"
fewer() { [ "$(status_of a arenas)" -lt "$arenas" ]; }
eventually 20 fewer || fail "the key of a deleted identity is still there"
pass "grant gone after $ended ms, flow closed after $closed ms, a flow given away cut after $((at - killed)) ms"
