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
# What a client's end asks while it opens: the questions of C in their order, as the kernel's own half answers them.
questions=$(cargo test --quiet --profile kernel --package tidelock-kmod --lib --no-run --message-format json |
	sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
for function in 'tl_rs_decide' '*told_with*'; do
	valgrind --tool=callgrind --toggle-collect="$function" --callgrind-out-file=/dev/null \
		"$questions" --test-threads=1 --exact decide::memo::tests::a_connect_asks_policies_once 2>&1 |
		awk -v what="$function" '/ Collected / { print "a connect, " what ": " $NF " instructions" }'
done
