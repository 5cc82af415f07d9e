#!/bin/bash
# run.sh [--mediated] SCENE…: plays scenes one after another in the guest, and says what happens in lines that the lab reads.
# Each scene is a process group in a control group of its own, so that nothing of it is left when it ends.
cd /lab/scenes || exit 1
export SCENE_TOOLS=/lab/scene-tools
export PATH=$SCENE_TOOLS:$PATH
parameter=/sys/module/tidelock/parameters/sabotage
[ -e /dev/virtio-ports/lab.peer0 ] && export SCENE_PAIR=1 || export SCENE_PAIR=
mkdir -p /lab/out /run/scenes
# With it every Service's flows pass through the engine, which changes nothing.
[ "$1" = --mediated ] && { shift; export SCENE_TRANSFORM=identity; }

# Small buffers, so that both ends of a slow transfer live for as long as it takes.
buffers="echo 4096 65536 131072 >/proc/sys/net/ipv4/tcp_rmem; echo 4096 16384 131072 >/proc/sys/net/ipv4/tcp_wmem"
bash -c "$buffers"
[ -n "$SCENE_PAIR" ] && on-peer "$buffers" </dev/null

# Breaks one mechanism of the module, on both machines; `-` breaks none.
sabotage() {
    local write="[ -e $parameter ] && echo -n $1 >$parameter"
    bash -c "$write" || { [ "$1" = - ] || echo "@note this module cannot be sabotaged"; }
    [ -n "$SCENE_PAIR" ] && on-peer "$write" </dev/null
    return 0
}

play() {
    local file=$1 letter=${1%%-*} group bound start status
    local log=/lab/out/scene-$letter.log
    bound=$(($(sed -n 's/^# bound: //p' "$file.sh") * LAB_SLOWER))
    group=/sys/fs/cgroup/scene-$letter
    mkdir -p "$group" "/run/scenes/$letter"
    # Programs of every uid leave files there.
    chmod 777 "/run/scenes/$letter"
    export SCENE=$letter SCENE_DIR=/run/scenes/$letter SCENE_SABOTAGE=
    echo "@scene $letter"
    if [ "$LAB_SABOTAGE" = "$letter" ] || [ "$LAB_SABOTAGE" = each ]; then
        SCENE_SABOTAGE=$letter
        sabotage "$letter"
    fi
    start=$EPOCHREALTIME
    # Only what the scene says on descriptor 3 is for the lab; all else is its log.
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec timeout -k 20 "$bound" bash "$file.sh" 3>&1 >"$log" 2>&1 </dev/null
    )
    status=$?
    [ -z "$SCENE_SABOTAGE" ] || sabotage -
    sweep "$group"
    if ! grep -qs ^pass "$SCENE_DIR/verdict" || [ $status != 0 ]; then
        tail -n 25 "$log" | cut -c1-300 | sed 's/^/log /'
    fi
    keep "$letter"
    echo "@end $letter $status $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }")"
}

# What a scene left running, here and on the peer, ends.
sweep() {
    local group=$1
    if grep -qs . "$group/cgroup.procs"; then
        echo "@note scene ${group##*-} left processes behind: $(ps -o comm= -p "$(paste -sd, "$group/cgroup.procs")" | paste -sd' ')"
        echo 1 >"$group/cgroup.kill"
    fi
    rmdir "$group" 2>/dev/null
    [ -z "$SCENE_PAIR" ] || on-peer 'echo 1 >/sys/fs/cgroup/scene/cgroup.kill' </dev/null 2>/dev/null
}

# Evidence for whoever looks at a failure later.
keep() {
    local to=/lab/out/scene-$1
    mkdir -p "$to"
    find "$SCENE_DIR" -maxdepth 1 -type f -size -4096k -exec cp {} "$to/" \;
}

for scene in "$@"; do
    play "$scene"
done
cp -r /var/log/tidelock /lab/out/ 2>/dev/null
tidelock -o json events >/lab/out/events.json 2>/dev/null
cat /proc/tidelock/status >/lab/out/status 2>/dev/null
exit 0
