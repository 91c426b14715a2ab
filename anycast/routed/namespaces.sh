#!/bin/bash
# Anycast by routing on this machine alone: a client, a router and servers that all own one address, each in a network
# namespace of its own, and no root is needed.
#
#   anycast/routed/namespaces.sh static|resilient|bgp|bfd SERVERS COMMAND…
#
# builds the network, waits until every server is announced, and runs COMMAND in bash with these verbs:
#
#   client ARGS…         anycast-client in the client's place; the address is 10.77.0.1
#   at client|N ARGS…    any command in the place of the client or of server N
#   stop|kill9|freeze|thaw|drain N
#   until_routes N       waits until the router knows N next hops
#   until_lines FILE PATTERN N
#
# $scratch is a folder for files. The programs are looked for in $CASTLAB_BIN (target/release), then on the PATH; bgp and
# bfd need BIRD 2 (Debian: bird2).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${CASTLAB_INSIDE:-}" ]; then
    [ $# -ge 3 ] || { sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$0" >&2; exit 2; }
    # Who is root stays it, because tcpdump wants to be a user that exists; anybody else becomes root of the namespaces. In
    # a pid namespace of their own, all programs end with the last command, whatever happens.
    user=(--user --map-root-user)
    ! unshare --net true 2>/dev/null || user=()
    CASTLAB_INSIDE=1 exec unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

export MODE=$1 NET=77
ANYCAST=10.77.0.1
count=$2; shift 2
PATH=${CASTLAB_BIN:-$here/../../target/release}:$PATH:/usr/sbin:/sbin
unset "${!CASTLAB_@}" # else the programs would take them for their flags
mount --make-rprivate / # nothing of this is seen outside
mount -t tmpfs tmpfs /run
scratch=/run/castlab
mkdir -p "$scratch" /run/netns

at() {
    local place=$1; shift
    case $place in client) ;; *) place=server$place ;; esac
    nsenter --net="/run/netns/$place" "$@"
}
client() { at client anycast-client "$@"; }

# This namespace is the router.
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
# Addresses, protocol and ports decide (Linux 5.14 or newer). Policy 1 says it does the same, but takes a hash that comes
# with the packet where there is one, and what a socket on this machine sends brings a random one.
echo 55 >/proc/sys/net/ipv4/fib_multipath_hash_fields
echo 3 >/proc/sys/net/ipv4/fib_multipath_hash_policy
ip link add back type bridge
ip addr add 10.77.2.2/24 dev back
ip link set back up
ip netns add client
ip link add front type veth peer name eth0 netns client
ip addr add 10.78.1.2/24 dev front
ip link set front up
at client ip link set lo up
at client ip addr add 10.78.1.10/24 dev eth0
at client ip link set eth0 up
at client ip route add "$ANYCAST/32" via 10.78.1.2

declare -a pids=()
for n in $(seq "$count"); do
    ip netns add "server$n"
    ip link add "port$n" type veth peer name eth0 netns "server$n"
    ip link set "port$n" master back
    ip link set "port$n" up
    at "$n" ip link set lo up
    at "$n" ip addr add "10.77.2.$((10 + n))/24" dev eth0
    at "$n" ip link set eth0 up
    echo "10.77.2.$((10 + n))"
done >"$scratch/servers"
SERVERS=$scratch/servers RUN=$scratch/router "$here/router.sh" >"$scratch/router.log" 2>&1 &
for n in $(seq "$count"); do
    RUN=$scratch/server$n setsid nsenter --net="/run/netns/server$n" \
        "$here/server.sh" --name "server-$n" -q >"$scratch/server$n.log" 2>&1 &
    pids[n]=$!
done

routes() {
    local shown; shown=$(ip route show "$ANYCAST")
    case $shown in
        *nhid*) ip nexthop show id 1000 | sed 's/.*group \([^ ]*\).*/\1/' | tr '/' '\n' | grep -c . || true ;;
        '') echo 0 ;;
        *nexthop*) grep -c 'nexthop' <<<"$shown" ;;
        *) echo 1 ;;
    esac
}
until_routes() {
    local deadline=$((SECONDS + 30))
    while [ "$(routes)" -ne "$1" ]; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "namespaces: $(routes) routes instead of $1" >&2; cat "$scratch"/*.log >&2; return 1; }
        sleep 0.05
    done
}
until_lines() {
    local deadline=$((SECONDS + 30))
    until [ "$(grep -cE -- "$2" "$1" 2>/dev/null || true)" -ge "$3" ]; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "namespaces: no $3 lines of '$2' in $1" >&2; return 1; }
        sleep 0.02
    done
}
# What an operator would do with a static route: take the server out of the list once it is gone, half a second later.
unlist() { grep -vx "10.77.2.$((10 + $1))" "$scratch/servers" >"$scratch/servers.new" || true; mv "$scratch/servers.new" "$scratch/servers"; }
gone() { ip link del "port$1"; unlist "$1"; }
stop() { kill -TERM "${pids[$1]}"; wait "${pids[$1]}" || true; gone "$1"; }
kill9() {
    kill -KILL -- "-${pids[$1]}"
    wait "${pids[$1]}" 2>/dev/null || true
    gone "$1"
}
freeze() { kill -STOP -- "-${pids[$1]}"; }
thaw() { kill -CONT -- "-${pids[$1]}"; }
drain() { kill -USR1 "${pids[$1]}"; }

until_routes "$count"
# The servers listen before they announce; with static routes nobody waited for that.
for n in $(seq "$count"); do
    timeout 20 bash -c "until nsenter --net=/run/netns/server$n bash -c ': </dev/tcp/$ANYCAST/5000' 2>/dev/null; do sleep 0.05; done"
done
eval "$*"
