"""Make the world, let the attackers loose on it, and tell which attempts got through."""

import hashlib
import json
import os
import re
import select
import signal
import termios
import time
import tty
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from attrs import define, field

import slugkit
from slugkit.store import DirectoryStore

from . import marks
from .catalogue import CATALOGUE, Attempt
from .program import Event, Program
from .scene import Scene
from .world import LIMITS, World, resident, world

CONTROL = "control"
GRACE = 0.5  # seconds
_STOP = 20.0  # seconds that a stop may take beyond the grace on a busy machine
_LONGEST = 30.0  # seconds for all attempts of one dyno
_DONE = 'ATTACK {"done": true}'
_AT_ONCE = 4
_GROWTH = 96 * 2**20  # bytes a host program may grow by while a dyno writes and writes


@define
class Found:
    """What came of a run: the attempts made and those that got through, and why the others did not."""

    sandbox: str
    unavailable: str | None = None
    tried: set[str] = field(factory=set)
    through: set[str] = field(factory=set)
    errors: dict[str, str] = field(factory=dict)
    seconds: float = 0.0


def attack(sandbox: str, names: Collection[str]) -> Found:
    """Try the attempts *names* in dynos of *sandbox*, or in plain processes when that is `CONTROL`."""
    marks.check_sight()
    began = time.monotonic()
    attempts = [one for one in CATALOGUE if one.name in names and not (sandbox == CONTROL and one.control == "nobody")]
    found = Found(sandbox)
    with world([one.name for one in CATALOGUE if one.place != "together"]) as made:
        _Attack(made, found, attempts).run()
    found.seconds = time.monotonic() - began
    return found


@define
class _Attack:
    made: World
    found: Found
    attempts: list[Attempt]

    def run(self) -> None:
        """Let them loose."""
        self._secrets()
        if self._placed("together") or self._placed("dyno"):
            self._shared()
        if self.found.unavailable is None:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self.with_program, self._placed("program")))
            for one in (*self._placed("terminal"), *self._placed("output")):
                self.attached(one)

    def _shared(self) -> None:
        """Try what shares a host program."""
        program = self._program("main")
        ready = program.wait(lambda event: "ready" in event or "unavailable" in event, 30)
        try:
            if ready is None or "unavailable" in ready:
                self.found.unavailable = str(ready or program.errors())
                return
            self.neighbour(program, "neighbour")
            self.together(program)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda one: self.alone(program, one), self._placed("dyno")))
        finally:
            program.end()

    def _placed(self, place: str) -> list[Attempt]:
        return [one for one in self.attempts if one.place == place]

    def _secrets(self) -> None:
        """Note as secrets what the host itself knows, and put both apps into the store."""
        made = self.made
        known = made.tokens
        made.token("host")
        made.token("stdin")
        known["scratch"] = str(made.scratch)
        known["host-name"] = os.uname().nodename
        known["last-user"] = Path("/etc/passwd").read_text().splitlines()[-1]
        known["key-name"] = made.told["user_key"]
        known["keyring-name"] = f"atk-own-{made.run}"
        with suppress(OSError):
            known["machine-id"] = Path("/etc/machine-id").read_text().strip() or "\0"
            known["shadow"] = hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest()
        with suppress(OSError, StopIteration):
            lines = Path("/proc/kallsyms").read_text().splitlines()
            address = next(line.split()[0] for line in lines if line.endswith(" commit_creds"))
            known["kallsyms"] = address if int(address, 16) else "\0"
        addresses = (path.read_text().strip() for path in Path("/sys/class/net").glob("*/address"))
        known["address"] = next((one for one in addresses if one.strip("0:")), "\0")
        store = DirectoryStore(made.scratch / "store")
        slug, other = (slugkit.Slug.open(made.told[name]) for name in ("slug", "other_slug"))
        made.told["store_file"] = str(store.tree(slug) / "slug/store")
        made.told["other_app"] = str(store.tree(other) / "secret")
        store.release()

    def _program(self, name: str, place: str = "", terminal: int | None = None) -> Program:
        scratch = self.made.scratch / f"program-{name}"
        scratch.mkdir()
        settings = {
            "sandbox": self.found.sandbox,
            "store": str(self.made.scratch / "store"),
            "grace": GRACE,
            "limits": {  # of memory twice as much ends a dyno
                "memory": LIMITS["memory"] // 2,
                "processes": LIMITS["processes"],
                "files": LIMITS["tmp"],
                "inodes": LIMITS["inodes"],
                "open_files": LIMITS["files"],
            },
            "scratch": str(scratch),
            "group": self.made.pids["group"],
            "terminal": place,
        }
        env = {"HOST_CANARY": self.made.token("host"), "TMPDIR": str(scratch)}
        program = Program(settings, self.made.fds, env, terminal)
        if terminal is None:
            program.type(self.made.token("stdin"))
        return program

    def neighbour(self, program: Program, mark: str) -> None:
        """Start the dyno that is to be attacked, and note where its secrets are."""
        made = self.made
        told = resident(made, "neighbour") | {"mark": mark}
        if mark != "neighbour":
            told["abstract"] = f"atk-{made.run}-{mark}"
        config = {"RESIDENT": json.dumps(told), "SECRET": made.token("neighbour-config")}
        started = program.start(made.told["slug"], "neighbour", config)
        said = _soon(lambda: program.lines(started["name"], "RESIDENT "))
        if not said:
            raise RuntimeError(f"the neighbour says nothing: {program.errors()}")
        pid = made.pids[mark] = marks.marked(made.run)[mark][0]
        if mark != "neighbour":
            return
        same = os.path.samefile(f"/proc/{pid}/root", "/")
        made.told["neighbour_home"] = os.readlink(f"/proc/{pid}/cwd") if same else "/app"
        made.told["addresses"]["neighbour"] = said[0]["memory"]
        made.told["ports"]["neighbour"] = said[0]["port"]

    def together(self, program: Program) -> None:
        """Try what does not disturb others, one after the other in one dyno."""
        ours = self._placed("together")
        scenes = self.tried(program, "together", ours)
        pids = marks.marked(self.made.run)
        above = _above(program, pids)
        for one in ours:
            scene = scenes[one.name]
            scene.pids, scene.above = pids.get(one.name, []), above
            self.judge(one, scene)
        self.asked(program, "stop", "together")
        marks.end(self.made.run, {"m-together", *scenes})

    def tried(
        self, program: Program, kind: str, ours: list[Attempt], pids: dict[str, int] | None = None
    ) -> dict[str, Scene]:
        """Start a dyno of *kind* that makes the attempts *ours*, and return what they told."""
        names = [one.name for one in ours]
        told = {**self.made.told, "names": names, "mark": f"m-{kind}", "pids": {**self.made.pids, **(pids or {})}}
        started = program.start(self.made.told["slug"], kind, {"ATTACK": json.dumps(told)})
        main = self.told_all(program, kind, started["name"])
        lines = {line["name"]: line for line in program.lines(started["name"], "ATTACK ") if "name" in line}
        scenes = {}
        for name in names:
            line = lines.get(name, {"error": "it told nothing"})
            scenes[name] = Scene(
                self.made,
                name,
                program.pid,
                main=main,
                loot=bytes.fromhex(line.get("loot", "")),
                said=line.get("said"),
                error=line.get("error", "held" if "held" in line else ""),
            )
        return scenes

    def told_all(self, program: Program, kind: str, dyno: str) -> int | None:
        """Wait until the attackers have told all, or are dead, and return the pid of the first of them."""
        main, deadline = None, time.monotonic() + _LONGEST
        while time.monotonic() < deadline:
            if program.wait(
                lambda event: event.get("ended") == kind or (event.get("line") == dyno and event["text"] == _DONE), 0.2
            ):
                deadline = 0.0
            main = main or next(iter(marks.left(self.made.run, f"m-{kind}")), None)
            if main is not None and not _running(main):
                break
        return main

    def alone(self, program: Program, one: Attempt) -> None:
        """Try it in a dyno of its own, and stop that."""
        before = _memory(program.pid)
        try:
            scene = self.tried(program, one.name, [one])[one.name]
        except RuntimeError:  # what another attempt did to the program is not this one's
            self.with_program(one)
            return
        self.look(program, scene)
        if not one.ended:
            self.judge(one, scene)
        if self.found.sandbox != CONTROL:
            self.stop(program, scene, "neighbour")
        if _memory(program.pid) - before > _GROWTH:
            scene.trouble.append("memory: the host program has grown")
        marks.end(self.made.run, {one.name, f"m-{one.name}"})
        if one.ended and any(word.startswith(("stop", "run", "host", "neighbour")) for word in scene.trouble):
            self.with_program(one)  # or it would be blamed for what another does at the same time
        elif one.ended:
            self.judge(one, scene)

    def with_program(self, one: Attempt) -> None:
        """Try it in a dyno of a host program of its own, and see whether that still works."""
        program = self._program(f"of-{one.name}")
        neighbour = f"n-{one.name}"
        try:
            self.neighbour(program, neighbour)
            pids = {"neighbour": self.made.pids[neighbour]}
            scene = self.tried(program, one.name, [one], pids)[one.name]
            time.sleep(0.2)
            self.look(program, scene)
            self.stop(program, scene, neighbour)
            if program.garbled():
                scene.trouble.append("host: garbage came from it")
        finally:
            if self.found.sandbox == CONTROL:
                marks.end(self.made.run, {one.name, f"m-{one.name}"})
            with suppress(OSError):
                os.kill(program.pid, signal.SIGCONT)
            ended = program.end()
        if ended is None:
            scene.trouble.append("host: it did not end")
        left, _ = marks.wait_gone(self.made.run, one.name)
        if left:
            scene.trouble.append(f"left: {left} after the host program")
        self.judge(one, scene)

    def attached(self, one: Attempt) -> None:
        """Try it in a one-off of a program on a terminal, and note what is left in that terminal's input."""
        master, slave = os.openpty()
        program = self._program(f"of-{one.name}", one.place, slave)
        told = {**self.made.told, "names": [one.name], "mark": one.name, "leaves": True, "place": one.place}
        told["terminal"] = os.ttyname(slave)
        try:
            slug, config = self.made.told["slug"], {"ATTACK": json.dumps(told)}
            program.ask("attach", id=one.name, slug=slug, type=one.name, config=config)
            shown, deadline, over = b"", time.monotonic() + _LONGEST, None
            while not over and time.monotonic() < deadline:
                over = program.wait(
                    lambda event: one.name in {event.get("attached"), event.get("failed")} or "over" in event, 0.05
                )
                shown += _waiting(master)
            lines = [json.loads(line) for line in re.findall(rb"ATTACK (\{\"name.*\})", shown)]
            line = lines[0] if lines else {"error": f"it told nothing: {over} {shown.decode(errors='replace')}"}
            loot = bytes.fromhex(line.get("loot", "")) + _unread(slave)
            self.judge(one, Scene(self.made, one.name, program.pid, loot=loot, error=line.get("error", "")))
        finally:
            program.end()
            marks.end(self.made.run, {one.name})
            os.close(master)
            os.close(slave)

    def look(self, program: Program, scene: Scene) -> None:
        """Note who the attackers are now, and where they live if that is the host's own file system."""
        pids = marks.marked(self.made.run)
        scene.pids, scene.above = pids.get(scene.name, []), _above(program, pids)
        with suppress(OSError):
            if os.path.samefile(f"/proc/{scene.main}/root", "/"):
                scene.home = Path(os.readlink(f"/proc/{scene.main}/cwd"))

    def stop(self, program: Program, scene: Scene, neighbour: str) -> None:
        """Stop the attackers' dyno, and note every trouble."""
        trouble = scene.trouble
        running = _running(program.pid)
        if not running:
            trouble.append("host: dead or stopped")
        if running and not self.asked(program, "stop", scene.name):
            trouble.append("stop: it did not")
        left = {pid for _ in range(3) for pid in marks.left(self.made.run, scene.name)}  # one look may miss who hops
        if left:
            trouble.append(f"left: {[(pid, marks.status(pid).get('State')) for pid in left]}")
        if not _running(self.made.pids[neighbour]):
            trouble.append("neighbour: dead or stopped")
        if not marks.alive(self.made.pids["group"]):
            trouble.append("group: dead")
        kept = [(self.made.scratch / "precious" / name) for name in ("file", "below/file")]
        if any(not path.is_file() or path.read_text() != "precious" for path in kept):
            trouble.append("precious: gone or changed")
        if scene.home is not None and os.path.lexists(scene.home):
            trouble.append(f"left: {scene.home}")
        if running and not self.asked(program, "run", f"r-{scene.name}"):
            trouble.append("run: no other dyno can be started")

    def asked(self, program: Program, what: str, name: str) -> bool:
        """Ask *program* to stop or run something, and return whether it did in time."""
        program.ask(what, id=name, slug=self.made.told["slug"])
        answers = ("stopped", "ran", "failed")
        event = program.wait(lambda event: name in {event.get(answer) for answer in answers}, GRACE + _STOP)
        return event is not None and "failed" not in event

    def judge(self, one: Attempt, scene: Scene) -> None:
        """Note whether it got through."""
        self.found.tried.add(one.name)
        try:
            through = one.judge(scene)
        except (OSError, KeyError) as error:  # what it asks about is gone: no proof
            through, scene.error = False, f"{scene.error}; judge: {error!r}"
        if through:
            self.found.through.add(one.name)
        self.found.errors[one.name] = "; ".join([scene.error, *scene.trouble])


def _waiting(master: int) -> bytes:
    """Return what a terminal shows by now."""
    shown = b""
    while select.select([master], [], [], 0)[0]:
        shown += os.read(master, 65536)
    return shown


def _unread(slave: int) -> bytes:
    """Return what is typed at a terminal and not read by anybody, lines or not."""
    tty.setraw(slave, termios.TCSANOW)
    return _waiting(slave)


def _above(program: Program, pids: dict[str, list[int]]) -> set[int]:
    """Return the processes between the app and us: the host program and its helpers."""
    apps = {pid for found in pids.values() for pid in found}
    return marks.descendants(program.pid) - apps


def _running(pid: int) -> bool:
    return marks.stat(pid).get("state", "Z") not in "ZXTt"


def _memory(pid: int) -> int:
    return 1024 * int(marks.status(pid).get("VmRSS", "0").split()[0])


def _soon(look: Callable[[], list[Event]], seconds: float = 10.0) -> list[Event]:
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
