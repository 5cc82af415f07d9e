#!/bin/bash
# Unmodified programs are granted SPIFFE IDs, soon after exec, and also when they live for a moment only.
# bound: 420
. /lab/scenes/lib.sh
PROCESSES=100
SPEAK=$SCENE_TOOLS/speak
TOOL=$SCENE_DIR/tool

# A template: who runs the tool is in the name that it gets.
users() {
    cat <<END
---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata:
  name: $SCENE-users
spec:
  spiffeID: spiffe://{{trustDomain}}$NAME/user/{{unix.uid}}
  selectors:
    - unix:path:$TOOL
---
apiVersion: tidelock.dev/v1
kind: Policy
metadata:
  name: $SCENE-using
spec:
  cedar: |
    permit (
      principal in Workload::"$TRUST$NAME/user",
      action == Action::"connect",
      resource == Service::"$SCENE-web"
    ) unless { principal == Workload::"$TRUST$NAME/user/2012" };
END
}

{ identity web 2001 "$PYTHON"
  identity browser 2002 "$CURL"
  identity short 2003 "$SPEAK"
  service web web "127.0.0.1:$PORT"
  permit browsing browser web
  permit speaking short web
  users; } >documents.yaml
mkdir -p pages
cp "$SPEAK" "$TOOL"
echo "hello from $SCENE" >pages/hello.txt
before=$(last_event)
apply documents.yaml

say "python3 -m http.server and curl, as they are"
serve a web 2001 "$SCENE_DIR/pages" 127.0.0.1 "$PORT" >server.pid || abort "the web server does not run"
at_end "stop a $(cat server.pid)"
expect_event "$before" '"what":"granted"' "$TRUST$NAME/web\"" '"exe":"'"$PYTHON"'"' >/dev/null
$(as 2002 "$CURL") -sS -m 60 "http://127.0.0.1:$PORT/hello.txt" >page.txt || fail "curl did not get the page"
cmp page.txt pages/hello.txt || fail "curl got another page"
expect_event "$before" '"what":"granted"' "$TRUST$NAME/browser\"" '"exe":"'"$CURL"'"' >/dev/null

say "one identity for all who run a tool, and a SPIFFE ID for each of them"
for uid in 2011 2012 2013; do
    $(as $uid "$TOOL") get 127.0.0.1 "$PORT" /hello.txt >"tool-$uid.txt" 2>&1
    expect_event "$before" '"what":"granted"' "$TRUST$NAME/user/$uid\"" "\"uid\":$uid" >/dev/null
done
grep -q 'page ok' tool-2011.txt && grep -q 'page ok' tool-2013.txt || fail "who runs the tool is not served: $(cat tool-201[13].txt)"
[ "$(connect_error tool-2012.txt)" = EACCES ] || fail "who may not is served: $(cat tool-2012.txt)"
tidelock get identities

say "$PROCESSES processes, each of which lives for one request"
one() { $(as 2003 "$SPEAK") get 127.0.0.1 "$PORT" /hello.txt >"short-$1.txt" 2>&1; }
one 1
for ((n = 2; n < PROCESSES; n += 3)); do
    one $n & one $((n + 1)) & one $((n + 2)) & wait
done
[ $n -gt $PROCESSES ] || one $PROCESSES
spoke=$(grep -l 'page ok' short-*.txt | wc -l)
[ "$spoke" = "$PROCESSES" ] || {
    grep -hv 'page ok\|connect ok\|EOF' short-*.txt | cut -d' ' -f2- | sort | uniq -c
    fail "only $spoke of $PROCESSES short-lived processes got to speak"
}

# What the agent reports last may still be on its way.
all_granted() { [ "$(events_after "$before" | grep '"what":"granted"' | grep -c "$TRUST$NAME/short\"")" -ge $PROCESSES ]; }
eventually 30 all_granted || fail "not every process was reported as granted"
events_after "$before" >events.json
python3 /lab/scenes/tools/latency.py events.json "$SCENE-short" 1 $PROCESSES >latency.txt || fail "$(cat latency.txt)"
while read -r name value; do figure "$name" "$value" ms; done <latency.txt
figure connect_first "$(connect_ms short-1.txt)" ms
figure connect_hundredth "$(connect_ms short-$PROCESSES.txt)" ms
pass "python3 and curl have their SPIFFE IDs; $spoke of $PROCESSES short-lived processes got to speak"
