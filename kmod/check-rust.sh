#!/bin/bash
# SPDX-License-Identifier: MIT OR GPL-2.0
# Checks the Rust half as it ships: the static library that the kernel build makes, link-time optimised.
#
#   kmod/check-rust.sh LIBRARY
#
#  1. What runs in a program's own context can neither panic nor allocate. What the [any] exports of
#     shim.h reach is linked alone and the rest dropped. Panicking needs `tl_c_panic` and allocating
#     `tl_c_arena`: what is left may refer to neither, nor to anything outside but the names below.
#  2. Its stack frames are small: it runs on top of a program's system call.
#  3. There is no variable outside the arenas: an arena is freed whole, and a pointer into it that
#     stayed behind would dangle.
#  4. The whole refers to nothing but C's functions of shim.h and the kernel's own names below.
#
# Prints one line, or what is at fault and exits with 1.
set -euo pipefail

# Exports that run on a lane, where allocating and panicking are allowed. Every other one is checked.
lane='tl_rs_config_build tl_rs_key_new tl_rs_svid_install tl_rs_flow_start tl_rs_flow_record tl_rs_flow_end'
# What is the kernel's own, or the compiler's.
kernel='mem(cpy|move|set|cmp)|bcmp|strlen|__x86_return_thunk|__x86_indirect_thunk_r[a-z0-9]+'
# C's functions that are safe anywhere, and those that are only for lanes.
safe='tl_c_random|tl_c_init_net|tl_c_release'
for_lanes='tl_c_arena|tl_c_panic'
# Most stack, in bytes, that one function of 1. may take.
max_frame=4096

library=${1:?usage: $0 LIBRARY}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "$1" >&2
	exit 1
}

# Links what the exports in file $1 reach into $2.o, and lists its code in $2.s.
link() {
	sed 's/^/--undefined=/' "$1" >"$work/roots"
	ld -r --gc-sections @"$work/roots" -o "$2.o" "$library"
	objcopy --remove-section=.llvmbc --remove-section=.llvmcmd "$2.o"
	objdump -dr --no-show-raw-insn "$2.o" >"$2.s"
}

# Fails if something in $1.o refers to a name outside that $2 does not match. Unreferenced names
# survive a link, so those are dropped first.
refers_only_to() {
	objcopy --strip-unneeded "$1.o" "$1.bare.o"
	nm --undefined-only --format=posix "$1.bare.o" | awk '{ print $1 }' | sort -u >"$1.undefined"
	if ! grep -vE "^($2)\$" "$1.undefined" >"$1.bad"; then
		return
	fi
	while read -r name; do
		echo "$name is referred to by:" >&2
		awk -v name="$name" '
			/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { from = $2 }
			/R_X86_64/ && index($0, name) { print "    " from }
		' "$1.s" | sort -u | head -n 10 >&2
	done <"$1.bad"
	fail "$3"
}

nm --defined-only --extern-only --quiet --format=posix "$library" |
	awk '$1 ~ /^tl_rs_/ { print $1 }' | sort -u >"$work/exports"
for name in $lane; do
	grep -qx "$name" "$work/exports" || fail "there is no export $name: the list in $0 is stale"
done
tr ' ' '\n' <<<"$lane" | grep -vxf - "$work/exports" >"$work/anywhere"

link "$work/anywhere" "$work/any"
refers_only_to "$work/any" "$kernel|$safe" "the [any] exports can panic, allocate, or call what is not theirs to call"

largest=0 at=nothing
while read -r hex name; do
	if ((hex > largest)); then largest=$((hex)) at=$name; fi
done < <(awk '
	/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { from = $2 }
	/[ \t]sub +\$0x[0-9a-f]+,%rsp/ { sub(/.*\$/, ""); sub(/,.*/, ""); print $0, from }
' "$work/any.s")
((largest <= max_frame)) || fail "$at takes $largest bytes of stack, at most $max_frame are allowed"

link "$work/exports" "$work/all"
refers_only_to "$work/all" "$kernel|$safe|$for_lanes" "the library refers to what no kernel has"
objdump -h "$work/all.o" | awk '
	$1 ~ /^[0-9]+$/ { name = $2; size = $3; next }
	/ALLOC/ && !/READONLY/ && size !~ /^0+$/ && name !~ /^(\.data\.rel\.ro|__patchable)/ { print name, size }
' >"$work/variables"
[ ! -s "$work/variables" ] || fail "there are variables outside the arenas: $(cat "$work/variables")"

echo "$(wc -l <"$work/anywhere") exports neither panic nor allocate, their largest stack frame is $largest bytes"
