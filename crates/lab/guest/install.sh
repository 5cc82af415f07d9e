#!/bin/sh
# install.sh TREE RELEASE: installs TREE/lab-packages/*.deb in TREE by dpkg, for the kernel RELEASE.
# Runs in mount and process namespaces of its own, so that what it mounts ends with it.
set -e
tree=$1 release=$2

mount -t proc proc "$tree/proc"
mount -t tmpfs -o mode=755 dev "$tree/dev"
for device in null zero full random urandom; do
    : >"$tree/dev/$device"
    mount --bind "/dev/$device" "$tree/dev/$device"
done
ln -s /proc/self/fd "$tree/dev/fd"

# What there is before, to see that nothing more is left in the end.
files() { (cd "$tree" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./lab-packages \) -prune -o -print | sort); }
files >"$tree/lab-packages/before"

cat >"$tree/lab-packages/inside" <<'INSIDE'
set -e
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
dpkg --install /lab-packages/*.deb
# dkms sees that no kernel of this machine runs here, and builds for those that are installed.
dkms status -k "$1" | grep '^tidelock/.*: installed'
INSIDE
exec chroot "$tree" /bin/sh /lab-packages/inside "$release"
