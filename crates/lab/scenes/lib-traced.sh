# The same programs under strace, to be compared with themselves. Sourced by scene h, and before the module is loaded.
# They are ungoverned whatever happens: root, on ports of no Service.
TRACED_PORT=7500
BARE=/run/scenes/bare
# The calls of curl that decide: how often it polls and in how many pieces it reads is a matter of time.
CURL_CALLS=socket,bind,connect,getsockopt,setsockopt,getsockname,getpeername,sendto,shutdown

# traced DIR: runs the programs; DIR/*.out is what they printed, DIR/*.calls the system calls they made.
traced() {
    local dir=$1 server port=$((TRACED_PORT + 20)) program strace
    strace=$(command -v strace)
    rm -rf "$dir"
    mkdir -p "$dir"
    echo "a page for everyone" >"$dir/page"
    python3 -m http.server --bind 127.0.0.1 --directory "$dir" $port >"$dir/server.log" 2>&1 3>&- &
    server=$!
    for _ in $(seq 600); do
        ss -Hltn "sport = :$port" | grep -q . && break
        sleep 0.1
    done
    # Neither the scene's environment nor the descriptors that it has open are theirs. Each takes two seconds, unless its calls wait.
    timeout 20 env -i "$strace" -f -ff -e "trace=$CURL_CALLS" -o "$dir/curl" "$(command -v curl)" -sS "http://127.0.0.1:$port/page" >"$dir/curl.out" 2>&1 3>&- 4>&-
    kill $server
    wait $server 2>/dev/null
    timeout 20 env -i "$strace" -f -ff -o "$dir/plain" "$(command -v plain)" $TRACED_PORT >"$dir/plain.out" 2>&1 3>&- 4>&-
    for program in plain curl; do
        python3 /lab/scenes/tools/traced.py "$dir/$program" >"$dir/$program.calls"
    done
}

# same DIR DIR: compares two runs; prints what differs.
same() {
    local program kind
    for program in plain curl; do
        for kind in out calls; do
            [ -s "$2/$program.$kind" ] || { echo "$program left no $kind to compare"; return 1; }
            diff -u "$1/$program.$kind" "$2/$program.$kind" >"$2/$program.$kind.diff" || {
                echo "$program, $kind:"
                head -n 40 "$2/$program.$kind.diff"
                return 1
            }
        done
    done
}
