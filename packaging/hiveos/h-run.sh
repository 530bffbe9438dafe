#!/usr/bin/env bash
# Runs the rig until HiveOS ends us. The libraries of the archive are used, whatever the system's are: its own loader
# starts the program.
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
. ./h-manifest.conf

if [[ ! -s $CUSTOM_CONFIG_FILENAME ]]; then
    echo "smesher: there is no configuration $CUSTOM_CONFIG_FILENAME; see the messages of h-config.sh" >&2
    exit 3
fi
mkdir -p "$(dirname "$CUSTOM_LOG_BASENAME")"
trap '' HUP INT TERM # inherited by the writer of the log, which ends when the rig has said its last word
exec > >(exec tee -a "$CUSTOM_LOG_BASENAME.log") 2>&1

# HiveOS ends a miner by closing its terminal. The rig takes SIGHUP as "read the configuration again", so it gets a
# session of its own, and SIGTERM, on which it saves its work.
rig=
told=
stop() {
    told=1
    [[ ! $rig ]] || kill -TERM "$rig" 2>/dev/null
}
trap stop HUP INT TERM
setsid lib/ld.so --argv0 smesher --library-path "$PWD/lib" bin/smesher rig --config "$CUSTOM_CONFIG_FILENAME" "$@" &
rig=$!
[[ ! $told ]] || stop
# A signal ends `wait` with a status of its own: the rig's is what the next one says.
while
    told=
    wait "$rig"
    status=$?
    [[ $told ]]
do :; done
exit "$status"
