import socket
import time

from flask import Flask

app = Flask(__name__)


def patched():
    return "greenlets" if socket.socket.__module__.startswith("gevent") else "threads"


@app.get("/")
def index():
    def pieces():
        for number in range(3):
            yield f"{number} of {patched()}\n"
            time.sleep(0.01)

    return app.response_class(pieces(), mimetype="text/plain")
