#!/bin/bash
# The guest's first program after the initramfs: makes a usable system, runs the script, says how it ended. Where there
# is systemd to do so, that is the first program instead, and `init unit` one of its units, the last.
export PATH=/opt/tidelock/bin:/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LC_ALL=C.UTF-8 TERM=dumb USER=root
cd /lab
. /lab/config            # token, node, peer, host, kernel, bare, peers, systemd

finish() {
    printf '\n@lab-%s %s\n' "$token" "$1" >&9
    sleep 60
    poweroff -f
}
fail() { echo "lab: node $node: $*" >&9; finish 125; }
# A kernel that looks for leaks looks once more; what it finds is trouble in its log.
leaks=/sys/kernel/debug/kmemleak
look_for_leaks() {
    [ -w $leaks ] || return
    # What was allocated in the last five seconds is not suspected.
    sleep 6
    echo scan >$leaks
    while IFS= read -r line; do echo "<3>BUG: leaked: $line" >/dev/kmsg; done <$leaks
}
play() {
    # A session of its own, as a login would have; its input is empty.
    setsid --wait bash /lab/script </dev/null >&9 2>&1 9>&-
    status=$?
    look_for_leaks
    if [ -n "$(ls -A /lab/out)" ]; then
        for block in /sys/block/vd*; do
            [ "$(cat "$block/serial")" = lab-out ] && tar cf "/dev/${block##*/}" -C /lab/out . && sync
        done
    fi
    finish $status
}
if [ "$1" = unit ]; then
    exec 9<>/run/lab-out
    play
fi

mount -t tmpfs -o mode=755 run /run; mkdir -p /run/lock
[ -n "$systemd" ] || mkdir /run/tidelock       # a unit makes its own
mount -t tmpfs tmp /tmp
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd; ln -sf /proc/self/fd/0 /dev/stdin; ln -sf /proc/self/fd/1 /dev/stdout; ln -sf /proc/self/fd/2 /dev/stderr
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t debugfs debugfs /sys/kernel/debug; mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
hostname "node-$node"
echo "node-$node" >/etc/hostname
ip link set lo up

mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    [ -e "$port/name" ] && ln -sf "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done

# Everything the script prints goes through a pipe, so that programs may reopen /dev/stdout and /dev/stderr; the
# port itself opens only once. The marker follows the script's last byte through the same pipe.
mkfifo /run/lab-out
exec 9<>/run/lab-out
cat <>/run/lab-out >/dev/virtio-ports/lab.out 9>&- &

{ echo "127.0.0.1 localhost node-$node"; echo "::1 localhost"; } >/etc/hosts
if [ -n "$peer$host" ]; then
    modprobe virtio_net || fail "the kernel has no virtio_net"
    for _ in $(seq 100); do [ -e /sys/class/net/eth0 ] && break; sleep 0.05; done
    ip link set eth0 up
fi
# No route: what is not the host's loopback is out of reach.
[ -z "$host" ] || ip addr add 10.0.2.15/24 dev eth0
if [ -n "$peer" ]; then
    [ "$node" = a ] && self=1 other=2 || self=2 other=1
    ip addr add 10.77.0.$self/24 dev eth0
    ip -6 addr add fd77::$self/64 dev eth0 nodad
    { echo "10.77.0.$other peer node-$peer"; echo "fd77::$other peer node-$peer"
      echo "10.77.0.$self self"; echo "fd77::$self self"; } >>/etc/hosts
fi

mkdir -p /lab/out
if [ -n "$systemd" ]; then
    units=/run/systemd/system
    mkdir -p $units
    cp /lab/lab.service $units
    ln -s /dev/null $units/getty.target         # nobody logs in, and a terminal to wait for there is none
    exec /usr/lib/systemd/systemd --unit=lab.service 9>&-
fi

if [ -z "$bare" ]; then
    # What has to be seen on a kernel without the module is seen now.
    [ ! -x /lab/scenes/bare.sh ] || bash /lab/scenes/bare.sh >&9 2>&1 9>&-
    . /lab/start.sh >&9 2>&1 || fail "Tidelock did not start"
fi

if [ "$node" = b ]; then
    exec on-peer --serve "$peers"
fi
if [ -n "$peer" ]; then
    on-peer true </dev/null >&9 2>&1 || fail "the peer does not answer"
    [ -n "$bare" ] || . /lab/join-peer.sh >&9 2>&1 || fail "the peer does not join"
fi
play
