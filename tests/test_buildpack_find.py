"""Which buildpacks a build takes: by name, by place, by an installed package, by the app's own file, by detection."""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from slugkit.build import SlugBuilder
from slugkit.build._choice import asked_for
from slugkit.buildpacks import (
    LAST_RESORTS,
    BuildContext,
    Buildpack,
    ClassicBuildpack,
    Detection,
    Fetcher,
    NotDetected,
    builtin,
    detectable,
    find,
    find_for_app,
)
from slugkit.errors import (
    BuildpackFetchError,
    InvalidBuildpackError,
    NoBuildpackError,
    SlugkitError,
    UnknownBuildpackError,
)
from slugkit.events import BuildEvent, BuildpacksChosen, SeveralBuildpacksDetected
from slugkit.testing import FakeBuildpack, RecordingRunner

HELLO = Path(__file__).parent / "buildpacks/hello"
BUILT_IN = [pack.name for pack in builtin()]

# A module of a package that somebody installs: each attribute is what an entry point might name.
MODULE = """
    from slugkit.buildpacks import Detection, NotDetected, ReleaseDefaults

    class Pack:
        name = "cobol"

        def detect(self, context):
            if (context.build_dir / "main.cob").exists():
                return Detection("COBOL")
            return NotDetected("no main.cob")

        def compile(self, context):
            context.say("-----> Compiling COBOL")

        def release(self, context):
            return ReleaseDefaults({"web": "./main"})

    pack = Pack()
    number = 42
    text = "a buildpack"

    def factory():
        return Pack()

    def failing():
        raise RuntimeError("no compiler here")

    def needing(argument):
        return Pack()

    def nothing():
        return None

    class WithoutCompile:
        name = "half"
        def detect(self, context): ...
        def release(self, context): ...

    class WithoutName:
        def detect(self, context): return NotDetected("never")
        def compile(self, context): ...
        def release(self, context): ...

    class NoMethods:
        name = "data"
        detect = compile = release = "not callable"
"""


class Installed:
    """A package on sys.path; `offer` gives it entry points."""

    def __init__(self, root: Path) -> None:
        self.module = f"cobolpack_{uuid.uuid4().hex[:8]}"
        self.root = root
        (root / f"{self.module}.py").write_text(dedent(MODULE))
        (root / "brokenpack.py").write_text("import a_module_that_nobody_has\n")
        (root / "garbledpack.py").write_text("def (:\n")
        (root / "raisingpack.py").write_text("raise RuntimeError('not on a Monday')\n")

    def offer(self, **entries: str) -> None:
        """Install entry points of the group, ``{}`` standing for the module."""
        info = self.root / "cobolpack-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cobolpack\nVersion: 1.0\n")
        lines = [f"{name} = {value.format(self.module)}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[slugkit.buildpacks]", *lines, ""]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Return a package that is installed for the time of the test."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    before = set(sys.modules)
    yield Installed(tmp_path / "site")
    for name in set(sys.modules) - before:
        if name.endswith("pack") or name.startswith("cobolpack"):
            del sys.modules[name]


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher({}, tmp_path / "cache")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return an app that no built-in buildpack claims."""
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def context_of(build_dir: Path) -> BuildContext:
    return BuildContext(build_dir, build_dir, {}, RecordingRunner(), lambda _: None)


def names(packs: tuple[Buildpack, ...] | Iterator[Buildpack]) -> list[str]:
    return [pack.name for pack in packs]


# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nodejs", "python", "procfile", "static"])
def test_a_built_in_pack_is_found_by_its_name(fetcher: Fetcher, name: str) -> None:
    """A built-in buildpack is what its name means, and is not looked for elsewhere."""
    found = find(name, "vendored", fetcher)

    assert (found.name, type(found)) in {(pack.name, type(pack)) for pack in (*builtin(), *LAST_RESORTS)}


@pytest.mark.parametrize("name", ["inline", "heroku-community/inline"])
def test_inline_is_the_app_itself(app: Path, fetcher: Fetcher, name: str) -> None:
    """``inline``, also by Heroku's name for it, is the pack that an app carries in its own bin/."""
    (app / ".buildpacks").write_text(f"{name}\n")
    for pack in (find(name, "vendored", fetcher), *asked_for(None, app, "vendored", fetcher)):
        assert isinstance(pack, ClassicBuildpack)
        assert (pack.directory, pack.name, pack.source) == (None, "inline", "inline")


def test_an_object_is_itself(fetcher: Fetcher) -> None:
    """A buildpack that the caller made is taken as it is."""
    pack = FakeBuildpack()

    assert find(pack, "vendored", fetcher) is pack


def test_a_name_goes_before_a_directory_of_that_name(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory ``python`` beside the app changes nothing in what ``python`` means; ``./python`` is the directory."""
    for name in ("python", "mine"):
        (tmp_path / name / "bin").mkdir(parents=True)
        for script in ("detect", "compile"):
            (tmp_path / name / "bin" / script).write_text("")
    monkeypatch.chdir(tmp_path)

    assert not isinstance(find("python", "vendored", fetcher), ClassicBuildpack)
    for text, directory in (("./python", "python"), ("mine", "mine"), ("./mine", "mine"), ("mine/", "mine")):
        pack = find(text, "vendored", fetcher)
        assert isinstance(pack, ClassicBuildpack)
        assert pack.directory == tmp_path / directory


def test_a_place_is_fetched(fetcher: Fetcher) -> None:
    """Text that is a place gives the pack that is there."""
    pack = find(str(HELLO), "vendored", fetcher)

    assert isinstance(pack, ClassicBuildpack)
    assert pack.directory == HELLO


@pytest.mark.parametrize(
    "name", ["pyhton", "cobol", "", " ", "ftp://example.com/pack.tgz", "x" * 300, "a\0b", "\ud800"]
)
def test_an_unknown_name_lists_the_known_ones(
    installed: Installed, app: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A name that nothing has is an error that lists those there are, installed ones too, and says what else works."""
    installed.offer(fortran="{}:pack")
    monkeypatch.chdir(HELLO)  # "" is not the current directory
    for look in (find, find_for_app):
        with pytest.raises(UnknownBuildpackError) as caught:
            look(name, "vendored", fetcher)
        assert caught.value.known == (*BUILT_IN, "procfile", "static", "inline", "fortran")
        assert f"buildpacks here: {', '.join(BUILT_IN)}, procfile, static, inline, fortran" in str(caught.value.hint)
    assert list(app.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["git://me:hunter2@example.com/p", "HTTPS://me:hunter2@example.com/p.git", "ftp://x:hunter2@h/p.tgz"]
)
def test_an_unknown_place_does_not_show_its_password(fetcher: Fetcher, url: str) -> None:
    """A URL that cannot be a place is an error without the password in it, whatever its scheme."""
    with pytest.raises(SlugkitError) as caught:
        find(url, "vendored", fetcher)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


# -- installed packages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["{}:pack", "{}:Pack", "{}:factory"])
def test_an_installed_pack_is_found_by_its_entry_point(
    installed: Installed, app: Path, fetcher: Fetcher, value: str
) -> None:
    """An entry point names an object, a class or a function that makes one; all three are the pack."""
    installed.offer(cobol=value)
    pack = find("cobol", "vendored", fetcher)
    assert pack.detect(context_of(app)) == NotDetected("no main.cob")
    (app / "main.cob").write_text("")

    assert pack.detect(context_of(app)) == Detection("COBOL")
    (app / ".buildpacks").write_text("cobol\n")
    assert names(asked_for(None, app, "vendored", fetcher)) == ["cobol"]


BROKEN = {
    "brokenpack:pack": "a_module_that_nobody_has",
    "garbledpack:pack": "SyntaxError",
    "raisingpack:pack": "not on a Monday",
    "no_such_module_at_all:pack": "no_such_module_at_all",
    "{}:missing": "missing",
    "{}:failing": "no compiler here",
    "{}:needing": "argument",
    "{}:nothing": "has no name, detect",
    "{}:number": "has no name, detect",
    "{}:text": "has no name, detect",
    "{}:WithoutCompile": "has no name, detect",
    "{}:NoMethods": "has no name, detect",
    "{}:WithoutName": "name",
    "{}": "has no name, detect",
    "": "cannot be loaded",
}


@pytest.mark.parametrize(("value", "reason"), BROKEN.items(), ids=BROKEN)
def test_a_broken_installed_pack_is_an_error_when_named(
    installed: Installed, fetcher: Fetcher, value: str, reason: str
) -> None:
    """An entry point that leads to no buildpack is an error of ours that says which one and why."""
    installed.offer(broken=value)

    with pytest.raises(InvalidBuildpackError, match=reason) as caught:
        find("broken", "vendored", fetcher)
    assert caught.value.buildpack == "broken"


@pytest.mark.parametrize(("value", "reason"), BROKEN.items(), ids=BROKEN)
def test_a_broken_installed_pack_does_not_stop_detection(
    installed: Installed, app: Path, tmp_path: Path, value: str, reason: str
) -> None:
    """A package that is broken claims no app: it is only a reason beside the others when nothing claims the app."""
    installed.offer(broken=value, cobol="{}:pack")
    builder = SlugBuilder(cache_dir=tmp_path / "cache", sandbox="none")
    with pytest.raises(NoBuildpackError) as caught:
        builder.detect(app)
    reasons = dict(caught.value.reasons)
    assert list(reasons) == [*BUILT_IN, "broken", "cobol", "procfile", "static"]
    assert reason in reasons["broken"]

    (app / "main.cob").write_text("")
    assert builder.detect(app) == Detection("COBOL")


def test_detection_tries_built_in_packs_first(installed: Installed, app: Path, tmp_path: Path) -> None:
    """Built-in packs are tried before installed ones, these by name; Procfile and static last of all."""
    installed.offer(zebra="{}:pack", ada="{}:factory")
    for name, content in (("requirements.txt", ""), ("main.cob", ""), ("Procfile", "web: x\n")):
        (app / name).write_text(content)
    events: list[BuildEvent] = []
    builder = SlugBuilder(cache_dir=tmp_path / "cache", sandbox="none", on_event=events.append)

    assert names(detectable()) == [*BUILT_IN, "cobol", "cobol"]
    assert builder.detect(app).name == "Python"
    assert SeveralBuildpacksDetected(("Python", "COBOL", "COBOL")) in events
    (app / "requirements.txt").unlink()
    assert builder.detect(app).name == "COBOL"
    (app / "main.cob").unlink()
    (app / "index.html").write_text("")
    assert builder.detect(app).name == "Procfile"
    (app / "Procfile").unlink()
    assert builder.detect(app).name == "Static"


def test_an_installed_pack_cannot_take_a_name_that_is_taken(installed: Installed, fetcher: Fetcher) -> None:
    """``python`` and ``inline`` mean slugkit's own, whatever is installed."""
    installed.offer(python="{}:pack", inline="{}:pack")

    assert not type(find("python", "vendored", fetcher)).__module__.startswith("cobolpack")
    assert isinstance(find("inline", "vendored", fetcher), ClassicBuildpack)


def test_installed_packs_are_imported_when_they_are_needed(installed: Installed, fetcher: Fetcher) -> None:
    """A build that names another pack does not run any code of an installed one."""
    installed.offer(cobol="{}:pack", broken="raisingpack:pack")
    find("python", "vendored", fetcher)
    find(str(HELLO), "vendored", fetcher)
    with pytest.raises(UnknownBuildpackError):
        find("fortran", "vendored", fetcher)

    assert installed.module not in sys.modules


@pytest.mark.usefixtures("sandboxed")
def test_an_installed_pack_builds_an_app(installed: Installed, app: Path, tmp_path: Path) -> None:
    """An installed pack is detected, compiles and is recorded as what it is."""
    installed.offer(cobol="{}:Pack")
    (app / "main.cob").write_text("")
    slug = SlugBuilder(cache_dir=tmp_path / "cache").build(app, tmp_path / "o.tgz")
    (record,) = slug.manifest.buildpacks

    assert (record.name, record.source, record.detected) == ("cobol", f"python:{installed.module}", "COBOL")
    assert slug.manifest.process_types == {"web": "./main"}


# -- .buildpacks -------------------------------------------------------------------------------------------------


def test_what_was_asked_for_beats_the_app_beats_detection(app: Path, tmp_path: Path, fetcher: Fetcher) -> None:
    """A caller's choice goes before the app's ``.buildpacks``, and that before detection."""
    (app / "Procfile").write_text("web: x\n")
    (app / "requirements.txt").write_text("")
    chosen: list[tuple[str, ...]] = []

    def on_event(event: BuildEvent) -> None:
        if isinstance(event, BuildpacksChosen):
            chosen.append(event.names)

    def detected(*packs: Buildpack) -> str:
        builder = SlugBuilder(buildpacks=packs, cache_dir=tmp_path / "cache", sandbox="none", on_event=on_event)
        return builder.detect(app).name

    assert detected() == "Python"
    (app / ".buildpacks").write_text("procfile\npython\n")
    assert detected() == "Procfile"
    assert detected(FakeBuildpack()) == "Fake"
    assert chosen == [(), ("procfile", "python"), ("fake",)]
    assert names(asked_for([], app, "vendored", fetcher)) == ["procfile", "python"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"python\nprocfile\n", ["python", "procfile"]),
        (b"procfile\npython", ["procfile", "python"]),
        (b"python\r\nprocfile\r\n", ["python", "procfile"]),
        (b"# first\npython\n  # indented\n#procfile\n", ["python"]),
        (b"\n\n  python  \n\t\n\tprocfile\t\n\n", ["python", "procfile"]),
        (b"python\npython\n", ["python", "python"]),
        (b"inline\n", ["inline"]),
        (b"", []),
        (b"\n\n", []),
        (b"# nothing\r\n\r\n", []),
    ],
)
def test_what_an_app_lists(app: Path, fetcher: Fetcher, text: bytes, expected: list[str]) -> None:
    """``.buildpacks`` has one pack a line, in order; blanks, empty lines, comments and CRs mean nothing."""
    (app / ".buildpacks").write_bytes(text)

    assert names(asked_for(None, app, "vendored", fetcher)) == expected


@pytest.mark.parametrize("kind", ["link", "dangling link", "directory"])
def test_what_an_app_lists_is_in_a_file_of_its_own(app: Path, tmp_path: Path, fetcher: Fetcher, kind: str) -> None:
    """A ``.buildpacks`` that is a link or a directory is none: nothing of the host is read by it."""
    (tmp_path / "elsewhere").write_text("python\n")
    if kind == "directory":
        (app / ".buildpacks").mkdir()
    else:
        (app / ".buildpacks").symlink_to(tmp_path / ("elsewhere" if kind == "link" else "missing"))

    assert asked_for(None, app, "vendored", fetcher) == ()


@pytest.mark.parametrize(
    "place",
    [
        str(HELLO),
        "./hello",
        "../hello",
        ".",
        "hello/",
        "hello#main",
        "./hello#main",
        f"{HELLO}#main",
        "./hello.tgz",
        "hello.tgz",
        f"file://{HELLO}",
        f"file://{HELLO}#main",
        "file:///srv/hello.tgz",
        "ssh://git@example.com/hello.git",
        "git@example.com:me/hello.git",
        "git@example.com:me/hello.git#main",
    ],
)
def test_an_app_may_not_name_places_of_this_machine(
    app: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An app's own file names nothing that needs this machine's files or ssh keys."""
    monkeypatch.chdir(HELLO.parent)
    (app / ".buildpacks").write_text(f"python\n{place}\n")

    with pytest.raises(BuildpackFetchError, match="may not name a place of this machine"):
        asked_for(None, app, "vendored", fetcher)


def test_an_app_may_not_name_a_directory_that_happens_to_be_here(
    app: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word in ``.buildpacks`` is never a directory of the host, which the same word is to the caller."""
    monkeypatch.chdir(HELLO.parent)
    (app / ".buildpacks").write_text("hello\n")
    assert find("hello", "vendored", fetcher).name == "hello"

    with pytest.raises(UnknownBuildpackError):
        asked_for(None, app, "vendored", fetcher)


@pytest.mark.parametrize(
    "line", [b"http://[", b"http://h/a\0b.git", b"https://a..b/p.tgz", b"http://127.0.0.1:1/\xc3\xa9.tgz", b"\xff"]
)
def test_whatever_an_app_lists_is_one_of_our_errors(app: Path, fetcher: Fetcher, line: bytes) -> None:
    """An app that writes nonsense into ``.buildpacks`` gets an error of slugkit, not a crash of its host."""
    (app / ".buildpacks").write_bytes(line + b"\n")

    with pytest.raises(SlugkitError):
        asked_for(None, app, "vendored", fetcher)
