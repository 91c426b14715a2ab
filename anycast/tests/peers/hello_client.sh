#!/bin/sh
# Hello Internet's client in shell and netcat, written from the words of the protocol alone: helloShell HOST PORT.
message="Hello in Shell"
echo "Sending \"$message\""
# -w: the server closes, and netcat ends with it; should it not, ten seconds of silence are enough.
printf 'Received: "%s"\n' "$(printf '%s' "$message" | nc -w 10 "$1" "$2")"
