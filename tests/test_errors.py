import pickle
import re
import traceback
from pathlib import Path
from typing import Any

import attrs
import pytest

from slugkit import errors
from slugkit.errors import SlugkitError

LAST = ("one", "two")
# Each class once, with every field set to something that can be told from the others.
SAMPLES: list[tuple[SlugkitError, str, type[Exception]]] = [
    (errors.CorruptStoreError("store/index.json", "no JSON"), "store.corrupt", ValueError),
    (errors.ProcfileSyntaxError("no blank", 2, 5, "web:a", "write it so"), "procfile.syntax", ValueError),
    (errors.ProcfileUnreadableError("Procfile", "not UTF-8"), "procfile.unreadable", ValueError),
    (errors.InvalidConfigVarError("1A", "not a name"), "config.invalid", ValueError),
    (errors.SourceNotFoundError("app"), "source.not-found", FileNotFoundError),
    (errors.SourceUnusableError("app", "no commit"), "source.unusable", ValueError),
    (errors.NoBuildpackError((("python", "no requirements.txt"),)), "buildpack.none", LookupError),
    (errors.IncompatibleBuildpackError("python", "no requirements.txt"), "buildpack.incompatible", LookupError),
    (errors.UnknownBuildpackError("cobol", ("python", "ruby")), "buildpack.unknown", LookupError),
    (errors.BuildpackFetchError("https://example.com/a.git", "no route"), "buildpack.fetch-failed", OSError),
    (errors.InvalidBuildpackError("./pack", "it has no bin/detect"), "buildpack.invalid", ValueError),
    (errors.CommandFailedError("pip install", 1, LAST), "buildpack.command-failed", RuntimeError),
    (errors.BuildpackError("two lock files", "delete one"), "buildpack.failed", RuntimeError),
    (errors.CompileFailedError("Python", 1, LAST, "/tmp/kept", "pin it"), "build.compile-failed", RuntimeError),
    (errors.BuildTimeoutError(900.0, "/tmp/kept"), "build.timeout", TimeoutError),
    (errors.SecretInSlugError(("API_TOKEN",), ("a", "b", "c", "d")), "build.secret-in-slug", ValueError),
    (errors.SlugTooLargeError(600_700_000, 500 * 2**20), "slug.too-large", ValueError),
    (errors.SlugNotFoundError("a.slug.tgz"), "slug.not-found", FileNotFoundError),
    (errors.CorruptSlugError("a.slug.tgz", "cut short"), "slug.corrupt", ValueError),
    (errors.UnsafeMemberError("../x", "climbs out"), "slug.unsafe-member", ValueError),
    (errors.OutputError("out.tgz", "no space left"), "output.failed", OSError),
    (
        errors.SandboxUnavailableError((("bubblewrap", "not on PATH"),), "sysctl a.b=1"),
        "sandbox.unavailable",
        RuntimeError,
    ),
    (errors.UnknownProcessTypeError("clock", ("web", "worker")), "process.unknown", LookupError),
    (errors.InvalidCommandError("it holds a NUL"), "process.invalid", ValueError),
    (errors.DynoStartError("web.1", "too many open files"), "dyno.start-failed", OSError),
    (errors.InvalidSettingError("port", "0 is not a port"), "setting.invalid", ValueError),
    (errors.MissingInterpreterError("/opt/python"), "dyno.missing-interpreter", RuntimeError),
    (errors.PortInUseError(5000), "dyno.port-in-use", OSError),
    (errors.DynoCrashedError("web.1", 3, LAST, up=True), "dyno.crashed", RuntimeError),
    (errors.BootTimeoutError("web.1", 60.0, LAST), "dyno.boot-timeout", TimeoutError),
    (errors.RunnerClosedError(), "dyno.runner-closed", RuntimeError),
    (errors.FormationStoppedError(), "dyno.formation-stopped", RuntimeError),
    (errors.ReleaseFailedError("release.1234", 1, LAST), "release.failed", RuntimeError),
    (errors.MissingLibraryError("cyclonedx-python-lib", "sbom"), "sbom.missing-library", ImportError),
    (errors.InvalidBudgetError("budget.toml", "slug.max", "not a key"), "budget.invalid", ValueError),
    (errors.BudgetExceededError("budget.toml", ("2K is more than 1K",), LAST), "budget.exceeded", ValueError),
    (errors.NotReproducibleError("app", ("a", "b")), "slug.not-reproducible", ValueError),
    (errors.DrainFailedError("timed out"), "drain.failed", OSError),
    (errors.DrainRefusedError("status 401"), "drain.refused", ValueError),
]
ERRORS = [error for error, _, _ in SAMPLES]
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)


def fields(error: Any) -> dict[str, object]:  # noqa: ANN401 - attrs has no type for its classes here
    return {field.name: getattr(error, field.name) for field in attrs.fields(type(error))}


def test_every_error_is_covered_here() -> None:
    """No error class comes without its code, its builtin base and its sentence being held to the rules."""
    classes = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, SlugkitError)}

    assert classes - {SlugkitError} == {type(error) for error in ERRORS}
    assert len(SAMPLES) == len(classes) - 1


@pytest.mark.parametrize(("error", "code", "builtin"), SAMPLES, ids=[code for _, code, _ in SAMPLES])
def test_codes_and_builtin_bases_are_stable(error: SlugkitError, code: str, builtin: type[Exception]) -> None:
    """An error is recognised by its code, by the one root, or by the builtin a caller would expect."""
    assert type(error).code == code
    assert isinstance(error, builtin)
    with pytest.raises(SlugkitError) as caught:
        raise error
    assert caught.value is error


def test_codes_are_unique() -> None:
    """No two error classes share a code, and the root has one of its own."""
    codes = [SlugkitError.code, *(type(error).code for error in ERRORS)]

    assert len(set(codes)) == len(codes)


@each_error
def test_pickles_field_by_field(error: SlugkitError) -> None:
    """An error crosses a process border with its type, every field, its sentence and its hint."""
    twin = pickle.loads(pickle.dumps(error))

    assert type(twin) is type(error)
    assert fields(twin) == fields(error)
    assert (str(twin), twin.hint) == (str(error), error.hint)


@each_error
def test_sentences_are_plain(error: SlugkitError) -> None:
    """The first line is a sentence: it starts small unless with a file's name, and ends without a full stop or bang."""
    first = str(error).split("\n", 1)[0]

    assert first
    assert not first[0].isupper() or first.startswith("Procfile:")
    assert not first.endswith((".", "!", ":"))
    assert first == first.strip()
    assert not str(error).endswith("\n")


@each_error
def test_hints_are_one_line(error: SlugkitError) -> None:
    """The way out is one line without a full stop or a bang, or there is none."""
    hint = error.hint

    assert hint is None or (hint and "\n" not in hint and not hint.endswith((".", "!")))


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (errors.ProcfileSyntaxError("r", 1, 1, "s"), None),
        (errors.BuildpackError("r"), None),
        (errors.CompileFailedError("Python", 1), "--keep-failed keeps the workspace for a look"),
        (errors.CompileFailedError("Python", 1, (), "/tmp/k", "pin it"), "pin it; the workspace is kept at /tmp/k"),
        (errors.UnknownProcessTypeError("web", ()), "it has none at all: add a Procfile"),
        (errors.UnknownProcessTypeError("clock", ("web", "w")), "process types of this slug: web, w"),
        (
            errors.UnknownBuildpackError("cobol", ("python", "ruby")),
            "buildpacks here: python, ruby; or name a directory, a git URL, a .tgz file or URL",
        ),
    ],
)
def test_hints_name_the_way_out(error: SlugkitError, hint: str | None) -> None:
    """A hint says what there is instead, or where to look; without anything to say there is none."""
    assert error.hint == hint


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ProcfileSyntaxError("expected ':'", 2, 4, "web a"), "Procfile:2: expected ':'\n  web a\n     ^"),
        (errors.NoBuildpackError((("python", "no x"), ("ruby", "no y"))), "\n  python: no x\n  ruby: no y"),
        (errors.BuildpackFetchError("https://a/b.git", "no"), "error fetching buildpack https://a/b.git: no"),
        (
            errors.InvalidBuildpackError("./pack", "it has no bin/x"),
            "./pack is no buildpack: it has no bin/x",
        ),
        (errors.CommandFailedError("pip", 2, LAST), "pip exited with status 2\n  one\n  two"),
        (errors.CompileFailedError("Python", 1, LAST), "failed to compile Python app (status 1)\n  one\n  two"),
        (errors.BuildTimeoutError(900), "timed out; must complete in 900 seconds"),
        (errors.BuildTimeoutError(0.5), "timed out; must complete in 0.5 seconds"),
        (errors.SlugTooLargeError(600_729_190, 500 * 2**20), "572.9M is too large (max is 500M)"),
        (errors.UnsafeMemberError("a\x1b[2J\n", "odd"), "refused member 'a\\x1b[2J\\n': odd"),
        (errors.DynoCrashedError("web.1", 1, LAST), "web.1 exited with status 1 before it was up\n  one\n  two"),
        (errors.DynoCrashedError("web.1", 0, (), up=True), "web.1 exited with status 0"),
        (
            errors.BootTimeoutError("web.1", 60),
            "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
        ),
    ],
)
def test_sentences_name_the_thing(error: SlugkitError, text: str) -> None:
    """A sentence names what failed and shows the last lines of a child, each indented."""
    assert text in str(error)


def raise_from(error: SlugkitError, cause: Exception) -> None:
    try:
        raise cause
    except OSError as reason:
        raise error from reason


@each_error
def test_can_be_raised_like_any_exception(error: SlugkitError) -> None:
    """Frozen as its fields are, an error takes a traceback, a note, a cause and a context."""
    fresh = type(error)(*fields(error).values())
    cause = OSError("disk")

    with pytest.raises(SlugkitError) as caught:
        raise_from(fresh, cause)
    caught.value.add_note("while building")

    assert caught.value is fresh
    assert (fresh.__cause__, fresh.__context__) == (cause, cause)
    assert fresh.__notes__ == ["while building"]
    assert "while building" in "".join(traceback.format_exception(fresh))
    assert fresh.with_traceback(None).__traceback__ is None


def test_fields_cannot_be_changed() -> None:
    """What an error says stays said."""
    error = errors.OutputError("out.tgz", "no space left")

    with pytest.raises(AttributeError):
        error.path = "other"  # type: ignore[misc]


def test_the_system_s_errors_keep_their_shape() -> None:
    """An error that is also an OSError has fields of its own and does not mistake them for errno and strerror."""
    error = errors.OutputError("out.tgz", "no space left")

    assert (error.path, error.reason, error.errno, error.filename) == ("out.tgz", "no space left", None, None)
    assert isinstance(pickle.loads(pickle.dumps(error)), OSError)


def test_the_root_is_usable_alone() -> None:
    """One except clause on the root has a code and a hint to read, whatever was raised."""
    error = SlugkitError("plain")

    assert (error.code, error.hint, str(error)) == ("slugkit", None, "plain")


@each_error
def test_every_code_is_documented(error: SlugkitError) -> None:
    """The reference lists each error by its code, class and fields."""
    page = (Path(__file__).parent.parent / "docs/reference/errors.md").read_text()
    names = ", ".join(f"`{name}`" for name in fields(error))

    assert re.search(
        rf"^\| `{re.escape(error.code)}` \| `{type(error).__name__}`[^|]*\| {names} \|", page, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("path", "helps"),
    [
        ("/usr/bin/node", "install the version that belongs there"),
        ("/usr/lib/ruby/3.1.0", "install the version that belongs there"),
        ("/opt/python", "runtime='vendored'"),
    ],
)
def test_a_missing_interpreter_says_what_helps(path: str, helps: str) -> None:
    """What belongs to the stack is to be installed; only a Python of another place could travel in the slug."""
    assert helps in str(errors.MissingInterpreterError(path).hint)
