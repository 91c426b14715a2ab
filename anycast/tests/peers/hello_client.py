"""Hello Internet's client, written from the words of the protocol alone: helloPython HOST PORT."""
import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    message = "Hello in Python"
    print(f'Sending "{message}"')
    connection.sendall(message.encode())
    print(f'Received: "{connection.recv(1024).decode()}"')
