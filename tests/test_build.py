"""The build narrative with fake buildpacks, a real sandbox and a real file system."""

import errno
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slugkit._tree import remove_tree
from slugkit.archive import Slug
from slugkit.build import SlugBuilder, _workspace, heroku_text
from slugkit.buildpacks import BuildContext, Detection, NotDetected, ReleaseDefaults, builtin
from slugkit.errors import (
    BuildpackError,
    BuildTimeoutError,
    CompileFailedError,
    IncompatibleBuildpackError,
    InvalidConfigVarError,
    InvalidSettingError,
    NoBuildpackError,
    OutputError,
    ProcfileUnreadableError,
    SandboxUnavailableError,
    SlugkitError,
    SlugTooLargeError,
    SourceNotFoundError,
    SourceUnusableError,
    UnknownBuildpackError,
    UnsafeMemberError,
)
from slugkit.events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpacksChosen,
    BuildStarted,
    PackingProgressed,
    PackingStarted,
    ProcessesLeft,
    ProcessTypesDiscovered,
    ProcfileWarned,
    SlugPacked,
    SourceCheckedOut,
    SourceIgnored,
    StepEnded,
    StepStarted,
    WorkspaceOpened,
)
from slugkit.source import GitSource
from slugkit.testing import FakeBuildpack, write_tree
from support import pids_with
from users import ROOT

pytestmark = pytest.mark.usefixtures("sandboxed")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "app", {"Procfile": "web: run\n", "file": "content\n"})


def shell(script: str) -> Callable[[BuildContext], None]:
    """Return a compile step that runs *script* with bash, in BUILD_DIR, CACHE_DIR as its first argument."""
    return lambda context: void(context.run(["bash", "-c", script, "bash", context.cache_dir, context.build_dir]))


def void(_: object) -> None:
    """Drop a value."""


def builder_of(
    *packs: FakeBuildpack, tmp_path: Path, events: list[BuildEvent] | None = None, timeout: float = 60.0
) -> SlugBuilder:
    return SlugBuilder(
        buildpacks=packs,
        cache_dir=tmp_path / "cache",
        timeout=timeout,
        on_event=None if events is None else events.append,
    )


def lines(events: list[BuildEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, BuildLine)]


def leftovers(tmp_path: Path) -> list[str]:
    """Return what a build left in its cache directory beside what is kept."""
    return sorted(p.name for p in (tmp_path / "cache").iterdir() if p.name not in {"cache", "lock", "segments"})


# -- the narrative ---------------------------------------------------------------------------------------------


def test_a_build_tells_its_story_in_order(app: Path, tmp_path: Path) -> None:
    """The events of a build are those of design.md 7, in the order in which things happen."""
    (app / ".slugignore").write_text("*.psd\n")
    (app / "a.psd").write_text("")
    events: list[BuildEvent] = []
    pack = FakeBuildpack(on_compile=lambda context: context.say("-----> Working"))
    slug = builder_of(pack, tmp_path=tmp_path, events=events).build(app, tmp_path / "o.tgz")
    opened = next(event for event in events if isinstance(event, WorkspaceOpened))
    steps = [event for event in events if isinstance(event, StepStarted | StepEnded)]

    assert [event for event in events if event not in steps] == [
        BuildStarted(str(app)),
        SourceIgnored(1),
        SourceCheckedOut(None, "d175415c799b249f49994e2d8dd1d586f384cb71"),
        BuildpacksChosen("heroku-24", ("fake",)),
        opened,
        BuildpackDetected("fake", "Fake"),
        BuildLine("-----> Working"),
        ProcessTypesDiscovered(("web",), (), "Fake"),
        PackingStarted(3, total := len("web: run\n") + len("content\n") + len("*.psd\n")),
        PackingProgressed(0, 0),  # the manifest
        PackingProgressed(3, total),
        SlugPacked(str(tmp_path / "o.tgz"), slug.size, 300 * 2**20),
    ]
    assert [(event.step, getattr(event, "status", None)) for event in steps] == [
        *(("detect", None), ("detect", 0), ("compile", None), ("compile", 0), ("release", None), ("release", 0)),
    ]
    assert Path(opened.cache_dir).is_relative_to(Path(opened.build_dir).parent)
    assert Path(opened.home) == Path(opened.build_dir).parent.parent / "app"


def test_the_text_is_herokus(app: Path, tmp_path: Path) -> None:
    """Rendered, the events are what `git push heroku` prints."""
    events: list[BuildEvent] = []
    defaults = ReleaseDefaults(process_types={"console": "irb", "web": "default"})
    pack = FakeBuildpack(defaults=defaults)
    slug = builder_of(pack, tmp_path=tmp_path, events=events).build(app, tmp_path / "o.tgz")
    text = "\n".join(line for event in events for line in heroku_text(event))

    assert (
        text
        == f"""\
-----> Building on the Heroku-24 stack
-----> Using buildpack: fake
-----> Fake app detected
-----> Discovering process types
       Procfile declares types     -> web
       Default types for buildpack -> console

-----> Compressing...
       Done: {slug.size}B"""
    )


def test_the_slug_describes_itself(app: Path, tmp_path: Path) -> None:
    """Defaults are overlaid by the Procfile, and the manifest says who built it from what."""
    defaults = ReleaseDefaults(process_types={"web": "default", "rake": "rake"}, config_vars={"A": "1"})
    slug = builder_of(FakeBuildpack(defaults=defaults), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")
    again = Slug.open(tmp_path / "o.tgz")

    assert again.manifest == slug.manifest
    assert (again.digest, again.diff_id, again.size) == (slug.digest, slug.diff_id, slug.size)
    assert dict(again.process_types) == {"rake": "rake", "web": "run"}
    assert again.manifest.config_vars == {"A": "1"}
    assert [pack.detected for pack in again.manifest.buildpacks] == ["Fake"]
    assert again.manifest.stack == "heroku-24"


def test_packs_run_one_after_the_other(app: Path, tmp_path: Path) -> None:
    """The second pack is asked after the first has compiled, and the last one's defaults count (contract.md 2.6)."""
    seen: list[bool] = []

    def look(context: BuildContext) -> None:
        seen.append((context.build_dir / "made-by-first").exists())

    first = FakeBuildpack("first", on_compile=shell("touch made-by-first"), defaults=ReleaseDefaults({"a": "1"}))
    second = FakeBuildpack("second", on_compile=look, defaults=ReleaseDefaults({"b": "2"}))
    slug = builder_of(first, second, tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert seen == [True]
    assert set(slug.process_types) == {"web", "b"}


def test_compile_yields_an_app_to_look_at(app: Path, tmp_path: Path) -> None:
    """Within the block of compile() the app's tree is there; after it, it is gone."""
    builder = builder_of(FakeBuildpack(on_compile=shell("echo made > made")), tmp_path=tmp_path)
    with builder.compile(app) as compiled:
        assert (compiled.root / "made").read_text() == "made\n"
        assert dict(compiled.process_types) == {"web": "run"}
        slug = builder.package(compiled, tmp_path / "o.tgz")

    assert not compiled.root.exists()
    assert {file.path for file in slug.files()} == {"Procfile", "file", "made", "tmp", "log"}


def test_a_procfile_made_by_compile_counts(app: Path, tmp_path: Path) -> None:
    """The Procfile is read after compile (contract.md 2.1), and its warnings are events."""
    events: list[BuildEvent] = []
    pack = FakeBuildpack(on_compile=shell("printf 'worker: w\\nclock:c\\n' > Procfile"))
    slug = builder_of(pack, tmp_path=tmp_path, events=events).build(app, tmp_path / "o.tgz")

    assert dict(slug.process_types) == {"worker": "w"}
    assert [(e.code, e.line) for e in events if isinstance(e, ProcfileWarned)] == [("procfile.no-blank", 2)]


@pytest.mark.parametrize(
    "script", ["mkdir -p tmp log; touch tmp/x log/x", "rm -rf tmp; ln -s /etc tmp", "echo x > log"]
)
def test_tmp_and_log_are_empty_directories(app: Path, tmp_path: Path, script: str) -> None:
    """Whatever compile leaves at tmp and log, the slug has two empty directories there."""
    slug = builder_of(FakeBuildpack(on_compile=shell(script)), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")
    kinds = {file.path: file.kind for file in slug.files() if file.path.startswith(("tmp", "log"))}

    assert kinds == {"tmp": "dir", "log": "dir"}


def test_source_is_left_alone(app: Path, tmp_path: Path) -> None:
    """A build changes nothing in its source directory."""
    builder_of(FakeBuildpack(on_compile=shell("rm -rf * && touch new")), tmp_path=tmp_path).build(
        app, tmp_path / "o.tgz"
    )

    assert sorted(path.name for path in app.iterdir()) == ["Procfile", "file"]


def test_own_cache_and_output_are_no_source(app: Path) -> None:
    """A slug and a cache inside the source directory do not get into the next slug: it is the same again."""
    first = SlugBuilder(cache_dir=app / ".cache").build(app, app / "app.slug.tgz")
    second = SlugBuilder(cache_dir=app / ".cache").build(app, app / "app.slug.tgz")

    assert {file.path for file in second.files()} == {"Procfile", "file", "tmp", "log"}
    assert second.diff_id == first.diff_id


def test_git_source_is_recorded(tmp_path: Path) -> None:
    """A build of a git ref records the commit, and packs see it as SOURCE_VERSION."""
    repository = write_tree(tmp_path / "repo", {"Procfile": "web: a\n"})
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    (repository / "Procfile").write_text("web: not committed\n")
    events: list[BuildEvent] = []
    builder = builder_of(FakeBuildpack(on_compile=shell("echo $SOURCE_VERSION")), tmp_path=tmp_path, events=events)
    slug = builder.build(GitSource(repository, "main"), tmp_path / "o.tgz")

    assert slug.manifest.source_commit == commit
    assert lines(events) == [f"       {commit}"]
    assert slug.process_types["web"] == "a"


# -- what a pack's commands see --------------------------------------------------------------------------------


def test_environment_of_a_build(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands see contract.md 2.4 and the named host variables; no canary, no config var."""
    monkeypatch.setenv("CANARY", "of the host")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    events: list[BuildEvent] = []
    builder = SlugBuilder(
        buildpacks=(FakeBuildpack(on_compile=shell("env | cut -d= -f1 | sort | xargs; pwd; echo $HOME $STACK")),),
        cache_dir=tmp_path / "cache",
        config_vars={"SECRET": "x" * 20},
        host_env=("https_proxy",),
        on_event=events.append,
    )
    builder.build(app, tmp_path / "o.tgz")
    names, cwd, home = (line.strip() for line in lines(events))

    assert set(names.split()) == {
        *("BUILDPACK_LOG_FILE", "DYNO", "HOME", "PATH", "REQUEST_ID", "SOURCE_VERSION", "STACK"),
        *("https_proxy", "PWD", "SHLVL", "_"),
    }
    assert cwd.startswith("/tmp/build_")
    assert home == "/app heroku-24"


def test_a_build_is_confined(app: Path, tmp_path: Path) -> None:
    """Commands write to the build, the cache, /app and /tmp only, are not root, and see no file of the host's users."""
    events: list[BuildEvent] = []
    script = f"""
    for where in / /usr /etc /dev /var /var/lib/dpkg {tmp_path} {app}; do
      (echo x > $where/escape) 2>/dev/null && echo "wrote $where"
    done
    for where in . "$1" /app /tmp; do echo x > $where/allowed && echo "may write"; done
    ls -d {app} /srv /var/log /media 2>/dev/null
    [ "$(id -u)" = 0 ] && echo root
    ln "$1/allowed" hard && mv "$1/allowed" moved && echo "linked and renamed"
    """
    builder_of(FakeBuildpack(on_compile=shell(script)), tmp_path=tmp_path, events=events).build(app, tmp_path / "o.tgz")

    assert [line.strip() for line in lines(events)] == [*["may write"] * 4, "linked and renamed"]
    assert not (app / "escape").exists()


def test_config_vars_reach_packs_as_values(app: Path, tmp_path: Path) -> None:
    """A pack reads config vars from its context; neither the slug nor an event holds them."""
    secret = "s3cret-value-of-a-config-var"
    events: list[BuildEvent] = []
    seen: list[str] = []
    builder = SlugBuilder(
        buildpacks=(FakeBuildpack(on_compile=lambda context: seen.append(context.config_vars["SECRET"])),),
        cache_dir=tmp_path / "cache",
        config_vars={"SECRET": secret},
        on_event=events.append,
    )
    slug = builder.build(app, tmp_path / "o.tgz")
    slug.unpack(tmp_path / "out")

    assert seen == [secret]
    assert secret not in repr((events, builder, slug))
    assert all(secret.encode() not in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


def test_output_is_live_and_merged(app: Path, tmp_path: Path) -> None:
    """Both streams reach the listener line by line, in order, while the command still runs."""
    seen: list[tuple[str, bool]] = []
    done = threading.Event()

    def on_event(event: BuildEvent) -> None:
        if isinstance(event, BuildLine):
            seen.append((event.text.strip(), done.is_set()))

    def compile_(context: BuildContext) -> None:
        context.run(["bash", "-c", "echo a; echo b >&2; echo c; sleep 0.3"])
        done.set()

    SlugBuilder(
        buildpacks=(FakeBuildpack(on_compile=compile_),), cache_dir=tmp_path / "cache", on_event=on_event
    ).build(app, tmp_path / "o.tgz")

    assert seen == [("a", False), ("b", False), ("c", False)]


def test_background_processes_do_not_outlive_a_command(app: Path, tmp_path: Path) -> None:
    """A daemon that a pack leaves behind neither hangs the build nor survives the command."""
    name = f"builder-stray-{os.getpid()}"
    script = f"setsid bash -c 'exec -a {name} sleep 600' & echo started"
    builder_of(FakeBuildpack(on_compile=shell(script)), tmp_path=tmp_path, timeout=30).build(app, tmp_path / "o.tgz")
    deadline = time.monotonic() + 5
    while pids_with(name) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not pids_with(name)


# -- the cache -------------------------------------------------------------------------------------------------


def test_cache_is_kept_between_builds(app: Path, tmp_path: Path) -> None:
    """What a pack leaves in CACHE_DIR is there for the next build of the app."""
    events: list[BuildEvent] = []
    pack = FakeBuildpack(on_compile=shell('echo x >> "$1/runs"; wc -l < "$1/runs"'))
    builder = builder_of(pack, tmp_path=tmp_path, events=events)
    for _ in range(3):
        builder.build(app, tmp_path / "o.tgz")

    assert [line.strip() for line in lines(events)] == ["1", "2", "3"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("failure", ["exit 1", "exec sleep 60"])
def test_a_failed_build_leaves_the_cache_as_it_was(app: Path, tmp_path: Path, failure: str) -> None:
    """A build that fails, or runs out of time, does not write the cache back, and leaves no workspace."""
    builder_of(FakeBuildpack(on_compile=shell('echo good > "$1/state"')), tmp_path=tmp_path).build(
        app, tmp_path / "o.tgz"
    )
    bad = FakeBuildpack(on_compile=shell(f'echo bad > "$1/state"; {failure}'))
    with pytest.raises((CompileFailedError, BuildTimeoutError)):
        builder_of(bad, tmp_path=tmp_path, timeout=1.0).build(app, tmp_path / "o.tgz")

    assert (tmp_path / "cache/cache/state").read_text() == "good\n"
    assert leftovers(tmp_path) == []


def test_builds_of_one_app_wait_for_each_other(app: Path, tmp_path: Path) -> None:
    """Four builds at once on one cache run one after the other, and every one sees the one before."""
    pack = FakeBuildpack(on_compile=shell('n=$(cat "$1/n" 2>/dev/null || echo 0); sleep 0.1; echo $((n+1)) > "$1/n"'))
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            builder_of(pack, tmp_path=tmp_path).build(app, tmp_path / f"{number}.tgz")
        except SlugkitError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert (tmp_path / "cache/cache/n").read_text() == "4\n"


def test_caches_are_keyed_by_source(tmp_path: Path, own_cache: Path) -> None:
    """Without cache_dir, each source path has a cache of its own under the user's cache directory."""
    pack = FakeBuildpack(on_compile=shell('touch "$1/here"'))
    for name in ("one", "two"):
        source = write_tree(tmp_path / name, {"file": ""})
        SlugBuilder(buildpacks=(pack,)).build(source, tmp_path / "o.tgz")

    assert sorted(path.name.split("-")[0] for path in (own_cache / "builds").iterdir()) == ["one", "two"]


KILLED = """
import sys
from pathlib import Path
from slugkit import SlugBuilder
from slugkit.testing import FakeBuildpack
def compile(context):
    context.run(["bash", "-c", 'echo bad > "$1/state"', "bash", context.cache_dir])
    print("compiling", flush=True)
    context.run(["sleep", "600"])
builder = SlugBuilder(buildpacks=(FakeBuildpack(on_compile=compile),), cache_dir=sys.argv[2], sandbox=sys.argv[4])
builder.build(sys.argv[1], sys.argv[3])
"""


@pytest.mark.parametrize("sandbox", ["auto", "landlock"])
def test_a_killed_build_is_swept_up_by_the_next(app: Path, tmp_path: Path, sandbox: str) -> None:
    """SIGKILL in the middle leaves no slug and no changed cache; the next build removes the workspace, wherever it is.

    As root a build that sees the host's own paths is elsewhere, with a link to it among what is the cache's.
    """
    argv = [sys.executable, "-c", KILLED, str(app), str(tmp_path / "cache"), str(tmp_path / "o.tgz"), sandbox]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"compiling\n"
        host.kill()
    assert not (tmp_path / "o.tgz").exists()
    (left,) = leftovers(tmp_path)
    workspace = (tmp_path / "cache" / left).resolve()
    assert (workspace / "app").is_dir()

    builder_of(FakeBuildpack(), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert leftovers(tmp_path) == []
    assert not workspace.exists()
    assert list((tmp_path / "cache/cache").iterdir()) == []


# -- where nothing is mounted ----------------------------------------------------------------------------------


@pytest.fixture
def private() -> Iterator[Path]:
    """Yield a directory that its owner only enters, as root's home is; on another file system where it can be."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="slugkit-test-", dir=memory if os.access(memory, os.W_OK) else None))
    yield directory
    remove_tree(directory)


def test_builds_keep_a_cache_that_its_owner_only_enters(app: Path, private: Path) -> None:
    """Root's builds run as nobody's user: the cache may lie where that one cannot go, is kept, and stays shut."""
    pack = FakeBuildpack(on_compile=shell('echo more >> "$1/count"; ln "$1/count" linked; id -u > who'))
    builder = SlugBuilder(buildpacks=[pack], cache_dir=private / "cache", sandbox="landlock")
    for number in range(3):
        with builder.compile(app) as compiled:
            assert (compiled.root / "linked").read_text() == "more\n" * (number + 1)
            assert (int((compiled.root / "who").read_text()) == os.geteuid()) is not ROOT
            assert compiled.root.parents[1].stat().st_mode & 0o007 == 0

    assert sorted(path.name for path in (private / "cache").iterdir()) == ["cache", "lock"]
    assert (private / "cache").stat().st_mode & 0o077 == 0
    assert builder.detect(app).name == "Fake"


@pytest.mark.parametrize("sandbox", ["landlock", "none"])
@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("true", []),
        ("sleep 600.5 &", ["sleep 600.5"]),
        ("setsid sleep 600.5 & disown", ["sleep 600.5"]),
        ("(setsid bash -c 'sleep 600.5; :' &)", ["bash -c sleep 600.5; :"]),
    ],
)
def test_whats_left_is_the_builds_own(app: Path, tmp_path: Path, sandbox: str, script: str, left: list[str]) -> None:
    """Where the host's processes are in sight, none of them is taken for one that a command left, or waited for."""
    events: list[BuildEvent] = []
    pack = FakeBuildpack(on_compile=shell(script))
    with subprocess.Popen(["sleep", "600.25"]) as others:
        SlugBuilder(buildpacks=[pack], cache_dir=tmp_path / "cache", sandbox=sandbox, on_event=events.append).build(
            app, tmp_path / "o.tgz"
        )
        others.kill()

    assert [list(event.processes) for event in events if isinstance(event, ProcessesLeft)] == ([left] if left else [])
    assert pids_with("sleep 600.5") == pids_with("sleep\x00600.5") == []


def test_a_kept_workspace_stays_shut(app: Path, private: Path) -> None:
    """The workspace of a failed build is kept where it is, as root apart from the cache; nobody else enters it."""
    pack = FakeBuildpack(on_compile=shell("exit 1"))
    builder = SlugBuilder(buildpacks=[pack], cache_dir=private / "cache", sandbox="landlock", keep_failed=True)
    with pytest.raises(CompileFailedError) as caught:
        builder.build(app, private / "o.tgz")
    assert caught.value.kept is not None
    kept = Path(caught.value.kept)
    try:
        assert [path.read_text() for path in kept.glob("tmp/build_*/file")] == ["content\n"]
        assert (kept.stat().st_uid, kept.stat().st_mode & 0o007) == (os.geteuid(), 0)
        left = {private / "cache/lock"} | (set() if ROOT else {kept})
        assert set((private / "cache").iterdir()) == left
    finally:
        remove_tree(kept)


def test_a_link_in_a_cache_leads_to_nothing_but_workspaces(app: Path, private: Path) -> None:
    """What others put in a workspace's place, into a cache that they can write to, has nothing else removed."""
    for name in ("victim", "slugkit-work-0a0a0a0a"):
        (private / name / "below").mkdir(parents=True)
    (private / "cache").mkdir()
    (private / "cache/work-0a0a0a0b").symlink_to(private / "slugkit-work-0a0a0a0a")
    (private / "cache/work-0a0a0a0c").symlink_to(private / "victim")
    (private / "cache/work-0a0a0a0d").symlink_to(private / "slugkit-work-0a0a0a0d")  # it was never made
    SlugBuilder(buildpacks=[FakeBuildpack()], cache_dir=private / "cache").build(app, private / "o.tgz")

    assert [(private / name / "below").is_dir() for name in ("victim", "slugkit-work-0a0a0a0a")] == [True, True]
    assert sorted(path.name for path in (private / "cache").iterdir()) == ["cache", "lock", "segments"]


@pytest.mark.parametrize("full", [False, True])
def test_a_cache_comes_whole_from_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, full: bool) -> None:
    """What cannot be renamed is copied, and then renamed: a disk that is full has neither half of it nor a rest."""
    written, target, rename = write_tree(tmp_path / "written", {"a/b": "text"}), tmp_path / "cache/new", Path.rename
    (tmp_path / "cache").mkdir()

    def refused(self: Path, to: Path) -> Path:
        if self == written:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, to)

    def half(_: Path, copy: Path) -> None:
        (copy / "a").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", refused)
    if full:
        monkeypatch.setattr(_workspace, "copy_tree", half)
        with pytest.raises(OSError, match="No space"):
            _workspace._move(written, target)
        assert list((tmp_path / "cache").iterdir()) == []
    else:
        _workspace._move(written, target)
        assert [path.relative_to(target) for path in target.rglob("*")] == [Path("a"), Path("a/b")]
        assert list((tmp_path / "cache").iterdir()) == [target]


# -- failures --------------------------------------------------------------------------------------------------


def test_a_failed_compile_tells_why(app: Path, tmp_path: Path) -> None:
    """The error holds the app's kind, the status and the last lines; the last event says the push is rejected."""
    events: list[BuildEvent] = []
    pack = FakeBuildpack(on_compile=shell("echo first; echo the reason >&2; exit 3"))
    with pytest.raises(CompileFailedError) as caught:
        builder_of(pack, tmp_path=tmp_path, events=events).build(app, tmp_path / "o.tgz")

    assert (caught.value.buildpack, caught.value.status) == ("Fake", 3)
    assert caught.value.last_lines == ("first", "the reason")
    assert heroku_text(events[-1]) == ("", " !     Push rejected, failed to compile Fake app.", "")
    assert [type(event) for event in events].count(BuildFailed) == 1
    assert not (tmp_path / "o.tgz").exists()


def test_a_pack_can_name_its_reason(app: Path, tmp_path: Path) -> None:
    """A BuildpackError's reason and fix reach the caller."""

    def give_up(_: BuildContext) -> None:
        raise BuildpackError("no lock file", "check it in")

    with pytest.raises(CompileFailedError, match="no lock file") as caught:
        builder_of(FakeBuildpack(on_compile=give_up), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")
    assert (caught.value.hint or "").startswith("check it in")


def test_keep_failed_keeps_the_workspace(app: Path, tmp_path: Path) -> None:
    """With keep_failed the error names a directory that holds what compile left; builds go on beside it."""
    pack = FakeBuildpack(on_compile=shell("echo half > half; exit 1"))
    with pytest.raises(CompileFailedError) as caught:
        SlugBuilder(buildpacks=(pack,), cache_dir=tmp_path / "cache", keep_failed=True).build(app, tmp_path / "o.tgz")
    assert caught.value.kept is not None
    found = list(Path(caught.value.kept).rglob("half"))
    builder_of(FakeBuildpack(), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert [path.read_text() for path in found] == ["half\n"]
    assert caught.value.kept in (caught.value.hint or "")


def test_the_time_limit_ends_everything(app: Path, tmp_path: Path) -> None:
    """A build that takes too long is ended, descendants that ignore SIGTERM included, with Heroku's words."""
    name = f"slow-{os.getpid()}"
    script = f"trap '' TERM; setsid bash -c 'trap \"\" TERM; exec -a {name} sleep 600' & sleep 600"
    with pytest.raises(BuildTimeoutError, match=r"timed out; must complete in 0\.5 seconds"):
        builder_of(FakeBuildpack(on_compile=shell(script)), tmp_path=tmp_path, timeout=0.5).build(
            app, tmp_path / "o.tgz"
        )
    deadline = time.monotonic() + 5
    while pids_with(name) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert not pids_with(name)
    assert leftovers(tmp_path) == []


def test_too_large_a_slug(app: Path, tmp_path: Path) -> None:
    """A slug above the limit is refused with Heroku's words, and no file is left."""
    pack = FakeBuildpack(on_compile=shell("head -c 3000000 /dev/urandom > big"))
    builder = SlugBuilder(buildpacks=(pack,), cache_dir=tmp_path / "cache", max_size=2**20)
    with pytest.raises(SlugTooLargeError, match=r"is too large \(max is 1M\)"):
        builder.build(app, tmp_path / "o.tgz")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "cache"]


def test_no_buildpack(tmp_path: Path) -> None:
    """When none claims the app, the error has every pack's reason."""
    source = write_tree(tmp_path / "app", {"readme": ""})
    with pytest.raises(NoBuildpackError) as caught:
        SlugBuilder(cache_dir=tmp_path / "cache").build(source, tmp_path / "o.tgz")

    reasons = dict(caught.value.reasons)
    assert list(reasons) == [*(pack.name for pack in builtin()), "procfile", "static"]
    assert reasons["nodejs"] == "no package.json"
    assert reasons["python"] == "no requirements.txt, uv.lock, poetry.lock or Pipfile.lock"
    assert reasons["procfile"] == "no Procfile"
    assert reasons["static"] == "no index.html"
    assert "python: no requirements.txt" in str(caught.value)


def test_a_named_pack_that_does_not_apply(app: Path, tmp_path: Path) -> None:
    """A pack that was asked for and says no is an error with its reason; one that is unknown too."""
    with pytest.raises(IncompatibleBuildpackError, match=r"python: no requirements\.txt"):
        SlugBuilder(buildpacks=["python"], cache_dir=tmp_path / "c").build(app, tmp_path / "o.tgz")
    with pytest.raises(UnknownBuildpackError, match="'pyhton'") as caught:
        SlugBuilder(buildpacks=["pyhton"], cache_dir=tmp_path / "c").build(app, tmp_path / "o.tgz")
    known = ", ".join(pack.name for pack in builtin())
    assert caught.value.hint == (
        f"buildpacks here: {known}, procfile, static, inline; or name a directory, a git URL, a .tgz file or URL"
    )


def test_a_later_pack_that_says_no(app: Path, tmp_path: Path) -> None:
    """A listed pack that does not detect after the first has compiled fails the build."""
    second = FakeBuildpack("second", NotDetected("not mine"))
    with pytest.raises(IncompatibleBuildpackError, match="second: not mine"):
        builder_of(FakeBuildpack(), second, tmp_path=tmp_path).build(app, tmp_path / "o.tgz")


def test_missing_source(tmp_path: Path) -> None:
    """A source that is not there is named as the caller wrote it."""
    with pytest.raises(SourceNotFoundError, match="'nowhere/at/all'"):
        SlugBuilder(cache_dir=tmp_path / "cache").build("nowhere/at/all", tmp_path / "o.tgz")


def test_source_that_is_no_tarball(tmp_path: Path) -> None:
    """A file that is no archive is one clear error, and leaves nothing."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(SourceUnusableError, match="no whole tarball"):
        SlugBuilder(cache_dir=tmp_path / "cache").build(tmp_path / "file", tmp_path / "o.tgz")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.symlink_to("/etc/passwd"), "not a regular file"),
        (lambda path: path.write_bytes(b"web: \xff\n"), "not UTF-8"),
    ],
)
def test_unreadable_procfile(tmp_path: Path, make: Callable[[Path], object], reason: str) -> None:
    """A Procfile that is no text file fails the build before anything is compiled."""
    source = write_tree(tmp_path / "app", {"file": ""})
    make(source / "Procfile")
    compiled: list[int] = []
    pack = FakeBuildpack(on_compile=lambda _: compiled.append(1))
    with pytest.raises(ProcfileUnreadableError, match=reason):
        builder_of(pack, tmp_path=tmp_path).build(source, tmp_path / "o.tgz")
    assert compiled == []


@pytest.mark.parametrize("output", ["missing/o.tgz", ".", "file/o.tgz"])
def test_output_is_checked_before_the_build(app: Path, tmp_path: Path, output: str) -> None:
    """An output that cannot be is refused before minutes are spent."""
    (tmp_path / "file").write_text("")
    compiled: list[int] = []
    pack = FakeBuildpack(on_compile=lambda _: compiled.append(1))
    with pytest.raises(OutputError):
        builder_of(pack, tmp_path=tmp_path).build(app, tmp_path / output)
    assert compiled == []


@pytest.mark.parametrize(
    "line",
    [
        "OSError: [Errno 28] No space left on device",
        "npm error nospc ENOSPC: no space left on device, write",
        "tar: /tmp/build_cache/env.tar: Wrote only 516096 of 524288 bytes",
    ],
)
def test_a_disk_that_was_full_is_the_cause(app: Path, tmp_path: Path, line: str) -> None:
    """What the pack takes for the cause is not the way out when a command has said that the disk is full."""

    def fail(context: BuildContext) -> None:
        if context.run(["bash", "-c", f"echo '{line}' >&2; seq 30; exit 3"], check=False).status:
            raise BuildpackError("rack cannot be installed", "install what its build needs")

    with pytest.raises(CompileFailedError) as caught:
        builder_of(FakeBuildpack(on_compile=fail), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert caught.value.last_lines == ("rack cannot be installed", line)
    assert caught.value.fix.startswith(f"make room on the disk of {tmp_path / 'cache'}")


def test_a_full_disk_leaves_nothing(app: Path, tmp_path: Path) -> None:
    """When the disk is full in the middle of packing: one error, no file, no workspace."""
    code = """
import resource, signal, sys
from slugkit import SlugBuilder, SlugkitError
from slugkit.testing import FakeBuildpack
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def compile(context):
    context.run(["bash", "-c", "head -c 3000000 /dev/urandom > big"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    SlugBuilder(buildpacks=(FakeBuildpack(on_compile=compile),), cache_dir=sys.argv[2]).build(sys.argv[1], sys.argv[3])
except SlugkitError as error:
    print(error.code, error)
"""
    argv = [sys.executable, "-c", code, str(app), str(tmp_path / "cache"), str(tmp_path / "o.tgz")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)

    assert done.stdout == f"output.failed cannot write {tmp_path / 'o.tgz'}: File too large\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "cache"]
    assert leftovers(tmp_path) == []


def test_cache_that_cannot_be_made(app: Path, tmp_path: Path) -> None:
    """A cache directory below a file is one clear error."""
    with pytest.raises(OutputError, match="file/cache"):
        SlugBuilder(buildpacks=(FakeBuildpack(),), cache_dir=app / "file/cache").build(app, tmp_path / "o.tgz")


def test_what_no_slug_may_hold(app: Path, tmp_path: Path) -> None:
    """A link out of the app, left by compile, is refused by name."""
    pack = FakeBuildpack(on_compile=shell("ln -s ../../outside escape"))
    with pytest.raises(UnsafeMemberError, match="'escape'"):
        builder_of(pack, tmp_path=tmp_path).build(app, tmp_path / "o.tgz")
    assert not (tmp_path / "o.tgz").exists()


def test_bad_config_vars_are_refused_at_the_door() -> None:
    """A config var that could not be a file name is refused when the builder is made."""
    with pytest.raises(InvalidConfigVarError, match=r"'\.\./x'"):
        SlugBuilder(config_vars={"../x": "1"})


def test_a_sandbox_that_does_not_exist(app: Path, tmp_path: Path) -> None:
    """Builds never fall back to running unconfined."""
    with pytest.raises(SandboxUnavailableError):
        SlugBuilder(sandbox="chroot", cache_dir=tmp_path / "cache").build(app, tmp_path / "o.tgz")


def test_unconfined_when_asked_for(app: Path, tmp_path: Path) -> None:
    """sandbox="none" builds with real paths; HOME is still the build's own."""
    events: list[BuildEvent] = []
    builder = SlugBuilder(
        buildpacks=(FakeBuildpack(on_compile=shell('echo "$HOME"; pwd')),),
        cache_dir=tmp_path / "cache",
        sandbox="none",
        on_event=events.append,
    )
    builder.build(app, tmp_path / "o.tgz")
    home, cwd = (Path(line.strip()) for line in lines(events))

    assert home.is_relative_to(tmp_path / "cache")
    assert cwd.is_relative_to(tmp_path / "cache")


def test_detect_says_what_it_is(app: Path, tmp_path: Path) -> None:
    """detect() answers for the first pack that claims the app, and leaves nothing, not even a cache."""
    assert SlugBuilder(cache_dir=tmp_path / "cache").detect(app) == Detection("Procfile", "Procfile")
    assert not (tmp_path / "cache").exists()


def test_detect_waits_for_nobody(app: Path, tmp_path: Path) -> None:
    """detect() within the block of compile() answers: it needs neither the cache nor its lock."""
    builder = builder_of(FakeBuildpack(), tmp_path=tmp_path)
    with builder.compile(app):
        assert builder.detect(app) == Detection("Fake")


@pytest.mark.parametrize("place", ["$PWD", "/tmp/cache"])
def test_a_directory_that_became_a_link_leads_the_host_nowhere(app: Path, tmp_path: Path, place: str) -> None:
    """A command that puts a link in the place of BUILD_DIR or CACHE_DIR gets neither read nor written what it names."""
    victim = write_tree(tmp_path / "victim", {"secret": "s", "tmp/keep": "", "log/keep": ""})
    script = f'b={place}; cd /tmp; mv "$b" gone; ln -s {victim} "$b"'
    builder = builder_of(FakeBuildpack(on_compile=shell(script)), tmp_path=tmp_path)
    for _ in range(2):
        try:
            slug = builder.build(app, tmp_path / "o.tgz")
        except CompileFailedError as error:
            assert "no longer a directory" in str(error)  # noqa: PT017 - the other way out is a slug
        else:
            assert "secret" not in {file.path for file in slug.files()}

    assert sorted(path.name for path in victim.rglob("*")) == ["keep", "keep", "log", "secret", "tmp"]
    assert not (tmp_path / "cache/cache").is_symlink()
    assert leftovers(tmp_path) == []


def test_a_stray_is_dead_when_a_command_has_returned(app: Path, tmp_path: Path) -> None:
    """When run() returns, nothing that the command left in the background writes any more."""
    grown: list[bool] = []
    stray = "setsid bash -c 'while :; do echo x >> /tmp/stray; done' >/dev/null 2>&1 & sleep 0.02"

    def compile_(context: BuildContext) -> None:
        for _ in range(10):
            context.run(["bash", "-c", stray])
            size = (context.build_dir.parent / "stray").stat().st_size
            time.sleep(0.02)
            grown.append((context.build_dir.parent / "stray").stat().st_size > size)

    builder_of(FakeBuildpack(on_compile=compile_), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert grown == [False] * 10


def test_a_cache_that_cannot_be_read_fails_no_build(app: Path, tmp_path: Path) -> None:
    """Modes that lock the cache's owner out, setuid bits and links in the cache do no harm to the next build."""
    script = 'cd "$1"; touch locked suid; mkdir closed; chmod 0 locked closed; chmod 4755 suid; ln -s /etc link'
    pack = FakeBuildpack(on_compile=shell(f"[ -e $1/suid ] || ({script})"))
    for _ in range(3):
        builder_of(pack, tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert (tmp_path / "cache/cache/suid").stat().st_mode & 0o7000 == 0


def test_a_callback_that_raises_keeps_its_own_error(app: Path, tmp_path: Path) -> None:
    """An OSError of the listener's own is not taken for one of the build's, and leaves nothing."""
    for kind in (BuildLine, SourceIgnored, PackingStarted):

        def on_event(event: BuildEvent, kind: type[object] = kind) -> None:
            if isinstance(event, kind):
                raise BrokenPipeError("mine")

        (app / ".slugignore").write_text("x\n")
        pack = FakeBuildpack(on_compile=shell("echo line"))
        with pytest.raises(BrokenPipeError, match="mine"):
            SlugBuilder(buildpacks=(pack,), cache_dir=tmp_path / "cache", on_event=on_event).build(app, tmp_path / "o")
        assert leftovers(tmp_path) == []


def test_output_that_is_no_file_is_left_alone(app: Path, tmp_path: Path) -> None:
    """A FIFO or device named as the output is refused, not replaced."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OutputError, match="not a regular file"):
        builder_of(FakeBuildpack(), tmp_path=tmp_path).build(app, tmp_path / "fifo")

    assert (tmp_path / "fifo").is_fifo()


def test_foreign_packs_are_recorded_as_such(app: Path, tmp_path: Path) -> None:
    """The manifest does not claim that somebody's own pack is one of ours."""
    slug = builder_of(FakeBuildpack(), tmp_path=tmp_path).build(app, tmp_path / "o.tgz")

    assert [(pack.version, pack.source) for pack in slug.manifest.buildpacks] == [
        ("unknown", "python:slugkit.testing._fakes")
    ]


def test_source_date_epoch(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH sets the time of every entry; what is no number is refused."""
    builder = builder_of(FakeBuildpack(), tmp_path=tmp_path)
    plain = builder.build(app, tmp_path / "a.tgz").diff_id
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    dated = builder.build(app, tmp_path / "b.tgz").diff_id
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidSettingError, match="SOURCE_DATE_EPOCH"):
        builder.build(app, tmp_path / "c.tgz")

    assert plain != dated
