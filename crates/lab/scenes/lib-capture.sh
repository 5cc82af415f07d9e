# Watching the wire. Sourced by scenes that capture.

# capture NAME DEVICE EXPRESSION: starts a capture into NAME.pcap.
declare -A CAPTURES=()
capture() {
    tcpdump -Z root -i "$2" -w "$1.pcap" -B 16384 --immediate-mode -U "$3" 2>"$1.tcpdump" 3>&- &
    CAPTURES[$1]=$!
    at_end "kill $! 2>/dev/null; true"
    eventually 60 grep -q 'listening on' "$1.tcpdump" || abort "tcpdump does not run"
}

# end_capture NAME: every packet has to be in it.
end_capture() {
    # What was sent last is on its way to the file.
    sleep 1
    kill -TERM "${CAPTURES[$1]}"
    wait "${CAPTURES[$1]}"
    cat "$1.tcpdump"
    grep -q '^0 packets dropped by kernel' "$1.tcpdump" || abort "the capture missed packets"
}

# make_page DIR LINES: on every node, a page that no one has seen before, with what must never be seen on the wire.
# Sets MARKER, which its name holds too, so that a request for it has it, and PAGE, its name.
make_page() {
    local node
    MARKER="marker-$(head -c 16 /dev/urandom | xxd -p)"
    PAGE=page-$MARKER.txt
    for node in $NODES; do
        on "$node" "mkdir -p $1; { echo '$MARKER is in the body of this page, and so is $TRUST$NAME'
            seq -f 'line %.0f of $MARKER' $2; echo 'the end of $MARKER'; } >$1/$PAGE; chmod -R a+rX $1"
    done
}

# control_transfer DIR PORT: an ungoverned transfer of the page, in the same capture: the search has to find it there.
control_transfer() {
    local pid
    pid=$(start "$SERVER_NODE" control "nc -N -l $SERVER_IP $2 <$1/$PAGE") && listening "$SERVER_NODE" "$2" "$pid" ||
        abort "the control server does not run"
    timeout 60 nc -d "$SERVER_IP" "$2" >control.txt || abort "the control transfer failed"
    cmp control.txt "$1/$PAGE" || abort "the control transfer is not whole"
}

# check_wire NAME CONTROL_PORT ARGUMENT…: see pcap.py. Its words are in NAME.wire.
check_wire() {
    python3 /lab/scenes/tools/pcap.py "$1.pcap" --marker "$MARKER" --control "$2" --never spiffe:// --never 'GET /' \
        --never HTTP/1 "${@:3}" >"$1.wire" 2>&1 || fail "on the wire: $(tail -n 1 "$1.wire")"
    cat "$1.wire"
}
