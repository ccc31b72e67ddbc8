"""What a test is told when a build, a run or the contract is not as it should be."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BuildTimeoutError, CompileFailedError, InvalidBuildpackError, SlugkitError
from ._checks import Finding


class ContractError(AssertionError):
    """A buildpack breaks the contract in ways that are not waived: ``findings``; ``output`` is the transcript."""

    def __init__(self, findings: tuple[Finding, ...], output: str) -> None:
        self.findings, self.output = findings, output
        listed = "".join(f"\n  {finding}" for finding in findings)
        codes = ", ".join(dict.fromkeys(finding.code for finding in findings))
        waive = "@pytest.mark.waive(CODE), or slugkit_waive in the configuration, accepts one"
        super().__init__(f"the buildpack breaks the contract: {codes}{listed}\n{waive}\n\n{output}")


class UnexpectedOutcomeError(AssertionError):
    """A build failed that was to succeed, or succeeded that was to fail; ``output`` is the transcript."""

    def __init__(self, what: str, output: str) -> None:
        self.output = output
        super().__init__(f"{what}\n\n{output}")


def in_short(error: SlugkitError) -> str:
    """Return what went wrong, to be said behind something: its first line and the way out."""
    hint = error.hint
    if isinstance(error, InvalidBuildpackError):  # pytest was started in a directory that is none, most likely
        hint = "pytest's --buildpack or slugkit_buildpack names the pack under test"
    if isinstance(error, CompileFailedError | BuildTimeoutError):  # that is the pack's affair
        hint = None
    return f": {str(error).partition(chr(10))[0]}" + (f"\nhint: {hint}" if hint else "")


@contextmanager
def hinting() -> Iterator[None]:
    """Let an error of the block show its hint, which is no part of its sentence."""
    __tracebackhide__ = True
    try:
        yield
    except SlugkitError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise
