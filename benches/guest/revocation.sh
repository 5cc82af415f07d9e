# revocation.sh CONTROL-PLANE REPORTS: ports of the host. Has the agent join the control plane there, and holds flows by what it is told at
# the other port. Not run by itself but by what measures, on the host (benches/README.md, "Revoked, until the kernel resets"):
#
#	cargo run --release -p tidelock-control --example agents -- 1000 --guest
export LC_ALL=C.UTF-8
gcc -O2 -Wall -o /usr/local/bin/hold /lab/guest/hold.c || exit 1
lab-join "10.0.2.2:$1" /lab/join/bundle.pem /lab/join/token || exit 1
exec hold 10.0.2.2 "$2" 2001
