#!/bin/bash
# Run by the guest's init before the module is loaded for the first time: how things are without it. Twice, so that a
# difference between two runs that has nothing to do with the module shows as that.
export PATH=/lab/scene-tools:$PATH
. /lab/scenes/lib-traced.sh
if grep -q h-ungoverned /lab/script; then
    traced $BARE-first
    traced $BARE
fi
# From here on the kernel's log is the module's business.
echo '<6>lab: the module comes next' >/dev/kmsg
