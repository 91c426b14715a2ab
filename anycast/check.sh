# shellcheck shell=bash disable=SC2154 # $out and the verbs used here are scripts/lab's
# What the anycast lab must show, in containers. Sourced by `scripts/lab anycast check`.

plan 45

# System A's nine segments; > is towards the server. The greeting's length is put in.
nine() { echo ">S <S. >. <P.($1) >. <F. >. >F. <."; }

# conversations FILE: each TCP connection of a capture as one line, its segments in order.
conversations() {
    packets "$1" -tt "tcp port 5000" | awk '
        function close_line() { if (key in told) { print substr(told[key], 2); delete told[key] } }
        {
            flags = $0; sub(/.*Flags \[/, "", flags); sub(/\].*/, "", flags)
            bytes = $0; sub(/.*length /, "", bytes)
            from = $3; to = $5; sub(/:$/, "", to)
            if (to ~ /\.5000$/) { key = from " " to; way = ">" } else { key = to " " from; way = "<" }
            if (flags == "S") close_line()
            told[key] = told[key] " " way flags (bytes + 0 > 0 ? "(" bytes + 0 ")" : "")
        }
        END { for (key in told) print substr(told[key], 2) }'
}

# alike: equal lines as one, with how many there are.
alike() { sort | uniq -c | sed 's/^ *//'; }

# answers FILE: of a client's JSON, one line a replica: NAME ANSWERS.
answers() { grep -o '"name":"[^"]*","address":"[^"]*","answers":[0-9]*' "$1" | sed 's/"name":"\([^"]*\)".*:/\1 /' | sort; }

# greeted SERVICE: of its replicas' logs, one line a replica: NAME CONNECTIONS.
greeted() {
    local id
    for id in $(ids "$1"); do
        echo "$(docker inspect -f '{{.Config.Hostname}}' "$id") $(docker logs "$id" 2>&1 | count '^\[server\] greeted ')"
    done | sort
}

one_name_five_replicas() {
    start --scale server=5
    equal "the client ends with exit code 0" "$(until_ended client 60)" 0
    logs client >"$out/client.log"
    equal "the name 'server' has five addresses" \
        "$(sed -n 's/^server:5000 is //p' "$out/client.log" | tr ',' '\n' | sort -u | count .)" 5
    equal "its three connections were answered" "$(count '^Received: Hello from ' "$out/client.log")" 3
    equal "each replica says where it listens" "$(logs server | count '^\[server\] listening on 0\.0\.0\.0:5000$')" 5
    local named
    named=$(for id in $(ids server); do
        grep -c "^Received: Hello from $(docker inspect -f '{{.Config.Hostname}}' "$id") " "$out/client.log"
    done | awk '{sum += $1} END {print sum}') || true
    equal "each greeting carries the host name of a replica" "$named" 3
    equal "the client's events hold three answers" "$(events client | count '"event":"received"')" 3
    equal "the replicas' events hold three greetings" "$(events server | count '"event":"sent"')" 3

    equal "tcpdump prints 27 segments live" "$(until_log capture 'Flags \[' 27 10)" 27
    equal "the capture holds nine segments for each connection, in system A's order" \
        "$(conversations client.pcap | alike)" "3 $(nine 24)"
    cp "$out/client.pcap" "$out/one-name.pcap" # the next run writes it anew
    packets client.pcap -t | sort >"$out/client.txt"
    packets servers.pcap -t | sort >"$out/servers.txt"
    equal "the replicas' capture holds the same segments as the client's" \
        "$(diff "$out/client.txt" "$out/servers.txt" | count '^[<>]') of $(count . "$out/servers.txt") differ" "0 of 27 differ"
}

a_hundred_connections() {
    dc run --rm -T client --count 100 --seed 7 --json server:5000 >"$out/hundred.json" 2>"$out/hundred.err" || true
    equal "a hundred connections are answered" "$(grep -o '"answered":[0-9]*,"unanswered":[0-9]*' "$out/hundred.json")" \
        '"answered":100,"unanswered":0'
    equal "all five replicas answer" "$(answers "$out/hundred.json" | count .)" 5
    # The seed settles how often each of the five places in the list is picked: the least is 15 of 100.
    at_least "none of them seldom" "$(answers "$out/hundred.json" | sort -k2n | awk 'NR == 1 {print $2}')" 10
    greeted server >"$out/greeted.txt"
    equal "each replica counted what the client counted" "$( (answers "$out/hundred.json"
        sed -n 's/^Received: Hello from \([^ ]*\).*/\1 1/p' "$out/client.log") |
        awk '{sum[$1] += $2} END {for (name in sum) print name, sum[name]}' | sort | tr '\n' ';')" \
        "$(tr '\n' ';' <"$out/greeted.txt")"
}

# Keys, and a test of evenness, over the same five replicas.
sticky_and_even() {
    dc run --rm -T client --count 50 --pick sticky --key ana --json server:5000 >"$out/ana.json" 2>"$out/ana.err" || true
    equal "fifty connections with one key reach one replica" "$(answers "$out/ana.json" | count .) $(answers "$out/ana.json" | awk '{print $2}')" "1 50"
    dc run --rm -T client --count 100 --pick sticky --key 'user-{}' --json server:5000 >"$out/users.json" 2>"$out/users.err" || true
    equal "a hundred users spread over all five" "$(answers "$out/users.json" | count .)" 5
    dc run --rm -T client --count 500 --concurrency 8 --seed 7 server:5000 >"$out/even.log" 2>"$out/even.err" || true
    equal "five hundred at random are as even as chance" "$(count '^as even as chance. yes ' "$out/even.log")" 1
    dc run --rm -T client --count 80 --pick nearest --json server:5000 >"$out/nearest.json" 2>"$out/nearest.err" || true
    equal "the nearest answers, too" "$(grep -o '"answered":[0-9]*' "$out/nearest.json")" '"answered":80'
}

# The same with IPv6 beside IPv4, which the lab's own network leaves out: the resolver sorts the addresses then. And one
# name, half, has an IPv6 address that nobody listens on.
dual_stack_trap() {
    local label=com.docker.compose.project=$COMPOSE_PROJECT_NAME net=$COMPOSE_PROJECT_NAME-dual image=${CASTLAB_IMAGE:-castlab} n
    docker network create --label "$label" --ipv6 --subnet "fd00:28:$(($$ % 9999))::/64" "$net" >/dev/null || true
    serve() { docker run -d --init --label "$label" --name "$net-$1" --network "$net" --network-alias "$2" "$image" \
        anycast-server --bind "$3" --name "$1" >/dev/null || true; }
    ask_both() { docker run --rm --network "$net" "$image" anycast-client "$@" 2>>"$out/dual.err" || true; }
    # until_answers NAME HOW-MANY ARGS…: all who go by that name answer.
    until_answers() {
        local deadline=$((SECONDS + 30))
        while [ "$(ask_both "$1" "${@:3}" --pick round-robin --count "$2" --tries 1 --json | count "\"answered\":$2,")" -lt 1 ] &&
            [ "$SECONDS" -lt "$deadline" ]; do sleep 0.3; done
    }
    # Five replicas and then the client: its address shares more leading bits with the last replica's than with any other's.
    for n in 1 2 3 4 5; do serve "server$n" server '[::]:5000'; done
    until_answers server 10
    ask_both server --pick first --count 60 --json >"$out/first.json"
    equal "with IPv6, whoever takes the first address asks one replica 60 times" "$(answers "$out/first.json" | awk '{print $2}')" 60
    equal "and is told by which rule" "$(grep -o 'rule 9: it shares the longest prefix with our own address' "$out/first.json")" \
        "rule 9: it shares the longest prefix with our own address"
    ask_both server -6 --count 500 --concurrency 8 --seed 7 >"$out/random6.log"
    equal "who picks at random over IPv6 is answered by all five" "$(grep -o '^500 of 500 connections answered by 5 replicas' "$out/random6.log")" \
        "500 of 500 connections answered by 5 replicas"
    equal "as evenly as chance" "$(count '^as even as chance. yes ' "$out/random6.log")" 1
    ask_both server --count 500 --concurrency 8 --seed 8 >"$out/random46.log"
    equal "and as evenly over both families" "$(count '^as even as chance. yes ' "$out/random46.log")" 1
    serve half half 0.0.0.0:5000
    until_answers half 1 -4
    ask_both half --pick first --tries 1 --json >"$out/half.json"
    equal "where IPv6 leads nowhere, whoever takes the first address is refused" \
        "$(grep -o '"answered":[0-9]*,"unanswered":[0-9]*' "$out/half.json")" '"answered":0,"unanswered":1'
    ask_both half --pick race --tries 2 --count 20 --json >"$out/race.json"
    equal "and whoever lets both families race is answered over IPv4" \
        "$(grep -o '"answered":[0-9]*,"unanswered":[0-9]*' "$out/race.json") $(answers "$out/race.json" | awk '$2 > 0' | count .)" \
        '"answered":20,"unanswered":0 1'
    docker rm -f "$net"-server{1..5} "$net-half" >/dev/null || true
    docker network rm "$net" >/dev/null || true
}

# Two hundred connections a second, each allowed to go on to the next candidate. The client meets the dead address until it
# has looked the name up again.
a_replica_dies_under_load() {
    local victim name client
    : >"$out/dying.log" # it is read before its writer has begun
    victim=$(ids server | sed -n 1p)
    name=$(docker inspect -f '{{.Config.Hostname}}' "$victim")
    dc run --rm -T client --watch --count 2000 --interval 5ms --concurrency 8 --timeout 300ms --seed 7 server:5000 \
        >"$out/dying.log" 2>&1 & client=$!
    local deadline=$((SECONDS + 90)) # a container may take long to start on a busy machine
    while [ "$(count "(\] |-> )$name( answers$|:)" "$out/dying.log")" -lt 1 ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.1; done
    sleep 2
    docker kill "$victim" >/dev/null
    local code=0; wait "$client" || code=$?
    equal "one of five is killed under load, and a client with retry still ends with 0" "$code" 0
    equal "not one of its 2000 connections failed" "$(grep -o '^2000 of 2000 connections answered by 5 replicas' "$out/dying.log")" \
        "2000 of 2000 connections answered by 5 replicas"
    at_least "it met the dead replica, went on to the next, and says so" \
        "$(sed -n 's/^\([0-9]*\) tr[yies]* failed, the first at .*/\1/p' "$out/dying.log")" 1
    equal "it says who answers no more" "$(count "\] $name answers no more, for " "$out/dying.log")" 1
    at_least "and prints the gap each time" "$(count ', [0-9]+ attempts? failed, gap [0-9.]+ .?s$' "$out/dying.log")" 1
    echo "   killed under load: $(grep -o "$name answers no more, for .*" "$out/dying.log"); $(grep -o '^[0-9]* tr[yies]* failed' "$out/dying.log")," \
        "$(sed -n 's/^another replica .*, in \([0-9]* gaps*\)$/\1/p' "$out/dying.log"), $(grep -o '^longest gap: .*' "$out/dying.log")"
    equal "the dead replica never answers again" "$(sed "1,/\] $name answers no more/d" "$out/dying.log" | count "-> $name:")" 0
}

a_clean_end() {
    local id; id=$(ids server | sed -n 2p)
    at_most "a replica stops within 3 s of being asked (milliseconds)" "$(milliseconds docker stop --time 10 "$id")" 3000
    equal "it ends with exit code 0" "$(docker inspect -f '{{.State.ExitCode}}' "$id")" 0
    equal "and with its count" "$(docker logs "$id" 2>&1 | count '^\[server\] [0-9a-f]{12} greeted [0-9]+ connections$')" 1
    end
    equal "down leaves no container, network or volume" "$(left_over | wc -l)" 0
}

parts_alone() {
    start --scale server=3 server
    equal "up --scale server=3 server starts three replicas and nothing else" "$(dc ps -q | count .) $(ids server | count .)" "3 3"
    dc run --rm -T client >"$out/alone.log" 2>"$out/alone.err" || true
    equal "run --rm client is answered three times" "$(count '^Received: Hello from ' "$out/alone.log")" 3
    equal "by three candidates" "$(sed -n 's/^server:5000 is //p' "$out/alone.log" | tr ',' '\n' | count .)" 3
    end
    equal "down leaves nothing again" "$(left_over | wc -l)" 0
}

five_names() {
    export COMPOSE_FILE=compose.named.yaml
    COUNT=1 start
    equal "system A: the client ends with exit code 0" "$(until_ended client 60)" 0
    logs client >"$out/named.log"
    equal "it receives one greeting of a named server" "$(count '^Received: Hello from server[1-5] ' "$out/named.log")" 1
    until_log capture 'Flags \[' 9 10 >/dev/null
    equal "the capture holds nine segments, 19 bytes in the fourth" "$(conversations named.pcap | alike)" "1 $(nine 19)"
    dc run --rm -T client --count 60 --seed 7 --json server1:5000 server2:5000 server3:5000 server4:5000 server5:5000 \
        >"$out/sixty.json" 2>"$out/sixty.err" || true
    equal "sixty connections reach all five names" "$(answers "$out/sixty.json" | awk '{printf "%s ", $1}')" \
        "server1 server2 server3 server4 server5 "
    equal "the capture lost none of their segments" "$(until_log capture 'Flags \[' 549 10) $(conversations named.pcap | alike)" \
        "549 61 $(nine 19)"
    end
    equal "down leaves nothing" "$(left_over | wc -l)" 0
    unset COMPOSE_FILE
}

one_name_five_replicas
a_hundred_connections
sticky_and_even
a_replica_dies_under_load
a_clean_end
parts_alone
five_names
dual_stack_trap
