#!/bin/bash
# What a failover costs, on this machine alone: one of three servers is stopped, killed, frozen and drained while a client
# asks every 5 ms, once for each way of routing. About 90 seconds.
#
#   anycast/routed/failover.sh [MODE…]          static bgp bfd
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- static bgp bfd

# shellcheck disable=SC2016 # it is expanded inside
measure='
    client 10.77.0.1 --watch -i 5ms --timeout 300ms -W 6s --json >$scratch/out 2>/dev/null & asking=$!
    sleep 1.5
    $1 2
    wait $asking || true
    sed "s/.*\"watched\":{\"moves\":[0-9]*,\"gaps\":[0-9]*,\"failed\":\([0-9]*\).*\"gap_ns\":\([0-9]*\).*/\1 \2/" $scratch/out
'
printf '%-8s %-8s %16s %16s\n' routing event 'failed attempts' 'longest gap (ms)'
for mode in "$@"; do
    for event in stop kill9 freeze drain; do
        # Static routes know nothing of health, so there is nothing to drain them with.
        [ "$mode$event" != staticdrain ] || continue
        read -r failed gap < <("$here/namespaces.sh" "$mode" 3 "set -- $event; $measure" 2>/dev/null | tail -n 1)
        printf '%-8s %-8s %16s %16s\n' "$mode" "${event%9}" "$failed" "$((gap / 1000000))"
    done
done
