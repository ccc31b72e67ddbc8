"""Say hello to a server of our own."""

import os
import subprocess
import time

from websockets.sync.client import connect

port = os.environ["PORT"]
with subprocess.Popen(["uvicorn", "chat:app", "--host", "127.0.0.1", "--port", port]) as server:
    for _ in range(200):
        try:
            with connect(f"ws://127.0.0.1:{port}/echo") as socket:
                socket.send("hello")
                print(socket.recv())
                break
        except OSError:
            time.sleep(0.1)
    server.terminate()
