#!/bin/bash
# Connections per second of the anycast programs, as ratios against ab, wrk and nginx in the same run.
#
#   anycast/bench.sh [ROUNDS [CONNECTIONS]]      7 rounds of 20000 connections each, 32 at once, one request each
#
# Needs a release build (cargo build --release -p anycast) and, from Debian, apache2-utils, wrk and nginx-light. Everything
# stays on loopback. A ratio is of two runs of the same round; the figure is the median of the rounds, with the least and
# the most, because other work on the machine may fall on either run. The order changes from round to round.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7} connections=${2:-20000} at_once=32
ours=8951 theirs=8952 greeting=8953
bin=$(pwd)/target/release
for program in ab wrk nginx "$bin/anycast-client" "$bin/anycast-server"; do
    command -v "$program" >/dev/null || { echo "bench: $program is missing" >&2; exit 3; }
done

scratch=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$scratch"' EXIT

cat >"$scratch/nginx.conf" <<CONF
daemon off; pid $scratch/nginx.pid; error_log $scratch/error.log; worker_processes auto;
events { worker_connections 4096; }
http {
    access_log off; client_body_temp_path $scratch; proxy_temp_path $scratch; fastcgi_temp_path $scratch;
    uwsgi_temp_path $scratch; scgi_temp_path $scratch;
    server { listen 127.0.0.1:$theirs backlog=4096; location / { default_type text/plain; return 200 "Hello from nginx\n"; } }
}
CONF
nginx -c "$scratch/nginx.conf" 2>>"$scratch/nginx.err" & pids+=($!)
"$bin/anycast-server" --bind 127.0.0.1:$ours --protocol http --name ours -q >/dev/null & pids+=($!)
"$bin/anycast-server" --bind 127.0.0.1:$greeting --name ours -q >/dev/null & pids+=($!)
for port in $ours $theirs $greeting; do
    timeout 10 bash -c "until (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; do :; done" || { echo "bench: port $port stays closed" >&2; exit 3; }
done

# Each prints connections per second.
with_ab() { ab -l -q -n "$connections" -c $at_once "http://127.0.0.1:$1/" 2>/dev/null | awk '/^Requests per second/ {print $4} /^Failed requests/ && $3 > 0 {print "failed " $3 > "/dev/stderr"}'; }
with_wrk() { wrk -t 2 -c $at_once -d 2s -H 'Connection: close' "http://127.0.0.1:$1/" | awk '/^Requests\/sec/ {print $2}'; }
with_us() {
    RUST_LOG=warn "$bin/anycast-client" "127.0.0.1:$1" --protocol "$2" -c "$connections" --concurrency $at_once --json |
        sed 's/.*"answered":\([0-9]*\).*"elapsed_ns":\([0-9]*\).*/\1 \2/' | awk '{print $1 / $2 * 1e9}'
}

# What is compared most stands side by side.
runs=(
    "anycast-client nginx;with_us $theirs http" "wrk nginx;with_wrk $theirs"
    "anycast-client anycast-server;with_us $ours http" "wrk anycast-server;with_wrk $ours"
    "anycast-client anycast-server(greeting);with_us $greeting greeting" "ab nginx;with_ab $theirs"
    "ab anycast-server;with_ab $ours"
)
for ((round = 0; round < rounds; round++)); do
    for ((i = 0; i < ${#runs[@]}; i++)); do
        run=${runs[((i + round) % ${#runs[@]})]}
        # shellcheck disable=SC2086 # a function and its arguments
        echo "$((round + 1)) ${run%%;*} $(${run#*;})"
    done
done | tee "$scratch/rounds" >&2

awk -v rounds="$rounds" '
    { persecond[$1, $2 " " $3] = $4 }
    function sort(values, n,    i, j, kept) {
        for (i = 2; i <= n; i++) {
            kept = values[i]
            for (j = i - 1; j >= 1 && values[j] > kept; j--) values[j + 1] = values[j]
            values[j + 1] = kept
        }
    }
    function median(values, n) { return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2 }
    function row(what, ours, theirs,    n, i, a, b, ratio) {
        for (i = 1; i <= rounds; i++) if (persecond[i, ours] > 0 && persecond[i, theirs] > 0) {
            n++; a[n] = persecond[i, ours]; b[n] = persecond[i, theirs]; ratio[n] = a[n] / b[n]
        }
        if (n < rounds) { printf "%s: %d of %d rounds gave no figure\n", what, rounds - n, rounds; failed = 1 }
        if (n == 0) return
        sort(a, n); sort(b, n); sort(ratio, n)
        printf "%-40s %8.0f / %8.0f   %.2f (%.2f to %.2f)\n", what, median(a, n), median(b, n), median(ratio, n), ratio[1], ratio[n]
    }
    END {
        print "connections per second, ours / theirs    medians               ratio (least to most)"
        row("client and server, against wrk and nginx", "anycast-client anycast-server", "wrk nginx")
        row("client and server, against ab and nginx", "anycast-client anycast-server", "ab nginx")
        row("the same, greeting instead of HTTP, wrk", "anycast-client anycast-server(greeting)", "wrk nginx")
        row("server alone, asked by wrk", "wrk anycast-server", "wrk nginx")
        row("server alone, asked by ab", "ab anycast-server", "ab nginx")
        row("client alone, asking nginx, against wrk", "anycast-client nginx", "wrk nginx")
        row("client alone, asking nginx, against ab", "anycast-client nginx", "ab nginx")
        exit failed
    }' "$scratch/rounds"
