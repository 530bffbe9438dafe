#!/usr/bin/env bash
# Sourced by HiveOS before every start: the flight sheet's "Extra config arguments" are the rig's configuration, as
# README.md of smesher describes it, and become rig.yaml.
#
# HiveOS deletes this whole directory when it installs another version, so nothing that must last may be below it.

if [[ -z $CUSTOM_USER_CONFIG ]]; then
    echo "smesher: the flight sheet has no extra config arguments; put the rig configuration (YAML) there" >&2
elif [[ $CUSTOM_USER_CONFIG == */hive/miners/custom/* ]]; then
    echo "smesher: the rig configuration names a path below /hive/miners/custom, which updates delete" >&2
    rm -f "$CUSTOM_CONFIG_FILENAME"
else
    printf '%s\n' "$CUSTOM_USER_CONFIG" >"$CUSTOM_CONFIG_FILENAME"
fi
