# The part of scene c that takes two machines, sourced by it: the client's node still permits what the server's node
# does not any more, so that the refusal comes from the server's kernel.
say "a server's kernel that refuses what the client's still permits"
stop $SERVER_NODE "$impostor"
permit lag nobody web >narrowed.yaml
web=$(serve $SERVER_NODE web 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || abort "the web server does not run"
at_end "stop $SERVER_NODE $web"
# A process that has its grant: while the agent stands still nobody gets a new one.
mkfifo orders
$(as 2006 "$SPEAK") lines "$SERVER_IP" "$PORT" /hello.txt <orders >lag.txt 2>&1 3>&- &
at_end "kill $! 2>/dev/null; true"
exec 4>orders
served() { grep -q 'page ok' lag.txt; }
echo go >&4
eventually 60 served || fail "it is not served, though it is permitted: $(cat lag.txt)"
agent=$(pgrep -x tidelock-agent)
kill -STOP "$agent"
at_end "kill -CONT $agent"
tidelock apply -f narrowed.yaml >applied.txt || fail "the edit was not applied"
why=$(NODES=$SERVER_NODE enforced "$(sed -n 's/^generation //p' applied.txt)") || fail "$why"
refused() { [ -n "$(connect_error lag.txt)" ]; }
echo go >&4
eventually 60 refused || fail "the server's refusal did not reach the client: $(tail -n 2 lag.txt)"
kill -CONT "$agent"
exec 4>&-
[ "$(connect_error lag.txt)" = ECONNREFUSED ] || fail "the refusal is not ECONNREFUSED: $(cat lag.txt)"
