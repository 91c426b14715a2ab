# shellcheck shell=bash disable=SC2154 # $out and the verbs used here are scripts/lab's
# What the file transfer lab must show, in containers. Sourced by `scripts/lab udp-transfer check`.

plan 37

size=$((4 * 1024 * 1024)) # of sample.bin
export SIZE=4M CASTLAB_SILENCE=2s

# total NAME FILE: the sum of a figure over the event records of a file.
total() { sed -n "s/.*\"name\":\"$1\",\"value\":\([0-9]*\).*/\1/p" "$2" | awk '{sum += $1} END {print sum + 0}'; }

# run NAME: one run of the lab; its logs, events, downloads and packets go to files of that name.
run() {
    start
    code=$(until_ended client 120)
    logs client >"$out/$1.log"
    events client >"$out/$1.client.jsonl"
    docker cp "$(ids client):/downloads" - | tar -tv | awk '$1 ~ /^-/ {print $NF, $3}' | sed 's|.*/||' | sort -V >"$out/$1.files"
    packets transfer.pcap >"$out/$1.packets"
    cp "$out/transfer.pcap" "$out/$1.pcap"
}

# stop_server NAME: ends it, after which its events are complete.
stop_server() {
    dc stop -t 10 server >>"$out/up.log" 2>&1
    logs server >"$out/$1.server.log"
    events server >"$out/$1.server.jsonl"
}

# delivered FILE: file bytes that reached the client's interface; a command or an answer has less than 300.
delivered() { awk '/\.6969 > .*UDP, length/ && $NF >= 300 {sum += $NF} END {print sum + 0}' "$1"; }

# content CONTAINER PATH: how long a file is and its hash, for nothing at all has a hash too.
content() {
    docker cp "$1:$2" - | tar -xO >"$out/content"
    echo "$(stat -c %s "$out/content") $(sha256sum <"$out/content" | cut -d ' ' -f 1)"
}

# original: the same of the server's file, with the length it must have.
original() { echo "$size $(content "$(ids server)" /files/sample.bin | cut -d ' ' -f 2)"; }

# names CLIENTS EXTENSION: as system D names the files.
names() { seq 1 "$1" | sed "s/.*/Cliente&-Prueba$1.$2/" | tr '\n' ' '; }

one_client_gently() {
    export CLIENTS=1 CASTLAB_BITRATE=50M
    run gently
    equal "one client at 50 Mbit/s ends with exit code 0: every byte came" "$code" 0
    equal "its file is named as in system D, and has the file's size" "$(cat "$out/gently.files")" "Cliente1-Prueba1.bin $size"
    equal "and is the server's, byte for byte" \
        "$(content "$(ids client)" /downloads/Cliente1-Prueba1.bin)" "$(original)"
    equal "its table says so" "$(grep -cE "^[│ ]+1 +yes +$size +0 % " "$out/gently.log" || true)" 1
    equal "the capture holds every byte of it" "$(delivered "$out/gently.packets")" "$size"
    equal "in 65 datagrams, 64 of them as large as UDP allows" "$(count '\.6969 > .*UDP, length (65507|[0-9]{3,4})$' "$out/gently.packets") $(count 'length 65507$' "$out/gently.packets")" "65 64"
    # 65507 bytes and 8 of header in pieces of 1480 are 45 fragments; the rest of the file, 1856 bytes, is 2.
    equal "each in its fragments" "$(count '(\.6969 > .*UDP, length [0-9]{3,5}|ip-proto-17)$' "$out/gently.packets")" $((64 * 45 + 2))
    until_log watch 'TRANSFER' 1 10 >/dev/null
    equal "tcpdump shows the commands live, with their text" \
        "$(logs watch | grep -oaE '!CONFIG :sample\.bin :1$|Config set$|TRANSFER$' | tr '\n' ';')" "!CONFIG :sample.bin :1;Config set;TRANSFER;"
    dc run --rm -T client list >"$out/list.log" 2>"$out/list.err" || true
    equal "run --rm client list shows both files" "$(grep -oE 'note\.txt|sample\.bin' "$out/list.log" | sort -u | tr '\n' ' ')" "note.txt sample.bin "
    stop_server gently
    equal "the server says where it listens" "$(count '^\[server\] listening on 0\.0\.0\.0:6969' "$out/gently.server.log")" 1
    equal "and what it sent" "$(count "sent $size of $size bytes of sample\.bin in 65 datagrams" "$out/gently.server.log")" 1
    equal "it ends with exit code 0 when it is stopped" "$(docker inspect -f '{{.State.ExitCode}}' "$(ids server)")" 0
    end
    unset CASTLAB_BITRATE
}

# As fast as it goes, into buffers that hold little, on a machine that is slow: raw UDP loses, and every loss has its place
# in the books. A tenth of a processor makes sure of it: a client that has used its share sleeps while the server goes on.
five_clients_greedily() {
    export CLIENTS=5 CASTLAB_RCVBUF=64KiB CLIENT_CPUS=0.1
    run greedily
    stop_server greedily
    local client=$out/greedily.client.jsonl server=$out/greedily.server.jsonl
    equal "five clients with small buffers end with exit code 6: some of it came" "$code" 6
    equal "they wrote five files, named as in system D" "$(awk '{printf "%s ", $1}' "$out/greedily.files")" "$(names 5 bin)"
    equal "the server sent five times the file" "$(grep '"what":"file"' "$server" | sed -n 's/.*"event":"sent".*"bytes":\([0-9]*\).*/\1/p' | awk '{sum += $1} END {print sum}')" $((5 * size))
    equal "all of it reached the client's interface: the network lost nothing" "$(delivered "$out/greedily.packets")" $((5 * size))
    at_least "yet bytes were lost" "$(total bytes_lost "$client")" 1
    at_least "and bytes were received" "$(total bytes_received "$client")" 1
    equal "received and lost make five times the file" "$(($(total bytes_received "$client") + $(total bytes_lost "$client")))" $((5 * size))
    equal "what is received is what is on the disk" "$(total bytes_received "$client")" "$(awk '{sum += $2} END {print sum}' "$out/greedily.files")"
    equal "datagrams received, and dropped for a full buffer, are those sent" \
        "$(($(total datagrams_received "$client") + $(total receive_buffer_drops "$client"))) of $(total datagrams_sent "$server")" "325 of 325"
    equal "five rows and their sum are in the table" "$(count '^[│ ]+([1-5] +(yes|in part|no) |all +[0-5]/5 )' "$out/greedily.log")" 6
    equal "the verdict names the cause" "$(grep -oE '^\[UDP-RCVBUF\] raw UDP lost [0-9]+ bytes' "$out/greedily.log" | awk '{print $5}')" "$(total bytes_lost "$client")"
    end
    unset CASTLAB_RCVBUF CLIENT_CPUS
}

ten_clients() {
    export CLIENTS=10 CASTLAB_BITRATE=20M
    run ten
    equal "ten clients at 20 Mbit/s each end with exit code 0" "$code" 0
    equal "ten files, named as in system D" "$(awk '{printf "%s ", $1}' "$out/ten.files")" "$(names 10 bin)"
    equal "each from a client port of its own, ten in all" \
        "$(sed -nE 's/^[│ ]+([0-9]+) +yes .* ([0-9]+) +6969[│ ]*$/\2/p' "$out/ten.log" | sort -u | count .)" 10
    equal "the capture holds ten times the file" "$(delivered "$out/ten.packets")" $((10 * size))
}

# The same server, the same network, the reliable modes, and clients that spoil their own datagrams.
whole() {
    local mode code codes=''
    for mode in stop-and-wait go-back-n:64 selective-repeat; do
        code=0
        dc run --rm -T client get sample.bin --mode "$mode" --parallel 10 --impair loss=2% --seed 7 --output /downloads \
            >"$out/whole-${mode%:*}.log" 2>"$out/whole-${mode%:*}.err" || code=$?
        codes+="$mode $code;"
    done
    equal "ten clients that lose 2 % both ways end with exit code 0 in every reliable mode" "$codes" \
        "stop-and-wait 0;go-back-n:64 0;selective-repeat 0;"
    # As b3sum prints them: ten lines, one hash.
    equal "each of them has the same file ten times" \
        "$(cat "$out"/whole-*.log | sed -nE 's/^([0-9a-f]{64})  .*/\1/p' | sort | uniq -c | awk '{printf "%s ", $1}')" "30 "
    at_least "what was lost was sent again" "$(count 'on purpose .* [1-9][0-9]* dropped' "$out/whole-selective-repeat.log")" 1
}

# part_of CONTAINER: bytes of its unfinished file.
part_of() { docker exec "$1" stat -c %s /downloads/sample.bin.part 2>>"$out/part.err" || echo 0; }

# until_part CONTAINER BYTES: waits until so much has come, it has ended, or 30 s are over.
until_part() {
    local deadline=$((SECONDS + 30))
    while [ "$SECONDS" -lt "$deadline" ] && [ "$(docker inspect -f '{{.State.Running}}' "$1")" = true ] && [ "$(part_of "$1")" -lt "$2" ]; do
        sleep 0.1
    done
}

# Two clients are killed on their way, one of them twice, and started again: a container that is started again has its disk.
killed() {
    local client clients=("$COMPOSE_PROJECT_NAME-killed1" "$COMPOSE_PROJECT_NAME-killed2") codes='' parts='' hashes=''
    for client in "${clients[@]}"; do
        dc run -d --name "$client" client get sample.bin --mode selective-repeat --bitrate 8M --impair loss=2% --output /downloads \
            >>"$out/up.log" 2>&1
    done
    for client in "${clients[@]}" "${clients[0]}"; do
        until_part "$client" 1500000
        docker kill --signal KILL "$client" >>"$out/up.log" 2>&1 || true
        codes+="$(docker wait "$client") "
        parts+="$(docker cp "$client:/downloads" - | tar -t | grep -o 'sample\.bin.*$' | tr '\n' ' ' || true)"
        docker start "$client" >>"$out/up.log" 2>&1
    done
    equal "clients killed mid-way end with exit code 137, as by kill -9" "$codes" "137 137 137 "
    equal "and leave no file that looks whole" "$parts" \
        "sample.bin.part sample.bin.part sample.bin.part "
    codes=''
    for client in "${clients[@]}"; do
        codes+="$(timeout 60 docker wait "$client") "
        docker logs "$client" >"$out/${client##*-}.log" 2>&1
        hashes+="$(content "$client" /downloads/sample.bin) "
    done
    # Its row is: file, bytes, resumed, …
    equal "started again, both go on from what they have" \
        "$codes$(sed 's/│//g' "$out/killed1.log" "$out/killed2.log" | awk '/sample\.bin .* verified/ && $3 >= 1048576 {n++} END {print n + 0}')" "0 0 2"
    equal "and their files are the server's, byte for byte" "$hashes" "$(original) $(original) "
    docker rm -f -v "${clients[@]}" >>"$out/down.log" 2>&1 || true
}

by_hand() {
    printf '!LIST\n!CONFIG :note.txt :2\n!START\n!DISCONNECT\n' |
        dc run --rm -T client menu --output /downloads >"$out/menu.log" 2>"$out/menu.err" || true
    equal "the menu takes !CONFIG and !START, and two clients get the note" \
        "$(grep -oE '^Config set|^\[WHOLE\] 2 of 2 clients|^Disconnected' "$out/menu.log" | tr '\n' ';')" \
        "Config set;[WHOLE] 2 of 2 clients;Disconnected;"
    # One server, asked at its loopback address and at the one the network knows it by.
    # shellcheck disable=SC2016 # the shell in the container expands it
    equal "without --allow-reflection the classic protocol is answered on loopback only, the others everywhere" \
        "$(dc run --rm -T --no-deps --entrypoint sh server -uc '
            echo note >/files/a.txt
            udp-transfer-server --root /files --classic >/dev/null 2>&1 & server=$!
            for try in 1 2 3 4 5 6 7 8 9; do ss -Hlun "sport = :6969" | grep -q . && break; sleep 0.3; done
            ask() { udp-transfer-client --quiet --server "$2" list --mode "$1" --deadline 2s >/dev/null 2>&1; echo "$1 $?"; }
            ask classic 127.0.0.1; ask classic "$(hostname -i)"; ask selective-repeat "$(hostname -i)"
            kill "$server"' 2>"$out/refused.err" | tr '\n' ';')" \
        "classic 0;classic 4;selective-repeat 0;"
    end
    equal "down leaves no container, network or volume" "$(left_over | wc -l)" 0
}

one_client_gently
five_clients_greedily
ten_clients
whole
killed
by_hand
