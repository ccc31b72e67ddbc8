"""A classic buildpack: a directory with bin/detect and bin/compile, run to the letter of contract.md 2."""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from .._tree import copy_tree, digest, give_to, open_beneath, read_beneath, remove_tree
from .._whole import writing
from ..command import BASH, PROFILE, Completed
from ..errors import BuildpackError
from ._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._release import parse_release

#: The scripts of a buildpack; the first two are required.
SCRIPTS = ("detect", "compile", "release", "report", "test-compile", "test")

_SOURCE_EXPORT = '/usr/bin/env -0 >"$2" || exit; . "$1" >&2; /usr/bin/env -0 >"$3" 2>/dev/null'
_TEST = f'{PROFILE}\n[ -s "$1" ] || exit 0\nexec "$@"'  # an empty script succeeds
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BASHS_OWN = {"_", "OLDPWD", "PWD", "SHLVL"}
_MOST_VARIABLES = 1000
_LONGEST_NAME = 200  # characters of what detect calls the app
_LARGEST_ANSWER = 2**20  # bytes of an environment, and of a report

ReportValue = str | int | float | bool


@frozen
class ClassicBuildpack:
    """Run the scripts in ``bin/`` of *directory*: whatever Heroku runs, this runs.

    Each build works on a copy, which the scripts may write to and start in. ``directory=None`` is the inline
    buildpack: the scripts are the app's own, in its ``bin/``.
    """

    directory: Path | None
    name: str
    source: str = "directory"
    version: str = field()
    _stage: str = field(factory=lambda: uuid.uuid4().hex[:8], init=False, repr=False, eq=False)

    @version.default
    def _version(self) -> str:
        return "" if self.directory is None else f"sha256:{digest(self.directory, skip=is_left_out(self.directory))}"

    def offers(self, step: str, context: BuildContext) -> bool:
        """Return whether the pack has something to run for a *step* that not every pack has."""
        return os.path.lexists(self._staged(context) / ("export" if step == "export" else f"bin/{step}"))

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Run bin/detect; what it prints is what the app is called, or why the pack does not apply."""
        here = self._staged(context)
        if not self.offers("detect", context) or not self.offers("compile", context):
            return NotDetected("the app has no bin/detect and bin/compile of its own")
        if self.directory is None:
            _make_executable(here, SCRIPTS)
        done = context.run([here / "bin/detect", context.build_dir], cwd=here, check=False, show="raw", capture=True)
        said = done.output.strip()
        if done.status != 0:
            return NotDetected(said)
        return Detection(said.partition("\n")[0].rstrip()[:_LONGEST_NAME])

    def compile(self, context: BuildContext) -> None:
        """Run bin/compile; a status other than 0 rejects the build."""
        self._run(context, "compile", context.build_dir, context.cache_dir, context.env_dir)

    def export(self, context: BuildContext) -> Mapping[str, str | None]:
        """Let bash source the file ``export`` of the pack's directory, and return what that changed."""
        if not self.offers("export", context):
            return {}
        here = self._staged(context)
        before, after = (context.tmp / f".{when}-{uuid.uuid4().hex[:8]}" for when in ("before", "after"))
        context.run([*BASH, _SOURCE_EXPORT, "bash", here / "export", before, after], cwd=here, check=False, show="raw")
        old, new = _taken(before), _taken(after)
        if not new:
            context.say(" !     Warning: export ended the shell that sourced it, so later buildpacks see nothing of it")
            return {}
        if len(new) > _MOST_VARIABLES:
            raise BuildpackError(f"export leaves more than {_MOST_VARIABLES} variables", "export what later packs need")
        unset: dict[str, str | None] = dict.fromkeys(old.keys() - new.keys())
        return {**unset, **{name: value for name, value in new.items() if old.get(name) != value}}

    def release(self, context: BuildContext) -> ReleaseDefaults | None:
        """Read the YAML that bin/release prints, if there is one.

        Raises:
            BuildpackError: It prints something else.
        """
        if not self.offers("release", context):
            return None
        here = self._staged(context)
        done = context.run([here / "bin/release", context.build_dir], cwd=here, show="raw", capture=True)
        return parse_release(done.output)

    def report(self, context: BuildContext) -> Mapping[str, ReportValue]:
        """Read the flat JSON object that bin/report prints, if there is one.

        Raises:
            BuildpackError, ValueError: It prints something else.
        """
        if not self.offers("report", context):
            return {}
        here = self._staged(context)
        where = (context.build_dir, context.cache_dir, context.env_dir)
        done = context.run([here / "bin/report", *where], cwd=here, show="no", capture=True)
        facts = json.loads(done.output[:_LARGEST_ANSWER], parse_constant=_refuse)
        if not isinstance(facts, dict):
            raise BuildpackError("bin/report printed no JSON object")
        return facts

    def test_compile(self, context: BuildContext) -> None:
        """Run bin/test-compile, or bin/compile where there is none."""
        name = "test-compile" if self.offers("test-compile", context) else "compile"
        self._run(context, name, context.build_dir, context.cache_dir, context.env_dir)

    def test(self, context: BuildContext) -> Completed | None:
        """Run bin/test, if there is one, with the profile scripts sourced and the config vars in its environment."""
        if not self.offers("test", context):
            return None
        here = self._staged(context)
        argv: list[str | Path] = [*BASH, _TEST, "bash", here / "bin/test", context.build_dir, context.env_dir]
        return context.run(argv, env=context.config_vars, cwd=here, check=False, show="raw")

    def _run(self, context: BuildContext, script: str, *arguments: Path) -> None:
        here = self._staged(context)
        context.run([here / "bin" / script, *arguments], cwd=here, show="raw")

    def _staged(self, context: BuildContext) -> Path:
        """Return the build's own copy of the pack, made on first use, with everything in bin/ made executable."""
        if self.directory is None:
            return context.build_dir
        here = context.tmp / f"buildpack_{self._stage}"
        if not os.path.lexists(here):
            with writing(here):
                here.mkdir()
                here.chmod(0o755)  # whatever the umask: the packs' user enters it
                copy_tree(self.directory, here, skip=is_left_out(self.directory))
                _make_executable(here, [path.name for path in (here / "bin").iterdir()])
                if os.geteuid() == 0:
                    uid = context.tmp.stat().st_uid
                    give_to(here, uid, uid)
        return here


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _make_executable(here: Path, names: Iterable[str]) -> None:
    """Set the run bits of the files *names* in bin/, or of what they link to in *here*: 13 of 79 packs lack them.

    Nothing outside of *here* is touched, whatever links there are (contract.md 2.1).
    """
    for name in names:
        real = os.path.relpath(os.path.realpath(here / "bin" / name), os.path.realpath(here))
        fd = open_beneath(here, real)
        if fd is not None:
            os.fchmod(fd, 0o755)
            os.close(fd)


_DEVELOPMENT = {".git", ".hg", ".svn", ".tox", ".nox", ".coverage", "__pycache__"}
_TOOL_CACHE = re.compile(r"\.\w+_cache")  # of pytest, mypy, ruff


def is_left_out(directory: Path) -> Callable[[str], bool]:
    """Return what says whether a path below the pack *directory* is of its development, and no part of the pack.

    Repositories, tools' caches and virtual environments: a pack comes to a platform without them, and its author's
    own directory often has 10 000 files of them.
    """

    def left_out(path: str) -> bool:
        name = path.rpartition("/")[2]
        return name in _DEVELOPMENT or bool(_TOOL_CACHE.fullmatch(name)) or (directory / path / "pyvenv.cfg").is_file()

    return left_out


def _taken(file: Path) -> dict[str, str]:
    """Return what ``env -0`` wrote to *file*, now removed, less what is bash's own and what no shell could pass on."""
    raw = read_beneath(file.parent, file.name, _LARGEST_ANSWER) or b""
    remove_tree(file)
    pairs = (variable.partition("=")[::2] for variable in raw.decode("utf-8", "surrogateescape").split("\0"))
    return {name: value for name, value in pairs if _VARIABLE.fullmatch(name) and name not in _BASHS_OWN}
