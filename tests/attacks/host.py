"""A program that embeds slugkit, as the attackers find it: it does what JSON lines tell it, and tells what it sees.

``python host.py FD SETTINGS``: commands and answers travel over the socket FD, which nobody inherits.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import slugkit
from slugkit.logline import LogLine

BUILT_IN = ("/bin/bash", "--noprofile", "--norc", "-c")


class Running(Protocol):
    """What this program needs of a dyno."""

    name: str
    port: int

    def stop(self) -> int:
        """End it."""

    def wait(self) -> int:
        """Wait for its end."""


class Plain:
    """A process that is protected from nothing: the control, in which every attempt is to succeed."""

    def __init__(
        self, name: str, port: int, process: "subprocess.Popen[bytes]", say: Callable[[str, str], None]
    ) -> None:
        self.name, self.port, self._process = name, port, process
        threading.Thread(target=self._read, args=(say,), daemon=True).start()

    def _read(self, say: Callable[[str, str], None]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            say(self.name, line.decode().rstrip("\n"))

    def stop(self) -> int:
        """Kill it alone."""
        self._process.kill()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end."""
        return self._process.wait()


class Unprotected:
    """A runner of such processes: everything of this program's is theirs as well."""

    def __init__(self, scratch: str, group: int, say: Callable[[str, str], None]) -> None:
        self._scratch, self._group, self._say = Path(scratch), group, say

    def start(self, slug: slugkit.Slug, kind: str, *, config_vars: Mapping[str, str]) -> Plain:
        """Start the command of *kind* in a copy of the slug, in the process group of somebody else's."""
        home = self._scratch / kind
        slug.unpack(home)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [*BUILT_IN, slug.process_types[kind]],
            cwd=home,
            env={**os.environ, **config_vars, "HOME": str(home), "PORT": str(port)},
            close_fds=False,
            process_group=self._group if kind == "kill-group" else 0,
            stdin=None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return Plain(f"{kind}.1", port, process, self._say)

    def run(self, _slug: slugkit.Slug, command: str) -> str:
        """Run *command*."""
        return subprocess.run([*BUILT_IN, command], check=True, capture_output=True, text=True).stdout

    def attach(self, slug: slugkit.Slug, kind: str, *, config_vars: Mapping[str, str]) -> int:
        """Run the command of *kind* on this program's own streams, as a shell does."""
        env = {**os.environ, **config_vars}
        slug.unpack(self._scratch / kind)
        return subprocess.run(
            [*BUILT_IN, slug.process_types[kind]], cwd=self._scratch / kind, env=env, check=False
        ).returncode

    def close(self) -> None:
        """Leave everything as it is."""


class Host:
    """The program: its runner, its dynos, and its line to whoever judges."""

    def __init__(self, fd: int, settings: dict[str, Any]) -> None:
        os.set_inheritable(fd, False)
        self._line = socket.socket(fileno=fd)
        self._settings = settings
        self._lock = threading.Lock()
        self._dynos: dict[str, Running] = {}
        self._runner: Any = None

    def say(self, **what: object) -> None:
        """Tell one thing."""
        with self._lock:
            self._line.sendall(json.dumps(what).encode() + b"\n")

    def heard(self, line: LogLine) -> None:
        """Tell what a dyno wrote."""
        if line.source == "app" and line.message.startswith(("ATTACK ", "RESIDENT ")):
            self.say(line=line.process, text=line.message)

    def run(self) -> None:
        """Do what is asked until the line ends."""
        try:
            self._runner = self._made()
        except slugkit.SlugkitError as error:
            self.say(unavailable=f"{error.code}: {error}")
            return
        self.say(ready=True)
        for line in self._line.makefile():
            what = json.loads(line)
            if what["do"] == "leave":
                self._runner.close()
                self.say(left=True)
                return
            if what["do"] == "raise":
                with self._runner:
                    raise KeyError("the host program's own")
            threading.Thread(target=self._do, args=(what,), daemon=True).start()  # which ends before the dyno does

    def _made(self) -> Any:  # noqa: ANN401 - a runner, or the control
        if self._settings["sandbox"] == "control":
            return Unprotected(
                self._settings["scratch"], self._settings["group"], lambda name, text: self.say(line=name, text=text)
            )
        return slugkit.DynoRunner(
            store=self._settings["store"],
            sandbox=self._settings["sandbox"],
            grace=self._settings["grace"],
            on_log=self.heard,
            limits=slugkit.Limits(**self._settings["limits"]),
        )

    def _do(self, what: dict[str, Any]) -> None:
        try:
            match what["do"]:
                case "start":
                    dyno = self._runner.start(slugkit.Slug.open(what["slug"]), what["type"], config_vars=what["config"])
                    self._dynos[what["id"]] = dyno
                    self.say(started=what["id"], name=dyno.name, port=dyno.port)
                    threading.Thread(target=self._wait, args=(what["id"], dyno), daemon=True).start()
                case "stop":
                    began = time.monotonic()
                    status = self._dynos[what["id"]].stop()
                    self.say(stopped=what["id"], status=status, seconds=time.monotonic() - began)
                case "attach":
                    slug = slugkit.Slug.open(what["slug"])
                    status = self._runner.attach(slug, what["type"], config_vars=what["config"])
                    self.say(attached=what["id"], status=status)
                case "run":
                    done = self._runner.run(slugkit.Slug.open(what["slug"]), "echo alive")
                    self.say(ran=what["id"], output=str(done))
        except Exception as error:  # noqa: BLE001 - the judge is told
            self.say(failed=what.get("id"), error=f"{type(error).__name__}: {error}")

    def _wait(self, name: str, dyno: Running) -> None:
        self.say(ended=name, status=dyno.wait())


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    asked = json.loads(sys.argv[2])
    if asked.get("terminal"):
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    Host(int(sys.argv[1]), asked).run()
