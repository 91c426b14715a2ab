#!/bin/bash
# A server of the routed lab: owns ANYCAST, and announces it for as long as its own health check passes.
#
#   TERM   withdraw, wait until the router has sent the flows elsewhere, stop the server: nobody is cut off
#   USR1   withdraw and go on serving (maintenance);   USR2   announce again
#
# It ends with 1 when its anycast-server or its BIRD does.
#
# RISE checks in a row must pass before it announces, FALL must fail before it withdraws, one every EVERY seconds.
set -euo pipefail
MODE=${MODE:-bfd} NET=${NET:-77} RUN=${RUN:-/run/bird}
ANYCAST=10.$NET.0.1 ROUTER=10.$NET.2.2
RISE=${RISE:-2} FALL=${FALL:-2} EVERY=${EVERY:-0.2} SETTLE=${SETTLE:-0.3}

ip addr replace "$ANYCAST/32" dev lo
ip route replace "10.$((NET + 1)).1.0/24" via "$ROUTER"

anycast-server --bind "$ANYCAST:5000" --http 0.0.0.0:8080 --drain "${DRAIN:-500ms}" "$@" & app=$!

speaks_bgp() { [ "$MODE" = bgp ] || [ "$MODE" = bfd ]; }

if speaks_bgp; then
    mkdir -p "$RUN"
    [ "$MODE" = bfd ] && bfd='bfd on;' || bfd=''
    cat >"$RUN/server.conf" <<CONF
log stderr { error, fatal, warning };
router id $(ip -o -4 addr show eth0 | awk '{split($4, part, "/"); print part[1]; exit}');
protocol device { scan time 1; }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
protocol static anycast { disabled yes; ipv4; route $ANYCAST/32 unreachable; }
protocol bgp uplink {
  local as 65001;
  neighbor $ROUTER as 65000;
  hold time 3; keepalive time 1; connect delay time 0; connect retry time 1; error wait time 1, 2;
  $bfd
  ipv4 { import none; export where net = $ANYCAST/32; };
}
CONF
    bird -f -c "$RUN/server.conf" -s "$RUN/server.ctl" & bird=$!
fi

announced=no wanted=yes
announce() {
    [ "$announced" = no ] || return 0
    if speaks_bgp; then birdc -s "$RUN/server.ctl" enable anycast >/dev/null || return 0; fi
    announced=yes
    echo "announced $ANYCAST"
}
withdraw() {
    [ "$announced" = yes ] || return 0
    # The static route is where the announcement comes from. The address stays: who is still on the way here is served.
    if speaks_bgp; then birdc -s "$RUN/server.ctl" disable anycast >/dev/null || true; fi
    announced=no
    echo "withdrawn $ANYCAST: $1"
}

# shellcheck disable=SC2317 # the trap calls it
stop() {
    trap '' TERM INT
    withdraw "stopping"
    sleep "$SETTLE"
    kill -TERM "$app"
    wait "$app" || true
    [ -z "${bird:-}" ] || kill "$bird"
    wait
    exit 0
}
trap stop TERM INT
trap 'wanted=no; withdraw maintenance' USR1
trap 'wanted=yes' USR2

# Signals to several processes at once succeed when one of them is there, so each is asked alone.
gone() {
    if ! kill -0 "$app" 2>/dev/null; then echo "the server"
    elif [ -n "${bird:-}" ] && ! kill -0 "$bird" 2>/dev/null; then echo "BIRD"
    else return 1; fi
}

# A child in the foreground would hold a signal up until it ends; waiting for one in the background does not.
good=0 bad=0
while ! missing=$(gone); do
    if anycast-client --protocol http --path /health --timeout 300ms 127.0.0.1:8080 >/dev/null 2>&1; then
        good=$((good + 1)) bad=0
    else
        bad=$((bad + 1)) good=0
    fi
    [ "$good" -lt "$RISE" ] || [ "$wanted" = no ] || announce
    [ "$bad" -lt "$FALL" ] || withdraw "unhealthy"
    sleep "$EVERY" & wait $! || true
done
# Without BIRD nobody is sent here any more, and the neighbour is not told when we are unhealthy: end, and let whoever
# started us see it.
withdraw "$missing is gone"
echo "server.sh: $missing ended by itself, so this server ends too; its last words stand above" >&2
kill "$app" ${bird:+"$bird"} 2>/dev/null || true
wait
exit 1
