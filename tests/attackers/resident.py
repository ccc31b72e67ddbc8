"""Somebody to be attacked: holds secrets wherever a process can, on the host or in a dyno, and answers over sockets."""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress


def main() -> None:
    """Put a secret everywhere, say where, and answer for ever."""
    signal.alarm(150)  # seconds; whatever becomes of the judges
    told = json.loads(sys.stdin.readline() if len(sys.argv) > 2 else os.environ["RESIDENT"])
    tokens = told["tokens"]
    os.memfd_create(f"atk-{told['run']}-{told['mark']}")
    for name in ("tmp", "log"):
        if name in tokens:
            with open(f"{name}/secret", "w") as file:
                file.write(tokens[name])
    held = os.memfd_create("held")
    os.write(held, tokens["memfd"].encode())
    memory = ctypes.create_string_buffer(tokens["memory"].encode(), 64)
    scribble = ctypes.create_string_buffer(b"original", 64)
    for family, address in (
        (socket.AF_UNIX, "\0" + told["abstract"]),
        (socket.AF_UNIX, told.get("unix")),
        (socket.AF_UNIX, told.get("unix_run")),
        (socket.AF_VSOCK, told.get("vsock") and (socket.VMADDR_CID_ANY, told["vsock"])),
        (socket.AF_INET, ("127.0.0.1", int(os.environ.get("PORT", "0")))),
    ):
        if address:
            try:
                listener = socket.socket(family, socket.SOCK_STREAM)
            except PermissionError:  # vsock, in a container: nobody is reached by it then
                continue
            listener.bind(address)
            listener.listen()
            if isinstance(address, str) and address.startswith("/"):
                os.chmod(address, 0o777)
            threading.Thread(target=answer, args=(listener, tokens["socket"].encode()), daemon=True).start()
    port = listener.getsockname()[1]
    said = {"memory": ctypes.addressof(memory), "scribble": ctypes.addressof(scribble), "port": port}
    os.write(1, b"RESIDENT " + json.dumps(said).encode() + b"\n")
    while True:
        threading.Event().wait()


def answer(listener: socket.socket, secret: bytes) -> None:
    """Give the secret to whoever asks."""
    while True:
        with suppress(OSError):
            one, _ = listener.accept()
            one.sendall(secret)
            one.close()


if __name__ == "__main__":
    main()
