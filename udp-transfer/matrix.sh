# shellcheck shell=bash disable=SC2154 # $out and the verbs used here are scripts/lab's
# `castlab bench matrix` with the server in a container and each client in one of its own. Sourced by
# `scripts/lab udp-transfer matrix [ARGS…]`; what follows are ARGS. MATRIX_CLIENTS=10 containers are made for clients; where
# --clients asks for more, several share one.

# All of them see the files at the same path, in memory where there is some, and read and write them as you.
MATRIX_FOLDER=$(mktemp -d -p /dev/shm castlab.XXXXXX 2>/dev/null || mktemp -d)
MATRIX_USER=$(id -u):$(id -g)
export MATRIX_FOLDER MATRIX_USER
trap 'clean_up_matrix' EXIT

clean_up_matrix() {
    local code=$?
    rm -rf "$MATRIX_FOLDER" || true
    clean_up "$code"
}

# The program of the image measures: the same version, and none needs to be built here.
castlab=$MATRIX_FOLDER/castlab
id=$(docker create "${CASTLAB_IMAGE:-castlab}")
docker cp "$id:/usr/local/bin/castlab" "$castlab" >>"$out/up.log" 2>&1
docker rm "$id" >>"$out/up.log" 2>&1
"$castlab" --version >>"$out/up.log" 2>&1 || fail "the image's castlab does not run on this machine: $out/up.log"

start --scale "matrix-client=${MATRIX_CLIENTS:-10}" matrix-server matrix-client
via=()
for id in $(ids matrix-client); do via+=("docker exec -i $id"); done

"$castlab" bench matrix --server-via "docker exec -i $(ids matrix-server)" --client-via "$(IFS=,; echo "${via[*]}")" \
    --server-host matrix-server --scratch "$MATRIX_FOLDER" "$@"
