"""Try the attempts that $ATTACK names, each in a process of its own, and tell one JSON line about each."""

import importlib
import json
import os
import select
import signal
import time
from collections.abc import Callable

import kit

_MODULES = (
    "files",
    "links",
    "descriptors",
    "processes",
    "secrets_",
    "signals",
    "sockets",
    "kernel_doors",
    "privilege",
    "terminals",
)
_PATIENCE = 3.0  # seconds for one attempt
_LONGEST = 150  # seconds; nobody stays longer, whatever has become of the judges


def main() -> None:
    """Try them one after the other, say so, and stay until stopped."""
    signal.alarm(_LONGEST)
    told = json.loads(os.environ["ATTACK"])
    os.environ["ATTACK_PARENT"] = str(os.getppid())
    os.environ["ATTACK_MAIN"] = str(os.getpid())
    mark = os.memfd_create(f"atk-{told['run']}-{told['mark']}")
    every = functions()
    for name in told["names"]:
        said = attempted(name, every[name.replace("-", "_")], told, mark)
        tell({"name": name, **said})
    tell({"done": True})
    while not told.get("leaves"):
        time.sleep(3600)


def functions() -> dict[str, Callable[[kit.Told], kit.Outcome]]:
    """Return every attempt by the name of its function."""
    modules = [importlib.import_module(name) for name in (*_MODULES, "resources")]
    return {name: value for module in modules for name, value in vars(module).items() if callable(value)}


def tell(what: dict[str, object]) -> None:
    """Write one line at once, so that no other cuts into it."""
    os.write(1, b"ATTACK " + json.dumps(what).encode() + b"\n")


def attempted(name: str, attempt: Callable[[kit.Told], kit.Outcome], told: kit.Told, mark: int) -> dict[str, object]:
    """Return what became of *attempt*: loot, an error, or that its process stays."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(_LONGEST)
        os.close(ours)
        os.close(mark)
        kit.OWN.add(theirs)
        os.memfd_create(f"atk-{told['run']}-{name}")
        said = outcome(attempt, told)
        os.write(theirs, json.dumps(said).encode())
        os.close(theirs)
        if "held" not in said:
            os._exit(0)
        while True:
            signal.pause()
    os.close(theirs)
    ready, _, _ = select.select([ours], [], [], _PATIENCE if len(told["names"]) > 1 else 4 * _PATIENCE)
    data = os.read(ours, 65536) if ready else b'{"error": "took too long"}'
    os.close(ours)
    found: dict[str, object] = json.loads(data or b'{"error": "died"}')
    if "held" not in found:
        if not ready:
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            found["reaped"] = True
    return found


def outcome(attempt: Callable[[kit.Told], kit.Outcome], told: kit.Told) -> dict[str, object]:
    """Return what *attempt* returns or raises, as JSON."""
    try:
        result = attempt(told)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the host wants to know
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    if result == kit.HELD:
        return {"held": True}
    if isinstance(result, bytes):
        return {"loot": result[: kit.MOST].hex()}
    return {"said": result}


if __name__ == "__main__":
    main()
