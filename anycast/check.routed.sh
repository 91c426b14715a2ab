# shellcheck shell=bash disable=SC2154 # $out and the verbs used here are scripts/lab's
# What the anycast lab must show when one address is on every server. Sourced by `scripts/lab anycast check --routed`.

plan 24

# Addresses of our own, so that a lab of yours may run beside this one.
export COMPOSE_FILE=compose.routed.yaml NET=87
address=10.87.0.1

# ask NAME ARGS…: a client's run, its JSON in $out/NAME.json.
ask() {
    local name=$1; shift
    dc run --rm -T client --json "$@" >"$out/$name.json" 2>"$out/$name.err" || true
}

# of NAME KEY: the first number of that name in it.
of() { grep -o "\"$2\":[0-9]*" "$out/$1.json" | sed -n '1s/.*://p'; }

# The failed attempts of a client that asks every 5 ms while COMMAND happens to one server; its longest gap is told. It
# waits for an answer longer than BFD needs to notice, so that what BFD should save from failing is not asked twice.
failed_amid() {
    local name=$1; shift
    ask "$name" --watch --interval 5ms --timeout 400ms --deadline 8s "$address" & local asking=$!
    sleep 4
    "$@" >/dev/null 2>&1
    wait "$asking"
    echo "   $name: $(of "$name" answered) answers, $(of "$name" failed) failed attempts, longest gap $(($(of "$name" gap_ns) / 1000000)) ms" >&3
    of "$name" failed
}

# server N: its container.
server() { ids server | sed -n "$1p"; }

begin() {
    export MODE=$1
    start --scale server="$2" router server
    local deadline=$((SECONDS + 40))
    # The routes, and with static ones the listeners: all of them answer.
    while ask "$MODE-all" --count 100 --timeout 1s "$address"
        [ "$(grep -o '"address":"[^"]*","answers":[1-9]' "$out/$MODE-all.json" | count .)" -lt "$2" ] && [ "$SECONDS" -lt "$deadline" ]; do
        sleep 0.5
    done
    equal "$1: all $2 servers answer at one address" \
        "$(grep -o '"address":"[^"]*","answers":[1-9]' "$out/$MODE-all.json" | sed 's/,.*//' | alike)" "$2 \"address\":\"$address:5000\""
}

alike() { sort | uniq -c | sed 's/^ *//'; }

finish() {
    end
    equal "$1: down leaves nothing" "$(left_over | wc -l)" 0
}

static_routes() {
    begin static 4
    at_most "static: a stopped server costs attempts until the list is edited" "$(failed_amid static-stop docker stop --time 5 "$(server 1)")" 100
    at_most "static: a killed one too" "$(failed_amid static-kill docker kill "$(server 2)")" 100
    at_least "static: a frozen one costs every flow that goes there, and nobody notices" "$(failed_amid static-freeze docker pause "$(server 3)")" 3
    docker unpause "$(server 3)" >/dev/null
    finish static
}

bgp() {
    begin bgp 6
    equal "bgp: a drained server costs nothing" "$(failed_amid bgp-drain docker kill --signal USR1 "$(server 1)")" 0
    equal "bgp: a stopped one withdraws first and costs nothing" "$(failed_amid bgp-stop docker stop --time 5 "$(server 2)")" 0
    at_most "bgp: a killed one costs attempts until its session is gone" "$(failed_amid bgp-kill docker kill "$(server 3)")" 20
    at_least "bgp: a frozen one costs attempts until the hold time of 3 s is over" "$(failed_amid bgp-freeze docker pause "$(server 4)")" 1
    docker unpause "$(server 4)" >/dev/null
    finish bgp
}

bfd() {
    begin bfd 6
    equal "bfd: a drained server costs nothing" "$(failed_amid bfd-drain docker kill --signal USR1 "$(server 1)")" 0
    equal "bfd: a stopped one costs nothing" "$(failed_amid bfd-stop docker stop --time 5 "$(server 2)")" 0
    at_most "bfd: a killed one costs next to nothing" "$(failed_amid bfd-kill docker kill "$(server 3)")" 1
    at_most "bfd: a frozen one costs 0.3 s" "$(failed_amid bfd-freeze docker pause "$(server 4)")" 1
    docker unpause "$(server 4)" >/dev/null
    local id; id=$(server 5)
    docker exec "$id" birdc -s /run/bird/server.ctl down >/dev/null
    equal "bfd: a server whose BIRD is gone ends with 1" "$(timeout 20 docker wait "$id")" 1
    finish bfd
}

tcp_break() {
    begin bfd 5
    start capture
    until_log capture 'listening on' 1 >/dev/null
    dc run --rm -T client --hold 200 --interval 50ms --timeout 2s --deadline 8s --seed 1 "$address:8080" >"$out/held.log" 2>"$out/held.err" & local holding=$!
    sleep 4
    docker stop --time 5 "$(server 2)" >/dev/null
    wait "$holding" || true
    at_least "kept connections break when one of five servers stops" "$(sed -n 's/^\([0-9]*\) of 200 kept connections broke.*/\1/p' "$out/held.log")" 20
    at_least "each is told with where its flow went" "$(count 'reset: your flow moved from [0-9a-f]{12} to [0-9a-f]{12}, which never saw it' "$out/held.log")" 20
    at_least "some were with servers that are still there: only the route moved" \
        "$(sed -n 's/^\([0-9]*\) of them were with a replica that is still there.*/\1/p' "$out/held.log")" 1
    at_least "the capture shows their resets, live" "$(until_log capture "$address\.8080 > .* Flags \[R" 20 10)" 20
    finish "tcp break"
}

static_routes
bgp
bfd
tcp_break
