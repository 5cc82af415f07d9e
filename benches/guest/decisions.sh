# decisions.sh: instructions of one decision in a guest, where nanoseconds are instructions:
#
#	cargo build --profile kernel --package tidelock-policy --features alloc --example instructions
#	cargo lab vm --icount --copy target/kernel/examples/instructions -- benches/guest/decisions.sh
for shape in 'plain 1' 'shop 1' 'shop 1000' 'shop 100000' 'in 1' 'in 1000' 'none 1000' 'unscoped 1000' 'all 1000'; do
    # shellcheck disable=SC2086 # a shape is two words
    /lab/instructions $shape --icount | paste -sd: || exit 1
done
