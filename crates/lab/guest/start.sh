# Sourced by init: loads the module with what it needs.
for module in tls gf128mul ghash_generic ctr crypto_null gcm ccm chacha20poly1305 aesni_intel ghash_clmulni_intel; do
    modprobe -q "$module"
done
insmod /lab/tidelock.ko
