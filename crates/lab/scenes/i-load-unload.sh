#!/bin/bash
# The module loads, works and unloads, again and again, also under programs that are blocked in accept(); and all that
# the kernel has to say of it is that it is not part of the kernel.
# bound: 540
. /lab/scenes/lib.sh
. /lab/scenes/lib-agent.sh
ROUNDS=3 OPEN=$((PORT + 1))
SPEAK=$SCENE_TOOLS/speak

{ identity echo 2001 "$SPEAK"
  identity caller 2002 "$SPEAK"
  service echo echo "127.0.0.1:$PORT"
  permit calling caller echo; } >documents.yaml
at_end restore_tidelock
apply documents.yaml
generation=$(sed -n 's/^generation //p' applied.txt)

say "two programs blocked in accept(), one governed and one not"
governed=$(start a governed "$(as 2001 "$SPEAK") accept 127.0.0.1 $PORT") && listening a "$PORT" "$governed" || abort "no server"
at_end "stop a $governed"
open=$(start a open "$(as 2099 "$SPEAK") accept 127.0.0.1 $OPEN") && listening a "$OPEN" "$open" || abort "no server"
at_end "stop a $open"

# asks WHO UID PORT
asks() { $(as "$2" "$SPEAK") ask 127.0.0.1 "$3" "word-$1" >"$1.txt" 2>&1; }
works() {
    asks governed 2002 "$PORT" || fail "$1: the governed service does not answer: $(tail -n 1 governed.txt)"
    asks open 2099 "$OPEN" || fail "$1: the ungoverned service does not answer: $(tail -n 1 open.txt)"
}
# enforces WHEN: governed means governed: a stranger is refused, and a flow is recorded.
enforces() {
    asks stranger 2099 "$PORT" && fail "$1: a stranger is served"
    [ "$(connect_error stranger.txt)" = EACCES ] || fail "$1: a stranger is refused otherwise: $(tail -n 1 stranger.txt)"
    works "$1"
}
enforces "at first"

for round in $(seq $ROUNDS); do
    say "round $round: unloaded"
    start=$(now_ms)
    unload_module >unload.txt 2>&1 || fail "round $round: the module does not unload: $(tail -n 1 unload.txt)"
    unloaded=$(($(now_ms) - start))
    [ ! -e /sys/module/tidelock ] || fail "round $round: the module is still there"
    asks stranger 2099 "$PORT" || fail "round $round: the service does not answer without the module: $(tail -n 1 stranger.txt)"
    works "round $round, unloaded"
    kill -0 "$governed" "$open" || fail "round $round: a server died"

    say "round $round: loaded"
    start=$(now_ms)
    load_module || fail "round $round: the module does not load"
    start_agent || fail "round $round: the agent does not start"
    why=$(enforced "$generation") || fail "round $round: $why"
    loaded=$(($(now_ms) - start))
    enforces "round $round, loaded"
done
figure unload "$unloaded" ms
figure load_to_enforced "$loaded" ms

say "the kernel's log"
python3 /lab/scenes/tools/kernel-log.py >log.txt || fail "$(head -n 1 log.txt)"
cat log.txt
pass "$ROUNDS rounds, under two programs blocked in accept(); the kernel's log holds the two taint lines and no warning"
