#!/bin/bash
# A program that is not governed makes the same calls with the same results as on a kernel without the module.
# bound: 420
. /lab/scenes/lib.sh
. /lab/scenes/lib-agent.sh
. /lab/scenes/lib-traced.sh
SPEAK=$SCENE_TOOLS/speak

[ -d $BARE ] || abort "there is no run from before the module was loaded"
same $BARE-first $BARE >bare.txt || fail "two runs without the module differ: $(paste -sd' ' bare.txt | cut -c1-300)"
{ identity web 2001 "$PYTHON"
  identity busy 2002 "$SPEAK"
  service web web "127.0.0.1:$PORT"
  permit busy busy web; } >documents.yaml
mkdir -p pages && echo hello >pages/hello.txt
apply documents.yaml
web=$(serve a web 2001 "$SCENE_DIR/pages" 127.0.0.1 "$PORT") || abort "the web server does not run"
at_end "stop a $web"

say "flows that are governed, all the while"
mkfifo orders
$(as 2002 "$SPEAK") lines 127.0.0.1 "$PORT" /hello.txt <orders >busy.txt 2>&1 3>&- &
at_end "kill $! 2>/dev/null; true"
exec 4>orders
# One at a time, for as long as the file is there.
touch go
(while [ -e go ]; do echo go; sleep 0.5; done >&4 3>&- 4>&-) 3>&- &
at_end "rm -f $SCENE_DIR/go"
served() { [ "$(grep -c 'page ok' busy.txt)" -gt "$1" ]; }
eventually 60 served 0 || fail "the governed flows do not work: $(tail -n 2 busy.txt)"

# compare WHEN
compare() {
    local before
    before=$(grep -c 'page ok' busy.txt)
    say "the same programs as before the module was loaded: $1"
    traced "$SCENE_DIR/$2"
    same $BARE "$SCENE_DIR/$2" >"$2.txt" || {
        cat "$2.txt"
        fail "$1: $(grep -e '^[-+][^-+]' -e ' left no ' "$2.txt" | head -n 2 | paste -sd' ' | cut -c1-300)"
    }
    eventually 30 served "$before" || fail "$1: the governed flows stopped: $(tail -n 2 busy.txt)"
}
compare "with the agent" alive
at_end restore_tidelock
kill_agent KILL
compare "with the agent dead" dead
start_agent || fail "the agent does not start again"
rm -f go
calls=$(cat $BARE/*.calls | wc -l)
figure calls_compared "$calls" calls
pass "$calls system calls and their results are the same without the module, with it, and with its agent dead"
