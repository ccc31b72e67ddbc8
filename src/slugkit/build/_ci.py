"""An app's tests, prepared and run as Heroku CI does (contract.md 2.10)."""

import json
from collections.abc import Callable
from typing import Any

from attrs import frozen

from .._tree import read_beneath
from ..buildpacks import BuildContext, Buildpack, Testing
from ..command import PROFILE, Completed
from ..errors import BuildpackError
from ._packs import Packs, Taken

_RUN = f'{PROFILE}\nexec bash -c "$1"'
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
    """Let each pack prepare the app for its tests; then the last one that can, or app.json, says how they are run.

    Raises:
        CompileFailedError: A test-compile failed, or the app's test-setup command.
        BuildpackError: Nothing says how the tests are run.
    """
    taken: Taken = []
    packs.prepare(_test_compile, taken)
    for pack, _ in reversed(taken):
        if isinstance(pack, Testing):
            with packs.step(pack, "test") as step:
                done = pack.test(packs.context)
                step.status = done.status if done else 0
            if done is not None:
                return TestRun(done.status, done.output)
    return _scripts(packs.context)


def _test_compile(pack: Buildpack, context: BuildContext) -> None:
    prepare: Callable[[BuildContext], None] = pack.test_compile if isinstance(pack, Testing) else pack.compile
    prepare(context)


def _scripts(context: BuildContext) -> TestRun:
    """Run the commands of app.json, in the frame that Heroku puts around them."""
    scripts = _app_json_scripts(read_beneath(context.build_dir, "app.json"))
    setup, test = scripts.get("test-setup"), scripts.get("test")
    if not isinstance(test, str):
        raise BuildpackError("nothing says how the tests are run", _FIX)
    if isinstance(setup, str):
        context.say(f"-----> Running test-setup command `{setup}`...")
        _shell(context, setup, check=True)
    else:
        context.say("-----> No test-setup command provided. Skipping.")
    context.say(f"-----> Running test command `{test}`...")
    done = _shell(context, test, check=False)
    if done.status == 0:
        context.say(f"-----> test command `{test}` completed successfully")
    else:
        context.say(f"-----> test command `{test}` failed with exit status {done.status}")
    return TestRun(done.status, done.output)


def _shell(context: BuildContext, line: str, *, check: bool) -> Completed:
    argv = ["bash", "--noprofile", "--norc", "-p", "-c", _RUN, "bash", line]
    return context.run(argv, env=context.config_vars, cwd=context.build_dir, check=check, show="raw")


def _app_json_scripts(raw: bytes | None) -> dict[str, Any]:
    """Return the scripts of the test environment, over those of the app (contract.md 8.1)."""
    try:
        plain = json.loads(raw or b"{}")
        scripts = {**plain.get("scripts", {}), **plain.get("environments", {}).get("test", {}).get("scripts", {})}
    except (ValueError, AttributeError, TypeError) as error:
        raise BuildpackError(f"app.json cannot be read: {error}", "make it the JSON of an app") from error
    return scripts
