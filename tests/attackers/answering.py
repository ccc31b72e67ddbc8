"""Answer on $PORT with one's own name, holding the mark $MARK."""

import os
import signal
import socket

signal.alarm(120)  # seconds; nobody stays longer
os.memfd_create(os.environ["MARK"])
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
answer = os.environ["DYNO"].encode()
while True:
    one, _ = listener.accept()
    one.settimeout(5)
    one.recv(4096)
    one.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
    one.close()
