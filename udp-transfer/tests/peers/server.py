"""A server of system D, written from its description: text commands on one UDP socket, each transfer on a thread.

Usage: server.py FOLDER      (any free port of 127.0.0.1, told on stdout; ends when its stdin is closed)
"""

import os
import socket
import sys
import threading

DATAGRAM = 65507
folder = sys.argv[1]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
configured = {"name": None, "clients": 0}


def transfer(address):
    path = os.path.join(folder, configured["name"])
    sent = 0
    with open(path, "rb") as file:
        while data := file.read(DATAGRAM):
            sock.sendto(data, address)
            sent += len(data)
    print(f"{address}: sent {sent} bytes of {configured['name']}", file=sys.stderr, flush=True)


def config(text):
    parts = text.split(" :")
    if len(parts) != 3 or not parts[2].isdigit():
        return "Bad configuration"
    if parts[1] not in os.listdir(folder):
        return "File not found"
    configured.update(name=parts[1], clients=int(parts[2]))
    return "Config set"


def serve():
    while True:
        data, address = sock.recvfrom(1024)
        text = data.decode()
        print(f"{address}: {text}", file=sys.stderr, flush=True)
        if text == "LIST":
            sock.sendto("\n".join(sorted(os.listdir(folder))).encode(), address)
        elif text.startswith("!CONFIG"):
            sock.sendto(config(text).encode(), address)
        elif text == "TRANSFER":
            threading.Thread(target=transfer, args=(address,), daemon=True).start()
        # Anything else is not answered.


threading.Thread(target=serve, daemon=True).start()
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
