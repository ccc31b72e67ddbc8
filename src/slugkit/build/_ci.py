"""An app's tests, prepared and run as Heroku CI does (contract.md 2.10)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from .._tree import read_beneath
from ..buildpacks import BuildContext, Buildpack, Testing
from ..command import BASH, PROFILE, Completed
from ..errors import BuildpackError
from ._packs import Packs, Taken, compiling, offers

_RUN = f'{PROFILE}\nexec /bin/bash -c "$1"'
_FIX = "give the buildpack a bin/test, or app.json environments.test.scripts.test"


@frozen
class TestRun:
    """What came of an app's tests: the exit status decides; ``output`` may hold TAP."""

    __test__ = False  # not one of pytest's, whatever its name

    status: int
    output: str

    @property
    def state(self) -> str:
        """``succeeded`` or ``failed``."""
        return "failed" if self.status else "succeeded"


def run_tests(packs: Packs) -> TestRun:
    """Let each pack prepare the app for its tests, then run app.json's test-setup, and its test or the packs' own.

    This is the order of Heroku's "CI lifecycle" article (heroku-ci-technical-detail-on-ci-lifecycle).

    Raises:
        CompileFailedError: A test-compile failed, or the app's test-setup command.
        BuildpackError: Nothing says how the tests are run, or app.json says it in a form that means nothing.
    """
    scripts = read_app_json(packs.context.build_dir).scripts
    taken: Taken = []
    packs.prepare("test-compile", _test_compile, taken)
    with compiling(*taken[-1]):
        _set_up(packs.context, scripts.get("test-setup"))
    if "test" in scripts:
        return _scripted(packs.context, scripts["test"])
    return _tested(packs, taken)


def _tested(packs: Packs, taken: Taken) -> TestRun:
    """Run each pack's own tests, up to the first that fail."""
    output, status = [], None
    for pack, _ in taken:
        if not isinstance(pack, Testing) or not offers(pack, "test", packs.context) or status:
            continue
        with packs.step(pack, "test") as step:
            done = pack.test(packs.context)
            step.status = done.status if done else 0
        if done is not None:
            status = done.status
            output.append(done.output)
    if status is None:
        raise BuildpackError("nothing says how the tests are run", _FIX)
    return TestRun(status, "".join(output))


def _test_compile(pack: Buildpack, context: BuildContext) -> None:
    prepare: Callable[[BuildContext], None] = pack.test_compile if isinstance(pack, Testing) else pack.compile
    prepare(context)


def _set_up(context: BuildContext, line: str | None) -> None:
    if line is not None:
        context.say(f"-----> Running test-setup command `{line}`...")
        _shell(context, line, check=True)
    else:
        context.say("-----> No test-setup command provided. Skipping.")


def _scripted(context: BuildContext, line: str) -> TestRun:
    """Run the test command of app.json in the frame that Heroku puts around it."""
    context.say(f"-----> Running test command `{line}`...")
    done = _shell(context, line, check=False)
    if done.status == 0:
        context.say(f"-----> test command `{line}` completed successfully")
    else:
        context.say(f"-----> test command `{line}` failed with exit status {done.status}")
    return TestRun(done.status, done.output)


def _shell(context: BuildContext, line: str, *, check: bool) -> Completed:
    return context.run(
        [*BASH, _RUN, "bash", line], env=context.config_vars, cwd=context.build_dir, check=check, show="raw"
    )


@frozen
class AppJson:
    """What an app's app.json says of its tests: commands, and config vars (contract.md 8.1)."""

    scripts: Mapping[str, str]
    env: Mapping[str, str]


def read_app_json(root: Path) -> AppJson:
    """Return what app.json in *root* says of the test environment, over what it says of the app.

    Raises:
        BuildpackError: It cannot be read.
    """
    try:
        plain = json.loads(read_beneath(root, "app.json") or b"{}")
        test = _section(_section(plain, "environments"), "test")
        scripts = {**_section(plain, "scripts"), **_section(test, "scripts")}
        env = {**_section(plain, "env"), **_section(test, "env")}
    except (ValueError, TypeError, RecursionError) as error:
        raise BuildpackError(f"cannot read app.json: {error}", _FIX) from error
    for name in ("test-setup", "test"):
        script = scripts.get(name, "")
        if not isinstance(script, str) or not _can_be_run(script):
            raise BuildpackError(f"cannot read app.json: the script {name!r} is no text", _FIX)
    values = {name: value.get("value") if isinstance(value, dict) else value for name, value in env.items()}
    return AppJson(scripts, {name: value for name, value in values.items() if isinstance(value, str)})


def _can_be_run(script: str) -> bool:
    try:
        return b"\0" not in script.encode()
    except UnicodeEncodeError:
        return False


def _section(plain: object, name: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise TypeError("it is no JSON object")
    found = plain.get(name)
    if not isinstance(found, dict | None):
        raise TypeError(f"{name} is no JSON object")
    return found or {}
