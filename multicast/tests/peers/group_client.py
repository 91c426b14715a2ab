"""A client of system E, written from its description: sends lines to a UDP server, shows what comes back.

Usage: group_client.py HOST PORT LINE…
Sends each line, waits for the answer to it, and prints `Message from Server: …`.
"""

import socket
import sys

server = (sys.argv[1], int(sys.argv[2]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(20)
for line in sys.argv[3:]:
    sock.sendto(line.encode(), server)
    print(f"Message from Server: {sock.recvfrom(1024)[0].decode()}", flush=True)
