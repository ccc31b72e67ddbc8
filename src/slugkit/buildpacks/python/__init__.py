"""The Python buildpack: virtualenv makes the environment, pip-tools fills it, and it works at any path."""

import hashlib
import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Literal

import attrs
from attrs import frozen

from ..._tree import read_beneath
from ..._version import __version__
from ...environ import for_build
from ...errors import BuildpackError
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._detect import REASON, check_source, sign_of_python
from ._managers import choose_manager

Runtime = Literal["vendored", "stack"]

_ENV = ".heroku/python"
_LOCK = ".heroku/requirements.lock"
_HERE = Path(__file__).parent
_INSIDE = _HERE / "_inside.py"

# What keeps two builds of the same tree the same, and pip quiet.
_SETTINGS = {
    "LANG": "C.UTF-8",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "SOURCE_DATE_EPOCH": "315532800",
}
_COMPILED = re.compile(r"^#.*\b(pip-compile|uv pip compile)\b|^[^#]*\s--hash=", re.MULTILINE)
_INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)
# A path, a URL, an editable, a directory of archives: what they lead to may change without a word in the file.
_ELSEWHERE = re.compile(
    r"^(?!\s*(?:#|-r|-c|-i|--requirement|--constraint|--index-url|--extra-index-url|--trusted-host))"
    r"(?:\s*(?:-e|-f|--editable|--find-links|\.)|[^#]*/)",
    re.MULTILINE,
)
_LARGEST_REQUIREMENTS = 2**20


@frozen
class PythonBuildpack:
    """Install what requirements.txt (or requirements.in, compiled first) lists.

    ``runtime="vendored"`` puts the interpreter into the slug, which then needs a compatible C library only;
    ``"stack"`` leaves it on the host, and the manifest says which one.
    """

    runtime: Runtime = "vendored"
    name: str = "python"

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app with any sign of Python in its root (contract.md 8.2)."""
        return Detection("Python") if sign_of_python(context.build_dir) else NotDetected(REASON)

    def compile(self, context: BuildContext) -> None:
        """Make ``.heroku/python`` and ``.profile.d``; an unchanged environment comes from the cache."""
        _Compile(context, self.runtime).run()

    def release(self, context: BuildContext) -> ReleaseDefaults:  # noqa: ARG002 - the Protocol's shape
        """Name the interpreter that the slug needs of its host, if it does."""
        return ReleaseDefaults(interpreter=sys.base_prefix if self.runtime == "stack" else None)


@attrs.frozen(slots=False)
class _Compile:
    """One compile, step by step."""

    context: BuildContext
    runtime: str

    def run(self) -> None:
        check_source(self.context.build_dir)
        version = ".".join(map(str, sys.version_info[:3]))
        if self._requirements not in {"requirements.txt", "requirements.in"}:
            raise BuildpackError(f"{self._requirements} is not installed from yet", "export it to requirements.txt")
        self._say(f"-----> Using Python {version} ({self.runtime})")
        self._check_requested_version()
        if self._key is not None and self._inside("restore", self._cached, self._key, check=False) == 0:
            self._say("-----> Restoring the environment from the cache: the requirements are unchanged")
        else:
            self._create()
        self._inside("app")
        self._inside("profile", _HERE / "profile.d")

    def _create(self) -> None:
        self._say(f"-----> Creating a virtual environment for {self._requirements}")
        self._virtualenv()
        lock = self._requirements
        if not _COMPILED.search(self._text):
            self._say(f"-----> Resolving {self._requirements} with pip-compile")
            lock = _LOCK
            self._pip_compile()
        self._say(f"-----> Installing {lock} with pip-sync")
        self._pip_sync(lock)
        self._say("-----> Making the environment relocatable")
        self._inside("finish", self.runtime)
        if self._key is not None:
            self._inside("save", self._cached, self._key)

    def _virtualenv(self) -> None:
        copies = "--copies" if self.runtime == "vendored" else "--symlinks"
        app_data = self.context.cache_dir / "virtualenv"
        options = ("--no-download", "--no-periodic-update", "--no-vcs-ignore", "--quiet", copies)
        self._python("-m", "virtualenv", *options, "--app-data", app_data, self.context.build_dir / _ENV)

    def _pip_compile(self) -> None:
        """Resolve to a full list of pins, in the slug for the record; made of the requirements alone."""
        options = (
            *("--quiet", "--no-header", "--no-annotate", "--strip-extras", "--allow-unsafe"),
            *(
                "--no-emit-index-url",
                "--no-emit-trusted-host",
                "--no-emit-find-links",
                "--no-config",
            ),
            *("--resolver", "backtracking", "--cache-dir", self.context.cache_dir / "pip-tools"),
        )
        lock = self.context.build_dir / _LOCK
        self._python("-m", "piptools", "compile", *options, "--output-file", lock, self._requirements)

    def _pip_sync(self, lock: str) -> None:
        python = self.context.build_dir / _ENV / "bin" / "python"
        options = ("--no-config", "--python-executable", python)
        self._python("-m", "piptools", "sync", *options, "--pip-args", "--no-compile", lock)

    def _python(self, *arguments: str | Path) -> None:
        env = {**for_build(self.context.config_vars), **_SETTINGS}
        cache = self.context.cache_dir / "pip"
        self.context.run([Path(sys.executable), *arguments], env={**env, "PIP_CACHE_DIR": cache})

    def _inside(self, *arguments: str | Path, check: bool = True) -> int:
        """Run one step of ``_inside.py`` in the sandbox: the tree is the app's, its links lead anywhere."""
        python = Path(os.path.realpath(sys.executable))
        argv = [python, "-I", "-S", _INSIDE, *arguments]
        return self.context.run(argv, env=_SETTINGS, check=check).status

    def _check_requested_version(self) -> None:
        """Refuse an app that asks for another Python than this one, rather than run it on the wrong one."""
        text = read_beneath(self.context.build_dir, ".python-version") or b""
        wanted = next((w for line in text.decode("utf-8", "replace").split("\n") if (w := line.strip())), "")
        here = [str(part) for part in sys.version_info[:3]]
        if re.fullmatch(r"\d+\.\d+(\.\d+)?", wanted) and wanted.split(".")[:2] != here[:2]:
            fix = f"run slugkit with Python {wanted}, or change .python-version"
            reason = f".python-version asks for Python {wanted}, this is {'.'.join(here)}"
            raise BuildpackError(reason, fix)

    def _say(self, text: str) -> None:
        self.context.say(text)

    @cached_property
    def _requirements(self) -> str:
        return choose_manager(self.context.build_dir).file

    @cached_property
    def _text(self) -> str:
        raw = read_beneath(self.context.build_dir, self._requirements, _LARGEST_REQUIREMENTS) or b""
        return raw.decode("utf-8", "replace")

    @property
    def _cached(self) -> Path:
        return self.context.cache_dir / "python"

    @cached_property
    def _key(self) -> str | None:
        """What the environment depends on, as one digest; None when that includes files of the app itself."""
        whole = _whole(self.context.build_dir, self._requirements, self._text)
        if whole is None:
            return None
        parts = (__version__, self.runtime, sys.version, sys.base_prefix, whole)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _whole(root: Path, name: str, text: str, depth: int = 8) -> str | None:
    """Return *text* with every requirements file it includes; None when it names anything by path or URL."""
    if _ELSEWHERE.search(text) or not depth:
        return None
    parts = [text]
    for included in _INCLUDED.findall(text):
        path = os.path.normpath(os.path.join(os.path.dirname(name), included))  # noqa: PTH118, PTH120 - relative
        if "://" in included or path.startswith(("..", "/")):
            return None
        raw = read_beneath(root, path, _LARGEST_REQUIREMENTS)
        part = None if raw is None else _whole(root, path, raw.decode("utf-8", "replace"), depth - 1)
        if part is None:
            return None
        parts.append(part)
    return "\0".join(parts)
