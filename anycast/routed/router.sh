#!/bin/bash
# The router of the routed lab: spreads flows for ANYCAST over the servers that own it.
#
#   MODE=static      equal-cost routes to every server that Docker's DNS (or SERVERS) lists, and nothing else is known
#   MODE=resilient   the same through a resilient next-hop group: flows of servers that stay, stay (Linux 5.12 or newer)
#   MODE=bgp         routes that the servers announce over BGP; a server is gone when its session is
#   MODE=bfd         the same, and BFD tells within 0.3 s that a server has fallen silent
set -euo pipefail
MODE=${MODE:-bfd} NET=${NET:-77} RUN=${RUN:-/run/bird}
ANYCAST=10.$NET.0.1 ME=10.$NET.2.2

# In containers, the front network gets addresses of the lab's own (10.78.1.0/24): Docker 28 and newer drop a frame for a
# container's Docker address that is seen on another Docker bridge, which is what a routed answer is.
front=$(ip -o -4 addr show | awk -v front="10.$NET.1." 'index($4, front) == 1 {print $2}')
[ -z "$front" ] || ip addr replace "10.$((NET + 1)).1.2/24" dev "$front"

servers() {
    if [ -n "${SERVERS:-}" ]; then cat "$SERVERS"; else getent ahostsv4 server | awk '{print $1}' | sort -u; fi
}

follow_static() {
    local old='' now hops
    while :; do
        now=$(servers | tr '\n' ' ') || now=''
        if [ "$now" != "$old" ]; then
            hops=$(for address in $now; do printf 'nexthop via %s ' "$address"; done)
            # shellcheck disable=SC2086 # words
            if [ -n "$now" ]; then ip route replace "$ANYCAST/32" $hops; else ip route del "$ANYCAST/32" || true; fi
            echo "$ANYCAST/32 is reached through: ${now:-nobody}"
            old=$now
        fi
        sleep 0.5
    done
}

# One next hop a server, numbered by its address; the group has a table of 128 buckets, and only the buckets of a server
# that goes are given to others.
follow_resilient() {
    local old='' now address group
    while :; do
        now=$(servers | tr '\n' ' ') || now=''
        if [ "$now" != "$old" ]; then
            group=''
            for address in $now; do
                ip nexthop replace id "${address##*.}" via "$address" dev "$(ip -o route get "$address" | sed 's/.* dev \([^ ]*\).*/\1/')"
                group=$group/${address##*.}
            done
            if [ -n "$now" ]; then
                ip nexthop replace id 1000 group "${group#/}" type resilient buckets 128 idle_timer 0
                ip route replace "$ANYCAST/32" nhid 1000
            fi
            echo "$ANYCAST/32 is reached through a resilient group of: ${now:-nobody}"
            old=$now
        fi
        sleep 0.5
    done
}

case $MODE in
    static) follow_static ;;
    resilient) follow_resilient ;;
    bgp) bfd='' ;;
    bfd) bfd='bfd on;' ;;
    *) echo "router: MODE is static, resilient, bgp or bfd, not '$MODE'" >&2; exit 2 ;;
esac

mkdir -p "$RUN"
cat >"$RUN/router.conf" <<CONF
log stderr all;
router id $ME;
protocol device { scan time 10; }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
protocol kernel { merge paths on limit 16; ipv4 { import none; export all; }; }
protocol bgp servers {
  local $ME as 65000;
  neighbor range ${ME%.*}.0/24 as 65001;     # any server that calls in
  dynamic name "server";
  passive on;
  hold time 3; keepalive time 1; error wait time 1, 2;
  $bfd
  ipv4 { import where net = $ANYCAST/32; export none; };
}
CONF
exec bird -f -c "$RUN/router.conf" -s "$RUN/router.ctl"
