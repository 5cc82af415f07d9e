#!/bin/busybox sh
# Finds the disks by their serial numbers, unpacks what this run brings, and hands over to /lab/init.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

die() { echo "lab: initramfs: $*" >/dev/kmsg; sleep 1; poweroff -f; }
for module in /modules/*; do
    [ -e "$module" ] && { insmod "$module" || echo "lab: cannot load $module" >/dev/kmsg; }
done

# The device with a serial number; they show up when their drivers have settled.
disk() {
    tries=0
    while [ $tries -lt 100 ]; do
        for block in /sys/block/vd*; do
            [ "$(cat "$block/serial" 2>/dev/null)" = "$1" ] && { echo "/dev/${block##*/}"; return; }
        done
        tries=$((tries + 1)); usleep 50000
    done
}
root=$(disk lab-root) modules=$(disk lab-modules) payload=$(disk lab-payload)
[ -n "$root" ] && [ -n "$modules" ] && [ -n "$payload" ] || die "a disk is missing"
mount -t ext4 -o rw,noatime "$root" /new || die "cannot mount the root disk"
# A machine of its own has them where its packages put them.
if [ ! -e "/new/usr/lib/modules/$(uname -r)" ]; then
    mkdir -p /new/usr/lib/modules
    mount -t ext4 -o ro "$modules" /new/usr/lib/modules || die "cannot mount the modules"
fi
tar xf "$payload" -C /new || die "cannot unpack the payload"
for dir in dev proc sys; do mount --move /$dir /new/$dir; done
exec switch_root /new /lab/init
