# shellcheck shell=bash
# Expectations and their score: one line for each, and at the end how many held. Sourced by scripts/lab.
#
# A check says first how many expectations it has (`plan 17`), so that one which stops half-way cannot look complete.
# Every expectation is given what was seen, and shows it where it is not what was wanted.

planned=0 told=0 held=0

# plan N: this check has N expectations.
plan() { planned=$1; }

# ok TEXT / not_ok TEXT SEEN
ok() { told=$((told + 1)) held=$((held + 1)); printf 'ok %d %s\n' "$told" "$1"; }
not_ok() { told=$((told + 1)); printf 'NOT OK %d %s\n' "$told" "$1"; printf '%s\n' "$2" | sed 's/^/       seen: /'; }

# equal TEXT SEEN WANTED: the two are the same, and not empty.
equal() {
    if [ -n "$2" ] && [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "${2:-(nothing)}, wanted: $3"; fi
}

# at_least TEXT SEEN LEAST / at_most TEXT SEEN MOST: whole numbers; anything else does not hold.
at_least() { if is_number "$2" && [ "$2" -ge "$3" ]; then ok "$1"; else not_ok "$1" "${2:-(nothing)}, wanted at least $3"; fi; }
at_most() { if is_number "$2" && [ "$2" -le "$3" ]; then ok "$1"; else not_ok "$1" "${2:-(nothing)}, wanted at most $3"; fi; }

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

# score NAME: the last line; succeeds only when everything planned was told and held.
score() {
    printf '%s: %d of %d\n' "$1" "$held" "$planned"
    [ "$planned" -gt 0 ] && [ "$told" -eq "$planned" ] && [ "$held" -eq "$planned" ]
}
