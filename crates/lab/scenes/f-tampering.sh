#!/bin/bash
# What only looks like a permitted program gets no identity: a changed copy, a mount over its path, a root of its own,
# a reused pid.
# bound: 300
. /lab/scenes/lib.sh
GENUINE=$SCENE_DIR/bin/speak
BY_PATH=$SCENE_DIR/bin/by-path

mkdir -p bin pages
cp "$SCENE_TOOLS/speak" "$GENUINE"
cp "$SCENE_TOOLS/speak" "$BY_PATH"
# One byte that is printed, so that the copy runs as before.
python3 - "$GENUINE" bin/changed <<'END'
import sys
data = open(sys.argv[1], "rb").read()
at = data.index(b"page ok")
open(sys.argv[2], "wb").write(data[:at] + b"P" + data[at + 1:])
END
chmod 755 bin bin/changed
[ "$(cmp -l "$GENUINE" bin/changed | wc -l)" = 1 ] || abort "the copy differs in more than one byte"
echo hello >pages/hello.txt
{ identity web 2001 "$PYTHON"
  identity genuine 2002 "$GENUINE"
  identity by-path 2002 "$BY_PATH" | grep -v sha256
  service web web "127.0.0.1:$PORT"
  permit speaking genuine web
  permit by-path by-path web; } >documents.yaml
apply documents.yaml
web=$(serve a web 2001 "$SCENE_DIR/pages" 127.0.0.1 "$PORT") || abort "the web server does not run"
at_end "stop a $web"

# try NAME PROGRAM: one request by a program under the permitted uid.
try() { $(as 2002 "$2") get 127.0.0.1 "$PORT" /hello.txt >"$1.txt" 2>&1; }
# no_identity NAME: it was refused, with EACCES, and no identity was granted to it.
no_identity() {
    cat "$1.txt"
    [ "$(connect_error "$1.txt")" = EACCES ] || fail "$1: it was not refused with EACCES: $(cut -d' ' -f2- "$1.txt" | paste -sd';')"
    say "  EACCES"
}

say "the permitted program is served, and one process of it stays"
try genuine "$GENUINE"
grep -q 'page ok' genuine.txt || fail "the genuine program is not served: $(cat genuine.txt)"
mkfifo orders
$(as 2002 "$GENUINE") lines 127.0.0.1 "$PORT" /hello.txt <orders >stays.txt 2>&1 3>&- &
stays=$!
at_end "kill $stays 2>/dev/null; true"
exec 4>orders
served() { [ "$(grep -c 'page ok' stays.txt)" -ge "$1" ]; }
echo go >&4
eventually 60 served 1 || fail "the process that stays is not served: $(cat stays.txt)"

say "a copy with one byte changed, at a path of its own"
try copy "$SCENE_DIR/bin/changed"
no_identity copy
before=$(last_event)

say "the copy, mounted over the path of the permitted program"
mount --bind bin/changed "$GENUINE" || abort "it cannot be mounted"
at_end "umount $GENUINE 2>/dev/null; true"
try mounted "$GENUINE"
no_identity mounted
expect_event "$before" '"what":"denied"' '"uid":2002,' '"reason":"not_granted"' >/dev/null
umount "$GENUINE"
try unmounted "$GENUINE"
grep -q 'page ok' unmounted.txt || fail "the genuine program is not served any more: $(cat unmounted.txt)"

say "the copy, mounted over it in a mount namespace of its own"
unshare -m sh -c "mount --bind bin/changed $GENUINE && exec $(as 2002 "$GENUINE") get 127.0.0.1 $PORT /hello.txt" >namespace.txt 2>&1
no_identity namespace

say "the copy, in a root of its own, at the path of a program whose identity asks for no more than that"
try by-path "$BY_PATH"
grep -q 'page ok' by-path.txt || fail "the program meant by path is not served: $(cat by-path.txt)"
mkdir -p "root$SCENE_DIR/bin"
cp bin/changed "root$BY_PATH"
for library in $(ldd bin/changed | grep -o '/[^ ]*'); do
    mkdir -p "root$(dirname "$library")"
    cp "$library" "root$library"
done
chmod -R a+rX root
$(as 2002 unshare -Ur chroot "$SCENE_DIR/root" "$BY_PATH") get 127.0.0.1 "$PORT" /hello.txt >root.txt 2>&1
no_identity root

say "the copy, put in its place"
cp -p "$GENUINE" bin/kept
mv bin/changed "$GENUINE"
try replaced "$GENUINE"
no_identity replaced
mv bin/kept "$GENUINE"

say "the pid of a granted process, taken by another"
granted=$stays
echo go >&4
eventually 60 served 2 || fail "the process that stays is not served any more: $(cat stays.txt)"
exec 4>&-
wait "$granted"
for attempt in $(seq 20); do
    python3 /lab/scenes/tools/reuse.py "$granted" 127.0.0.1 "$PORT" >reuse.txt 2>&1 && break
    say "  attempt $attempt did not get the pid"
done
cat reuse.txt
grep -q "^pid $granted$" reuse.txt || fail "no process got the pid again"
grep -q '^fork connect EACCES$' reuse.txt || fail "a process with a reused pid: $(paste -sd';' reuse.txt)"
grep -q '^exec connect EACCES$' reuse.txt || fail "a program with a reused pid: $(paste -sd';' reuse.txt)"
say "  EACCES"
pass "no identity for a changed copy (anywhere), for a mount over the path, in a root of its own, for a reused pid"
