"""Talk to ``host.py``: a program that embeds slugkit, started as the one who runs this, with our canaries in it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field

Event = dict[str, Any]

_HOST = Path(__file__).with_name("host.py")


@define
class Program:
    """A host program under way, and all that it has told."""

    settings: dict[str, Any]
    fds: Sequence[int] = ()
    env: Mapping[str, str] = field(factory=dict)
    terminal: int | None = None
    events: list[Event] = field(factory=list)
    process: "subprocess.Popen[bytes]" = field(init=False)
    _line: socket.socket = field(init=False)
    _changed: threading.Condition = field(factory=threading.Condition)
    _errors: Any = field(factory=tempfile.TemporaryFile)

    def __attrs_post_init__(self) -> None:
        self._line, theirs = socket.socketpair()
        argv = [sys.executable, "-B", str(_HOST), str(theirs.fileno()), json.dumps(self.settings)]
        self.process = subprocess.Popen(
            argv,
            pass_fds=(theirs.fileno(), *self.fds),
            env={**os.environ, **self.env},
            **self._streams(),
        )
        theirs.close()
        threading.Thread(target=self._read, daemon=True).start()

    def _streams(self) -> dict[str, Any]:
        """Return its standard streams: pipe and file, or the terminal, which is its input too if that is asked for."""
        if self.terminal is None:
            return {"stdin": subprocess.PIPE, "stdout": self._errors, "stderr": self._errors}
        stdin = self.terminal if self.settings["terminal"] == "terminal" else subprocess.DEVNULL
        return {"stdin": stdin, "stdout": self.terminal, "stderr": self.terminal, "start_new_session": True}

    @property
    def pid(self) -> int:
        """Its pid."""
        return self.process.pid

    def type(self, text: str) -> None:
        """Give it *text* on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def ask(self, do: str, **what: object) -> None:
        """Ask it to do something; what comes of it is told later."""
        with suppress(OSError):
            self._line.sendall(json.dumps({"do": do, **what}).encode() + b"\n")

    def wait(self, test: Callable[[Event], object], seconds: float) -> Event | None:
        """Return the first event that passes, or None when none has come in time or the program has ended."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for event in self.events[seen:]:
                    if test(event):
                        return event
                seen = len(self.events)
                if self.events[-1:] == [{"over": True}]:
                    return None
                if not self._changed.wait(max(deadline - time.monotonic(), 0)) and time.monotonic() >= deadline:
                    return None

    def start(self, slug: str, kind: str, config: Mapping[str, str], seconds: float = 20.0) -> Event:
        """Start a dyno whose type is its id, and return what is told about it.

        Raises:
            RuntimeError: It cannot be started.
        """
        self.ask("start", id=kind, slug=slug, type=kind, config=config)
        event = self.wait(lambda event: kind in {event.get("started"), event.get("failed")}, seconds)
        if event is None or "failed" in event:
            raise RuntimeError(f"{kind} does not start: {event}; {self.errors()}")
        return event

    def lines(self, name: str, prefix: str) -> list[Event]:
        """Return what the dyno *name* has told about itself in lines of JSON."""
        with self._changed:
            texts = [event["text"] for event in self.events if event.get("line") == name]
        return [json.loads(text.removeprefix(prefix)) for text in texts if text.startswith(prefix)]

    def garbled(self) -> bool:
        """Return whether something came over its line that it did not send."""
        return self.wait(lambda event: "garbled" in event, 0) is not None

    def errors(self) -> str:
        """Return what it printed."""
        self._errors.seek(0)
        return str(self._errors.read().decode("utf-8", "replace"))

    def end(self, how: str = "leave", seconds: float = 15.0) -> float | None:
        """End it and return how many seconds that took; None if it had to be killed."""
        began = time.monotonic()
        self.ask(how)
        try:
            self.process.wait(seconds)
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.process.kill()
            self.process.wait()
            self._line.close()
            self._errors.close()
            if self.process.stdin is not None:
                with suppress(OSError):
                    self.process.stdin.close()

    def _read(self) -> None:
        with suppress(OSError):
            for line in self._line.makefile("rb"):
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"garbled": True}
                self._tell(event)
        self._tell({"over": True})

    def _tell(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()
