# Sourced by init: the module with what it needs, the control plane, this node's agent, and the peer's.
for module in tls gf128mul ghash_generic ctr crypto_null gcm chacha20poly1305 aesni_intel ghash_clmulni_intel; do
    modprobe -q "$module"       # not every kernel has every one as a module
done
insmod /lab/tidelock.ko || { dmesg | tail -20; return 1; }
# The peer's agent is started by node a, once it has a token for it; that of a control plane outside by the script.
[ "$node" = b ] || [ -n "$host" ] && return 0

mkdir -p /var/log/tidelock
data=/var/lib/tidelock/ca
listen="--listen 127.0.0.1:8443"
[ -n "$peer" ] && listen="$listen --listen 10.77.0.1:8443"
tidelock-ca serve --trust-domain example.org --data-dir $data $listen --admin-socket /run/tidelock/ca.sock \
    </dev/null >>/var/log/tidelock/ca.log 2>&1 9>&- &
for _ in $(seq 400); do
    tidelock status >/dev/null 2>&1 && break
    kill -0 $! 2>/dev/null || { echo "the control plane does not run:"; tail /var/log/tidelock/ca.log; return 1; }
    sleep 0.1
done
tidelock token create --node node-a >/run/tidelock/token 2>>/var/log/tidelock/ca.log || return 1
lab-join 127.0.0.1:8443 $data/bundle.pem /run/tidelock/token || return 1
