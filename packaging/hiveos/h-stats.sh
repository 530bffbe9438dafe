#!/usr/bin/env bash
# Sourced by the agent of HiveOS every few seconds: sets khs and stats from the rig's GET /v1/status.
#
# The rate is that of labels read for proofs, one number per identity. It is zero while nothing is to be proven, which is
# most of the time: leave HiveOS' hashrate watchdog off. ar counts proofs made and failed. Temperatures and fans are
# those that the agent has of the graphics cards.

khs=0
stats=null
smesher_config=${CUSTOM_CONFIG_FILENAME:-$(dirname "${BASH_SOURCE[0]}")/rig.yaml}

# smesher_setting KEY: its value below "status:" in the rig's configuration.
smesher_setting() {
    awk -v "key=$1:" '/^status:/ {inside = 1; next} /^[^ #]/ {inside = 0} inside && $1 == key {print $2; exit}' \
        "$smesher_config" 2>/dev/null | tr -d "\"'"
}
smesher_listen=$(smesher_setting listen)
smesher_token=$(smesher_setting token_file)
[[ -z $smesher_token ]] || smesher_token=$(cd "$(dirname "$smesher_config")" && cat "$smesher_token" 2>/dev/null)
# The token goes through a descriptor: arguments are for everybody to read.
smesher_status=$(curl --silent --fail --noproxy '*' --max-time 5 \
    --config <(printf '%s' "${smesher_token:+header = \"Authorization: Bearer $smesher_token\"}") \
    "http://${smesher_listen:-127.0.0.1:9090}/v1/status") || smesher_status=

if [[ -n $smesher_status ]]; then
    smesher_stats=$(jq -c --argjson cards "${gpu_stats:-null}" '
        [.identities[] | if .phase == "reading" then .reading.bytes_per_s["10s"] / 16 | floor else 0 end] as $hs |
        {
            khs: (($hs | add // 0) / 1000),
            stats: {
                hs: $hs, hs_units: "hs", temp: ($cards.temp // []), fan: ($cards.fan // []),
                uptime: (.rig.now_unix_s - .rig.started_unix_s), ver: .rig.version,
                ar: [.counts.proofs_made, .counts.proofs_failed], algo: "spacemesh"
            }
        }' <<<"$smesher_status" 2>/dev/null) || smesher_stats=
    if [[ -n $smesher_stats ]]; then
        khs=$(jq -r .khs <<<"$smesher_stats")
        stats=$(jq -c .stats <<<"$smesher_stats")
    fi
fi
unset smesher_config smesher_listen smesher_token smesher_status smesher_stats
unset -f smesher_setting
