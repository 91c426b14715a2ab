"""A client of system D, written from its description: configures on one socket, fetches on one more for each client.

Usage: client.py HOST PORT NAME CLIENTS FOLDER SILENCE
Prints the answers to LIST and !CONFIG, then one line a client: number, bytes, seconds, MB/s, both ports.
"""

import os
import socket
import sys
import threading
import time

host, port, name, clients, folder, silence = sys.argv[1:7]
server, clients, silence = (host, int(port)), int(clients), float(silence)


def ask(control, text):
    control.sendto(text.encode(), server)
    return control.recvfrom(65535)[0].decode()


def fetch(number, lines):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(silence)
    extension = os.path.splitext(name)[1]
    started = last = time.monotonic()
    received, source = 0, ("-", 0)
    sock.sendto(b"TRANSFER", server)
    with open(os.path.join(folder, f"Cliente{number}-Prueba{clients}{extension}"), "wb") as file:
        try:
            while True:
                data, source = sock.recvfrom(65535)
                last = time.monotonic()
                received += len(data)
                file.write(data)
        except socket.timeout:
            pass
    seconds = max(last - started, 1e-9)
    lines[number] = f"{number} {received} {seconds:.3f} {received / seconds / 1e6:.1f} {sock.getsockname()[1]} {source[1]}"


control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
control.settimeout(10)
print(ask(control, "LIST").replace("\n", "|"))
print(ask(control, f"!CONFIG :{name} :{clients}"))
lines = {}
threads = [threading.Thread(target=fetch, args=(number, lines)) for number in range(1, clients + 1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for number in sorted(lines):
    print(lines[number])
