"""Hello Internet's server, written from the words of the protocol alone, on a port of the system's choice:
hellosrvPython [challenge]. Reads once, answers, closes, goes on until it is stopped."""
import socket
import sys

challenge = sys.argv[1:] == ["challenge"]
with socket.create_server(("127.0.0.1", 0)) as listener:
    print("Listening on port", listener.getsockname()[1], flush=True)
    while True:
        connection, (host, port) = listener.accept()
        with connection:
            message = connection.recv(1024).decode()
            print(f'Received: "{message}" from {host}:{port}', flush=True)
            language = message.removeprefix("Hello in ")
            answer = f"Goodbye {language} from Python" if challenge else "Goodbye in Python"
            connection.sendall(answer.encode())
