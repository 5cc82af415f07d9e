#!/bin/bash
# Without an agent what was granted goes on, nothing new is granted, and who is not governed notices nothing.
# bound: 420
. /lab/scenes/lib.sh
. /lab/scenes/lib-capture.sh
. /lab/scenes/lib-agent.sh
CONTROL=$((PORT + 9)) SSH=$((PORT + 20))
SPEAK=$SCENE_TOOLS/speak

{ identity web 2001 "$PYTHON"
  identity stays 2002 "$SPEAK"
  identity fresh 2003 "$SPEAK"
  identity slow 2004 "$SPEAK"
  service web web "127.0.0.1:$PORT"
  permit stays stays web
  permit fresh fresh web
  permit slow slow web; } >documents.yaml
make_page "$SCENE_DIR/pages" 60000
apply documents.yaml

say "sshd, which is not governed"
ssh-keygen -q -t ed25519 -N '' -f host.key && ssh-keygen -q -t ed25519 -N '' -f user.key && cp user.key.pub authorized
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f /dev/null -p "$SSH" -h "$SCENE_DIR/host.key" -o "AuthorizedKeysFile=$SCENE_DIR/authorized" \
    -o PermitRootLogin=yes -o StrictModes=no -o ListenAddress=127.0.0.1 -o UsePAM=no 2>sshd.log 3>&- &
sshd=$!
at_end "kill $sshd 2>/dev/null; true"
listening a "$SSH" $sshd || abort "sshd does not run: $(cat sshd.log)"
ssh_options="-F none -i user.key -p $SSH -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
log_in() { [ "$(ssh $ssh_options root@127.0.0.1 "echo $1" 2>ssh.err)" = "$1" ] || fail "ssh: $(tail -n 1 ssh.err)"; }
mkfifo session
ssh $ssh_options root@127.0.0.1 cat <session >session.txt 2>&1 3>&- &
at_end "kill $! 2>/dev/null; true"
exec 5>session
echo before >&5
in_session() { grep -qx "$1" session.txt; }
eventually 90 in_session before || fail "ssh: $(cat session.txt)"

capture wire lo "tcp portrange $PORT-$CONTROL"
control_transfer "$SCENE_DIR/pages" "$CONTROL"
web=$(serve a web 2001 "$SCENE_DIR/pages" 127.0.0.1 "$PORT") || abort "the web server does not run"
at_end "stop a $web"
mkfifo orders
$(as 2002 "$SPEAK") lines 127.0.0.1 "$PORT" "/$PAGE" <orders >stays.txt 2>&1 3>&- &
at_end "kill $! 2>/dev/null; true"
exec 4>orders
served() { [ "$(grep -c 'page ok' stays.txt)" -ge "$1" ]; }
echo go >&4
eventually 60 served 1 || fail "a granted process is not served: $(cat stays.txt)"
bytes=$(stat -c %s "pages/$PAGE")
$(as 2004 "$SPEAK") slow 127.0.0.1 "$PORT" "/$PAGE" $((bytes / 250)) >slow.txt 2>slow.err 3>&- &
slow=$!
at_end "kill $slow 2>/dev/null; true"
going() { [ "$(stat -c %s slow.txt 2>/dev/null || echo 0)" -gt 0 ]; }
eventually 60 going || fail "the slow transfer does not get going"

say "kill -9"
at_end restore_tidelock
kill_agent KILL
grep -q ' then ' slow.err && fail "the slow transfer ended before or when the agent was killed: $(cat slow.err)"

say "a process that has its grant goes on, with new connections too"
echo go >&4
eventually 60 served 2 || fail "a granted process is not served any more: $(tail -n 2 stays.txt)"
say "a new process is refused"
start=$(now_ms)
$(as 2003 "$SPEAK") get 127.0.0.1 "$PORT" "/$PAGE" >fresh.txt 2>&1
[ "$(connect_error fresh.txt)" = EACCES ] || fail "a new process was not refused: $(cut -d' ' -f2- fresh.txt | paste -sd';')"
figure refused_after $(($(now_ms) - start)) ms
say "sshd notices nothing, in a session that lasts and in a new one"
echo after >&5
eventually 30 in_session after || fail "the ssh session that was open is dead"
log_in "new"

say "a new agent"
start_agent || fail "the agent does not start again"
back() { $(as 2003 "$SPEAK") get 127.0.0.1 "$PORT" "/$PAGE" >back.txt 2>&1; }
start=$(now_ms)
eventually 60 back || fail "a new process is not served with the new agent: $(cat back.txt)"
figure restart_to_served $(($(now_ms) - start)) ms
echo go >&4
eventually 60 served 3 || fail "the granted process is not served with the new agent: $(tail -n 2 stays.txt)"
grep -q ' then ' slow.err && fail "the slow transfer ended while there was no agent: $(cat slow.err)"
hurry 2004
wait $slow || fail "the slow transfer failed: $(cat slow.err)"
cmp slow.txt "pages/$PAGE" || fail "the slow transfer is not whole"
exec 4>&- 5>&-
end_capture wire
check_wire wire $CONTROL --governed "$PORT" --connections 5

say "the agent hangs while someone knocks at the service again and again: it misses some of the refusals, and nothing else"
before=$(last_event)
at_end "pkill -CONT -x tidelock-agent"
pkill -STOP -x tidelock-agent
knock() { $(as 2009 "$PYTHON") /lab/scenes/tools/knock.py 127.0.0.1 "$PORT" "$1"; }
[ "$(knock 3000)" = "3000 EACCES" ] || fail "not everyone who knocked got EACCES"
$(as 2003 "$SPEAK") get 127.0.0.1 "$PORT" "/$PAGE" >hung.txt 2>&1 3>&- &
hung=$!
sleep 0.5
pkill -CONT -x tidelock-agent
wait $hung || fail "a process that began while the agent hung is not served: $(cut -d' ' -f2- hung.txt | paste -sd';')"
knock 1 >/dev/null
expect_event "$before" '"what":"records-lost"' >/dev/null
figure refusals_untold "$(field count <event.json)" refusals
pass "granted processes went on, a new one got EACCES, sshd noticed nothing; on the wire: $(cat wire.wire)"
