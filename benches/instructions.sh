#!/bin/sh
# Instructions that one decision takes, counted by valgrind: what the machine does besides does not matter.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
cargo build --quiet --profile kernel --package tidelock-policy --features alloc --example instructions
for shape in 'plain 1' 'shop 1' 'shop 1000' 'shop 100000' 'in 1' 'in 1000' 'none 1000' 'unscoped 1000' 'all 1000'; do
	# shellcheck disable=SC2086 # a shape is two words
	valgrind --tool=callgrind --toggle-collect='*counted*' --callgrind-out-file=/dev/null \
		"$target/kernel/examples/instructions" $shape 2>&1 |
		awk '/ bytes$/ { what = $0 } / Collected / { print what ": " $NF / 100 " instructions" }'
done
