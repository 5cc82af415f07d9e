# The part of scene c that takes two machines, sourced by it: the client's node still permits what the server's node
# does not any more, so that the refusal comes from the server's kernel.
say "a server's kernel that refuses what the client's still permits"
stop $SERVER_NODE "$impostor"
permit browsing nobody web >narrowed.yaml
web=$(serve $SERVER_NODE web 2001 "$SCENE_DIR/pages" "$SERVER_IP" "$PORT") || fail "the web server does not run"
at_end "stop $SERVER_NODE $web"
agent=$(pgrep -x tidelock-agent)
kill -STOP "$agent"
at_end "kill -CONT $agent"
tidelock apply -f narrowed.yaml >applied.txt || fail "the edit was not applied"
NODES=$SERVER_NODE enforced "$(sed -n 's/^generation //p' applied.txt)" || fail "the server's node does not enforce it"
$(as 2002 "$CURL") -sv -m 60 -o /dev/null "$url" 2>lag.err && fail "the server's refusal did not reach the client"
kill -CONT "$agent"
grep -q 'Connection refused' lag.err || fail "not ECONNREFUSED: $(grep -v '^ ' lag.err | tail -n 2)"
