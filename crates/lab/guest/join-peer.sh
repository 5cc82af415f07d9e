# Sourced by init on node a once the peer answers: hands it a token and the bundle, and starts its agent.
token_b=$(tidelock token create --node node-b 2>>/var/log/tidelock/ca.log) || return 1
on-peer "mkdir -p /etc/tidelock; cat >/etc/tidelock/bundle.pem <<'END'
$(cat /var/lib/tidelock/ca/bundle.pem)
END
cat >/run/tidelock/token <<'END'
$token_b
END
lab-join 10.77.0.1:8443 /etc/tidelock/bundle.pem /run/tidelock/token" || return 1
