# A machine that Tidelock does not govern: a network namespace behind a link, at an address of a Service. It speaks TLS
# by itself, with SVIDs that are valid, since the control plane's own key signs them. Sourced by scenes that need one.
ROGUE_IP=10.99.$(printf %d "'$SCENE").2
ROGUE_LINK=rogue-$SCENE
AUTHORITY=/var/lib/tidelock/ca

rogue_network() {
    modprobe veth
    ip netns add "$ROGUE_LINK" || abort "no network namespace for the rogue"
    at_end "ip netns del $ROGUE_LINK"
    ip link add "$ROGUE_LINK" type veth peer name inside netns "$ROGUE_LINK"
    ip addr add "${ROGUE_IP%.*}.1/24" dev "$ROGUE_LINK"
    ip link set "$ROGUE_LINK" up
    ip -n "$ROGUE_LINK" addr add "$ROGUE_IP/24" dev inside
    ip -n "$ROGUE_LINK" link set inside up
    ip -n "$ROGUE_LINK" link set lo up
}

# rogue_svid NAME SPIFFE_ID: NAME.pem and NAME.key.
rogue_svid() {
    local key
    key=$(ls $AUTHORITY/authority-*.key)
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" &&
        openssl req -new -key "$1.key" -subj / -out "$1.csr" &&
        openssl x509 -req -in "$1.csr" -CA $AUTHORITY/bundle.pem -CAkey "$key" -passin "file:$AUTHORITY/passphrase" -days 1 -out "$1.pem" -set_serial "0x$(head -c 15 /dev/urandom | xxd -p)01" \
            -extfile <(echo "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
authorityKeyIdentifier=keyid
subjectAltName=critical,URI:$2") || abort "no SVID for the rogue"
    openssl verify -CAfile $AUTHORITY/bundle.pem "$1.pem" || abort "the rogue's SVID is not valid"
}

# rogue_control DIR PORT: see control_transfer; the server is the rogue.
rogue_control() {
    ip netns exec "$ROGUE_LINK" nc -N -l "$ROGUE_IP" "$2" <"$1/$PAGE" >rogue-control.log 2>&1 3>&- &
    at_end "kill $! 2>/dev/null; true"
    rogue_listens "$2"
    timeout 60 nc -d "$ROGUE_IP" "$2" >control.txt || abort "the control transfer failed"
    cmp control.txt "$1/$PAGE" || abort "the control transfer is not whole"
}

rogue_listens() { eventually 60 rogue_socket "$1" || abort "the rogue does not listen"; }
rogue_socket() { ip netns exec "$ROGUE_LINK" ss -Hltn "sport = :$1" | grep . >/dev/null; }

# rogue_serve NAME PORT [refusing]: a TLS 1.3 server with NAME's SVID; what it is told is in rogue.got. A refusing one
# trusts nobody, so it refuses the client's certificate: with an alert, when the client has sent all of its handshake.
rogue_serve() {
    local trust=$AUTHORITY/bundle.pem
    if [ "${3:-}" = refusing ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout other.key -subj /CN=other -days 1 -out other.pem
        trust=other.pem
    fi
    # Its input stays open, or it would end.
    sleep 600 | ip netns exec "$ROGUE_LINK" openssl s_server -accept "$ROGUE_IP:$2" -cert "$1.pem" -key "$1.key" -CAfile "$trust" \
        -Verify 2 -verify_return_error -tls1_3 -alpn tidelock/1 >rogue.got 2>rogue.log 3>&- &
    at_end rogue_stop
    rogue_listens "$2"
}
rogue_stop() {
    ip netns pids "$ROGUE_LINK" | xargs -r kill 2>/dev/null
    pkill -P $$ -x sleep
    return 0
}
