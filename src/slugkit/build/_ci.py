"""An app's tests, prepared and run as Heroku CI does (contract.md 2.10)."""

import json
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .._tree import read_beneath
from ..buildpacks import BuildContext, Buildpack, Testing
from ..command import PROFILE, Completed
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
        BuildpackError: Nothing says how the tests are run.
    """
    taken: Taken = []
    packs.prepare(_test_compile, taken)
    scripts = _app_json_scripts(read_beneath(packs.context.build_dir, "app.json"))
    with compiling(taken[-1][1]):
        _set_up(packs.context, scripts.get("test-setup"))
    if isinstance(scripts.get("test"), str):
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


def _set_up(context: BuildContext, line: object) -> None:
    if isinstance(line, str):
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
    argv = ["/bin/bash", "--noprofile", "--norc", "-p", "-c", _RUN, "bash", line]
    return context.run(argv, env=context.config_vars, cwd=context.build_dir, check=check, show="raw")


def _app_json_scripts(raw: bytes | None) -> dict[str, Any]:
    """Return the scripts of the test environment, over those of the app (contract.md 8.1)."""
    try:
        plain = json.loads(raw or b"{}")
        scripts = {**plain.get("scripts", {}), **plain.get("environments", {}).get("test", {}).get("scripts", {})}
    except (ValueError, AttributeError, TypeError) as error:
        raise BuildpackError(f"app.json cannot be read: {error}", "make it the JSON of an app") from error
    return scripts
