#!/bin/bash
# A client of the routed lab, in a container: it gets an address of the lab's own beside Docker's (router.sh says why), and
# its way to the servers goes through the router.
set -euo pipefail
NET=${NET:-77}
host=$(ip -o -4 addr show eth0 | awk '{split($4, part, /[.\/]/); print part[4]; exit}')
ip addr replace "10.$((NET + 1)).1.$host/24" dev eth0
ip route replace "10.$NET.0.1/32" via "10.$((NET + 1)).1.2"
# The first packet waits for the router's link address; a connection to a closed port finds it out just as well.
timeout 2 bash -c ": </dev/tcp/10.$((NET + 1)).1.2/9" 2>/dev/null || true
exec anycast-client "$@"
