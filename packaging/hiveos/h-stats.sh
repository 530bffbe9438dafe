#!/usr/bin/env bash
# Sourced by the agent of HiveOS every few seconds: sets khs and stats from the rig's GET /v1/status.
#
# The rate is that of labels read for proofs, one number per identity. It is zero while nothing is to be proven, which is
# most of the time: leave HiveOS' hashrate watchdog off. ar counts proofs made and failed. Temperatures and fans are
# those that the agent has of the graphics cards.

khs=0
stats=null
smesher_dir=$(dirname "${BASH_SOURCE[0]}")

# The address is that of the configuration, as the rig reads it: status: listen.
smesher_listen=$(awk '/^status:/ {inside = 1; next} /^[^ #]/ {inside = 0} inside && $1 == "listen:" {print $2; exit}' \
    "${CUSTOM_CONFIG_FILENAME:-$smesher_dir/rig.yaml}" 2>/dev/null | tr -d "\"'")
smesher_status=$(curl --silent --fail --noproxy '*' --max-time 5 "http://${smesher_listen:-127.0.0.1:9090}/v1/status") ||
    smesher_status=

if [[ -n $smesher_status ]]; then
    smesher_stats=$(jq -c --argjson cards "${gpu_stats:-null}" '
        [.identities[] | if .phase == "reading" then (.speed_10s // 0) / 16 | floor else 0 end] as $hs |
        {
            khs: (($hs | add // 0) / 1000),
            stats: {
                hs: $hs, hs_units: "hs", temp: ($cards.temp // []), fan: ($cards.fan // []), uptime: .uptime_s,
                ver: .version, ar: [.proofs.made, .proofs.failed], algo: "spacemesh"
            }
        }' <<<"$smesher_status" 2>/dev/null) || smesher_stats=
    if [[ -n $smesher_stats ]]; then
        khs=$(jq -r .khs <<<"$smesher_stats")
        stats=$(jq -c .stats <<<"$smesher_stats")
    fi
fi
unset smesher_dir smesher_listen smesher_status smesher_stats
