"""A server of system E, written from its description: numbers its clients, shows each message, answers that client.

Usage: group_server.py      (any free port of 127.0.0.1, told on stdout; its operator answers with the lines of stdin)
"""

import socket
import sys

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
numbers = {}
for answer in sys.stdin:
    data, address = sock.recvfrom(1024)
    number = numbers.setdefault(address, len(numbers) + 1)
    print(f"Message from Client {number}: {data.decode()}", flush=True)
    sock.sendto(answer.rstrip("\n").encode(), address)
