"""The plain UDP file server and client that udp-transfer's classic mode answers to, for `castlab bench speed`.

    python3 system_d.py server ADDRESS PORT ROOT
    python3 system_d.py client ADDRESS PORT NAME CLIENTS OUTPUT

The server configures and sends a file as text commands ask, in datagrams of up to 65507 bytes, with nothing around them: no
numbers, no acknowledgements, no end; each transfer on a thread of its own. After each it prints, as one JSON object a line,
what it sent and when, in seconds of one clock. The client opens CLIENTS sockets at once, each with a thread and a file, and each stops
after two seconds of silence (five in the original, which only makes a benchmark longer).
"""

import json
import os
import socket
import sys
import threading
import time

DATAGRAM = 65507
SILENCE = 2.0


def send(server, peer, path):
    sent, began = 0, time.monotonic()
    with open(path, "rb") as file:
        while block := file.read(DATAGRAM):
            server.sendto(block, peer)
            sent += len(block)
    # In one piece: other threads print too.
    sys.stdout.write(json.dumps({"bytes": sent, "began": began, "ended": time.monotonic()}) + "\n")
    sys.stdout.flush()


def serve(address, port, root):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    path = None
    while True:
        command, peer = server.recvfrom(2048)
        words = command.decode(errors="replace").split(":")
        if words[0].strip() == "!CONFIG":
            path = os.path.join(root, os.path.basename(words[1].strip()))
            server.sendto(b"Config set", peer)
        elif command == b"TRANSFER" and path:
            threading.Thread(target=send, args=(server, peer, path), daemon=True).start()


def receive(address, port, path):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(SILENCE)
    client.sendto(b"TRANSFER", (address, port))
    with open(path, "wb") as file:
        try:
            while True:
                file.write(client.recv(65535))
        except TimeoutError:
            pass


def fetch(address, port, name, clients, output):
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(SILENCE)
    asking.sendto(f"!CONFIG :{name} :{clients}".encode(), (address, port))
    if asking.recv(2048) != b"Config set":
        sys.exit("the server refused")
    paths = [os.path.join(output, f"Cliente{n}-Prueba{clients}.bin") for n in range(1, clients + 1)]
    threads = [threading.Thread(target=receive, args=(address, port, path)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    role, address, port, *rest = sys.argv[1:]
    try:
        if role == "server":
            serve(address, int(port), *rest)
        else:
            fetch(address, int(port), rest[0], int(rest[1]), rest[2])
    except KeyboardInterrupt:
        pass
