# shellcheck shell=bash disable=SC2154 # $out and the verbs used here are scripts/lab's
# What the multicast lab must show, in containers. Sourced by `scripts/lab multicast check`.

plan 35

# address SERVICE: its container's address in the lab's network.
address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$(ids "$1")"; }

# The lab as it is, and the outsider with it: each sender sends for 15 seconds, and receiver2 leaves in the midst of that.
run() {
    export COMPOSE_PROFILES=outsider,numbered
    start
    # Asked for while they run: a container that has ended has no address any more.
    local part
    for part in receiver1 receiver2 sender1 sender2; do echo "$part $(address "$part")" >>"$out/addresses.txt"; done
    for part in sender1 sender2 receiver1 receiver2; do
        equal "$part ends with exit code 0" "$(until_ended "$part" 60)" 0
    done
    equal "the outsider, in another group on the same port, ends with exit code 4: nobody was heard" "$(until_ended outsider 60)" 4
    for part in several single early; do
        equal "$part ends with exit code 0" "$(until_ended "$part" 60)" 0
    done
    for part in sender1 sender2 receiver1 receiver2 outsider several single early; do
        logs "$part" >"$out/$part.log"
        case $part in several | single | early) ;; *) events "$part" >"$out/$part.jsonl" ;; esac
    done
}

ip_of() { sed -n "s/^$1 //p" "$out/addresses.txt"; }

# heard RECEIVER [KIND [SENDER]]: how many messages its events hold.
heard() {
    local from=; [ -z "${3:-}" ] || from=$(ip_of "$3")
    grep '"event":"received"' "$out/$1.jsonl" | grep -F "\"what\":\"${2:-}" | count "\"peer\":\"${from:-.*}:[0-9]+\""
}

receivers() {
    local part
    for part in receiver1 receiver2; do
        equal "$part says that it joins, listens and leaves" \
            "$(grep -oE '^(Joined multicast group|Listening on multicast group 224\.1\.1\.1:5007$|Leaving multicast group and closing socket\.$)' "$out/$part.log" | tr '\n' ';')" \
            "Joined multicast group;Listening on multicast group 224.1.1.1:5007;Leaving multicast group and closing socket.;"
    done
    equal "each sender sends 10 rounds of three" "$(count '"event":"sent"' "$out/sender1.jsonl") $(count '"event":"sent"' "$out/sender2.jsonl")" "30 30"
    for part in sender1 sender2; do
        equal "receiver1, who stays, hears all 30 of $part: 10 texts, 10 JSON, 10 binary" \
            "$(heard receiver1 text "$part") $(heard receiver1 json "$part") $(heard receiver1 binary "$part")" "10 10 10"
    done
    equal "the texts and the JSON of both senders are system C's" \
        "$(grep -oE 'Hello, this is a multicast message from sender[12]\.|\{"sensor": "(temp", "value": 22\.29|humidity", "value": 48\.5)\}' "$out/receiver1.log" | sort | uniq -c | awk '{printf "%s ", $1}')" \
        "10 10 10 10 "
    equal "receiver1's table has two sources" "$(grep -cE '^[│ ]+[0-9.]+:[0-9]+ +30 ' "$out/receiver1.log" || true)" 2
    at_least "receiver2, who leaves early, hears some" "$(heard receiver2)" 3
    at_most "and misses some" "$(heard receiver2)" 59
    equal "the outsider hears none" "$(heard outsider)" 0
}

# result RECEIVER NAME: the first figure of that name in its JSON object.
result() { grep -oE "\"$2\":[0-9]+" "$out/$1.log" | head -n 1 | grep -oE '[0-9]+$' || true; }

numbered() {
    equal "several hears both sources, all 100 messages of each, and none is missing" \
        "$(result several messages) $(result several lost) $(count '"ssrc":' "$out/several.log")" "200 0 1"
    equal "single asked for the first source alone: its 100 messages" "$(result single messages)" 100
    equal "and its kernel let in no other" "$(result single strangers)" 0
    at_least "early, who was away, hears some" "$(result early messages)" 1
    at_least "and knows what it missed meanwhile" "$(result early while_away)" 2
    equal "which was all that it did not hear" "$(($(result early messages) + $(result early while_away)))" 200
}

# reports MEMBER CHANGE GROUP: times of its IGMPv3 reports that say so; to_ex {} is joining, to_in {} leaving (RFC 3376
# section 5.1). Each is sent twice or so, for one may get lost.
reports() {
    awk -v from="$(ip_of "$1")" -v change="$2" -v group="$3" \
        '/proto IGMP/ {time = $1} $1 == from && /igmp v3 report/ && index($0, "gaddr " group " " change) {print time}' "$out/packets.txt"
}

capture() {
    packets multicast.pcap -tt -v >"$out/packets.txt"
    local part
    for part in receiver1 receiver2; do
        at_least "the capture holds $part's join" "$(reports "$part" to_ex 224.1.1.1 | count .)" 1
        at_least "and its leave" "$(reports "$part" to_in 224.1.1.1 | count .)" 1
    done
    equal "no sender joins or leaves anything" "$( (reports sender1 to 224.1.1.1; reports sender2 to 224.1.1.1) | count .)" 0
    packets multicast.pcap -tt "udp port 5007" >"$out/datagrams.txt"
    equal "the capture holds all 60 datagrams" "$(count ' > 224\.1\.1\.1\.5007: UDP' "$out/datagrams.txt")" 60
    # What receiver2 no longer gets: the datagrams after its leave. One may be under way while it leaves.
    local left after
    left=$(reports receiver2 to_in 224.1.1.1 | sed -n 1p)
    after=$(awk -v left="$left" 'left != "" && $1 > left' "$out/datagrams.txt" | count .)
    at_least "datagrams follow receiver2's leave in the capture" "$after" 1
    at_most "and they are what it missed, give or take the one under way" "$(distance $((60 - $(heard receiver2))) "$after")" 1
    equal "the first packet of the capture is a join" "$(sed -n 2p "$out/packets.txt" | grep -oE 'to_ex')" to_ex
    equal "tcpdump printed live what it wrote" "$(logs capture | count '^[0-9:.]+ IP ')" "$(count '^[0-9.]+ IP ' "$out/packets.txt")"
}

distance() { echo $(($1 > $2 ? $1 - $2 : $2 - $1)); }

clean_end() {
    end
    equal "down leaves no container, network or volume" "$(left_over | wc -l)" 0
}

run
receivers
numbered
capture
clean_end
