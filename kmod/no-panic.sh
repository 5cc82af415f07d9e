#!/bin/bash
# SPDX-License-Identifier: MIT OR GPL-2.0
# Checks that what runs in a program's own context can neither panic nor allocate.
#
#   kmod/no-panic.sh LIBRARY
#
# LIBRARY is the Rust half as it ships: the static library that the kernel build makes, link-time
# optimised. What the [any] exports of shim.h reach is linked alone, the rest is dropped. Panicking
# needs `tl_c_panic` and allocating needs `tl_c_arena`: what is left may refer to neither, nor to
# anything else outside itself but the names below. Prints how many exports it checked and the
# largest stack frame among what they reach; exits with 1 and the functions at fault if not so.
set -euo pipefail

# Exports that run on a lane, where allocating and panicking are allowed. Every other one is checked.
lane='tl_rs_config_build tl_rs_key_new tl_rs_svid_install tl_rs_flow_start tl_rs_flow_record tl_rs_flow_end'
# What may stay undefined: C's functions that are safe anywhere, and the kernel's own.
allowed='^(tl_c_random|tl_c_init_net|mem(cpy|move|set|cmp)|bcmp|strlen|__x86_return_thunk|__x86_indirect_thunk_r[a-z0-9]+)$'
# Most stack, in bytes, that one function may take: these run on top of a program's system call.
max_frame=4096

library=${1:?usage: $0 LIBRARY}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm --defined-only --extern-only --quiet --format=posix "$library" |
	awk '$1 ~ /^tl_rs_/ { print $1 }' | sort -u >"$work/exports"
for name in $lane; do
	if ! grep -qx "$name" "$work/exports"; then
		echo "there is no export $name: the list in $0 is stale" >&2
		exit 1
	fi
done
tr ' ' '\n' <<<"$lane" | grep -vxf - "$work/exports" >"$work/any"

sed 's/^/--undefined=/' "$work/any" >"$work/roots"
ld -r --gc-sections @"$work/roots" -o "$work/any.o" "$library"
objcopy --remove-section=.llvmbc --remove-section=.llvmcmd "$work/any.o"
objdump -dr --no-show-raw-insn "$work/any.o" >"$work/listing"

# Unreferenced symbols survive the link, so only those that something refers to are looked at.
objcopy --strip-unneeded "$work/any.o" "$work/bare.o"
nm --undefined-only --format=posix "$work/bare.o" | awk '{ print $1 }' | sort -u >"$work/undefined"
if grep -vE "$allowed" "$work/undefined" >"$work/bad"; then
	echo "the [any] exports reach what they may not:" >&2
	while read -r name; do
		echo "  $name, from:" >&2
		awk -v name="$name" '
			/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { from = $2 }
			/R_X86_64/ && index($0, name) { print "    " from }
		' "$work/listing" | sort -u | head -n 10 >&2
	done <"$work/bad"
	exit 1
fi

largest=0 at=nothing
while read -r hex name; do
	if ((hex > largest)); then largest=$((hex)) at=$name; fi
done < <(awk '
	/^[0-9a-f]+ <.*>:$/ && !/<\.L/ { from = $2 }
	/[ \t]sub +\$0x[0-9a-f]+,%rsp/ { sub(/.*\$/, ""); sub(/,.*/, ""); print $0, from }
' "$work/listing")
if ((largest > max_frame)); then
	echo "$at takes $largest bytes of stack, at most $max_frame are allowed" >&2
	exit 1
fi
echo "$(wc -l <"$work/any") exports neither panic nor allocate; the largest stack frame is $largest bytes"
