"""Classic buildpacks, run to the letter of contract.md 2: small ones for one rule each, and the thirteen samples."""

import base64
import json
import os
import re
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.environ import HOST_ENV
from slugkit.errors import BuildTimeoutError, CompileFailedError, IncompatibleBuildpackError, SlugkitError
from slugkit.events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpackReported,
    ProcessesLeft,
    StepEnded,
    WorkspaceOpened,
)
from slugkit.testing import write_tree
from support import OF_BASH, PACKS, leftovers, lines, pids_with, small

pytestmark = pytest.mark.usefixtures("sandboxed")

needs_node = pytest.mark.skipif(shutil.which("node", path="/usr/bin:/bin") is None, reason="node is not installed")

BASH = "#!/usr/bin/env bash\n"
PYTHON = "#!/usr/bin/env python3\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "app", {"file": "content\n"})


def build(
    app: Path,
    *packs: str | Path,
    events: list[BuildEvent] | None = None,
    on_event: Callable[[BuildEvent], None] | None = None,
    config_vars: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    sandbox: str = "auto",
) -> Slug:
    """Build *app* with *packs*; the slug and the cache are beside it."""
    return SlugBuilder(
        buildpacks=[str(pack) for pack in packs],
        cache_dir=app.parent / "cache",
        config_vars=config_vars or {},
        timeout=timeout,
        sandbox=sandbox,
        on_event=on_event if events is None else events.append,
    ).build(app, app.parent / "o.tgz")


def output(app: Path, *packs: str | Path, config_vars: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines that a build of *app* with *packs* prints."""
    events: list[BuildEvent] = []
    build(app, *packs, events=events, config_vars=config_vars)
    return lines(events)


def reports(events: list[BuildEvent]) -> list[Mapping[str, str | int | float | bool]]:
    return [event.facts for event in events if isinstance(event, BuildpackReported)]


def workspace_of(events: list[BuildEvent]) -> WorkspaceOpened:
    return next(event for event in events if isinstance(event, WorkspaceOpened))


def content(slug: Slug, tmp_path: Path) -> dict[str, str]:
    """Return the regular files of *slug*, by path."""
    target = tmp_path / f"out-{uuid.uuid4().hex}"
    slug.unpack(target)
    return {
        str(path.relative_to(target)): path.read_text()
        for path in target.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and content of everything below *root*."""
    found = {}
    for path in [root, *root.rglob("*")]:
        info = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (stat.S_IMODE(info.st_mode), info.st_mtime_ns, data)
    return found


def gone(text: str) -> bool:
    """Return whether no process has *text* in its command line, within the milliseconds a death takes."""
    deadline = time.monotonic() + 5
    while pids_with(text) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not pids_with(text)


# -- how the scripts are called --------------------------------------------------------------------------------


def test_arguments_of_the_scripts(app: Path, tmp_path: Path) -> None:
    """Each script gets contract.md 2.2's arguments and no other: detect and release one, compile and report three."""
    told = 'echo "$(basename "$0"): $*" >&2'
    events: list[BuildEvent] = []
    pack = small(
        tmp_path, detect=f"{told}; echo Small", compile=told, release=told, report='echo "$# $*" >"$2/report"; echo {}'
    )
    build(app, pack, events=events)
    build_dir = f"/tmp/{Path(workspace_of(events).build_dir).name}"
    env_dir = build_dir.replace("build", "env")

    assert lines(events) == [
        f"detect: {build_dir}",
        f"compile: {build_dir} /tmp/build_cache {env_dir}",
        f"release: {build_dir}",
    ]
    assert (tmp_path / "cache/cache/report").read_text() == f"3 {build_dir} /tmp/build_cache {env_dir}\n"


def test_scripts_start_in_the_packs_own_directory(app: Path, tmp_path: Path) -> None:
    """The working directory of every script is its pack's directory, where it may read and write."""
    told = 'echo "$(basename "$0") $([ "$PWD" = "${0%/bin/*}" ] && echo here): $(<data)" >&2; echo x >written'
    pack = small(
        tmp_path, detect=f"{told}; echo Small", compile=told, release=told, report=f'{{ {told}; }} 2>"$2/report"'
    )
    write_tree(Path(pack), {"data": "of the pack\n"})

    assert output(app, pack) == [f"{name} here: of the pack" for name in ("detect", "compile", "release")]
    assert (tmp_path / "cache/cache/report").read_text() == "report here: of the pack\n"
    assert not (Path(pack) / "written").exists()


def test_the_callers_umask_means_nothing(app: Path, tmp_path: Path) -> None:
    """A pack runs in its own directory whatever umask the host program has."""
    before = os.umask(0o077)
    try:
        assert output(app, small(tmp_path, compile="umask >&2")) == ["0022"]
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "show",
    [
        f"{PYTHON}import json, os, sys\nprint(json.dumps(dict(os.environ)), file=sys.stderr)\n",
        (
            'python3 -c \'import json, sys; v = sys.stdin.read().split("\\0")[:-1]; '
            'print(json.dumps(dict(p.split("=", 1) for p in v)))\' < <(env -0) >&2'
        ),
    ],
    ids=["python", "bash"],
)
def test_environment_is_the_contracts(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: str) -> None:
    """Scripts see the variables of contract.md 2.4 and the host's proxies and certificates, nothing else."""
    for name in HOST_ENV:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("GIT_DIR", "/of/a/hook")
    monkeypatch.setenv("LANG", "C.UTF-8")
    pack = small(tmp_path, detect=show, compile=show, release=show)
    seen = [json.loads(line) for line in output(app, pack, config_vars={"SECRET": "s", "PATH": "/x", "STACK": "x"})]

    assert len(seen) == 3
    for env in seen:
        assert re.fullmatch(r"[0-9a-f-]{36}", env.pop("REQUEST_ID"))
        # LC_CTYPE is Python's own: it sets it in a C locale (PEP 538).
        assert {name: value for name, value in env.items() if name not in OF_BASH | {"LC_CTYPE"}} == {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/app",
            "STACK": "heroku-24",
            "SOURCE_VERSION": "",
            "BUILDPACK_LOG_FILE": "/dev/null",
            "DYNO": "build.1",
            "https_proxy": "http://127.0.0.1:9",
        }


def test_build_dir_is_another_each_time(app: Path, tmp_path: Path) -> None:
    """BUILD_DIR is /tmp/build_ and something random: no pack can count on its name."""
    pack = small(tmp_path, compile='echo "$1"')
    (first,), (second,) = output(app, pack), output(app, pack)

    assert re.fullmatch(r"/tmp/build_\w{8,}", first)
    assert re.fullmatch(r"/tmp/build_\w{8,}", second)
    assert first != second


def test_home_is_an_app_of_its_own(app: Path, tmp_path: Path) -> None:
    """HOME is /app: empty when the build starts, writable, apart from BUILD_DIR, and no part of the slug."""
    script = (
        'echo "$HOME $(ls -A /app | wc -l)"; mkdir -p ~/.sub && echo x >~/.sub/file && [ ! -e "$1/.sub" ] && echo ok'
    )
    pack = small(tmp_path, compile=script)
    for _ in range(2):
        events: list[BuildEvent] = []
        slug = build(app, pack, events=events)

        assert lines(events) == ["/app 0", "ok"]
        assert {file.path for file in slug.files()} == {"file", "tmp", "log"}


def test_cache_and_build_share_a_file_system(app: Path, tmp_path: Path) -> None:
    """Files can be hard-linked and directories renamed between CACHE_DIR and BUILD_DIR, both ways."""
    script = """set -e
    mkdir "$2/from-cache" "$1/from-build"; echo x >"$2/from-cache/x"; echo y >"$1/from-build/y"
    ln "$2/from-cache/x" "$1/x"; ln "$1/from-build/y" "$2/y"; stat -c %h "$1/x" "$2/y"
    python3 -c 'import os, sys; b, c = sys.argv[1:]
os.rename(c + "/from-cache", b + "/moved"); os.rename(b + "/from-build", c + "/moved")' "$1" "$2"
    """
    pack = small(tmp_path, compile=script)
    events: list[BuildEvent] = []
    slug = build(app, pack, events=events)

    assert lines(events) == ["2", "2"]
    assert content(slug, tmp_path) == {"file": "content\n", "x": "x\n", "moved/x": "x\n"}
    assert (tmp_path / "cache/cache/moved/y").read_text() == "y\n"


def test_env_dir_has_the_config_vars_to_the_byte(app: Path, tmp_path: Path) -> None:
    """ENV_DIR has a file a config var with exactly its bytes, no newline added; 0700 and 0600, owned by the build."""
    values = {
        "FLAG": "true",
        "EMPTY": "",
        "LINES": "one\ntwo\n",
        "DASH": "-n",
        "BYTES": "\u00e9 \udcff\udcfe",
        "PATH": "/x",
    }
    script = f"""{PYTHON}
import base64, json, os, sys
where = sys.argv[3]
def told(path):
    info = os.lstat(path)
    return [oct(info.st_mode), info.st_uid == os.getuid()]
files = {{n: told(f"{{where}}/{{n}}") + [base64.b64encode(open(f"{{where}}/{{n}}", "rb").read()).decode()]
         for n in os.listdir(where)}}
print(json.dumps([told(where), files]))
"""
    (line,) = output(app, small(tmp_path, compile=script), config_vars=values)
    directory, files = json.loads(line)

    assert directory == ["0o40700", True]
    assert files == {
        name: ["0o100600", True, base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()]
        for name, value in values.items()
    }


def test_config_vars_are_in_no_process_listing(app: Path, tmp_path: Path) -> None:
    """While a build runs, no process of the machine has a config var's value in its command line or environment."""
    secret, found, stop, rounds = f"s3cret-{uuid.uuid4()}", set[str](), threading.Event(), [0]

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").iterdir():
                for name in ("cmdline", "environ") if entry.name.isdecimal() else ():
                    try:
                        if secret.encode() in (entry / name).read_bytes():
                            found.add(name)
                    except OSError:
                        continue
            rounds[0] += 1

    def on_event(event: BuildEvent) -> None:
        if isinstance(event, BuildLine):  # the script waits for its answer: two rounds see it run
            seen = rounds[0]
            while rounds[0] < seen + 2:
                time.sleep(0.005)
            assert pids_with(marker)
            opened.append(event)
            (Path(workspace_of(opened).build_dir) / event.text).touch()
        else:
            opened.append(event)

    marker = f"marker-{uuid.uuid4()}"
    opened: list[BuildEvent] = []
    wait = f'exec -a {marker} bash -c \'echo $0 >&2; while [ ! -e "$1/$0" ]; do sleep 0.01; done\' $(basename $0) "$1"'
    pack = small(tmp_path, detect=wait, compile=wait, release=wait)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        build(app, pack, on_event=on_event, config_vars={"SECRET": secret})
    finally:
        stop.set()
        watcher.join()

    assert lines(opened) == ["detect", "compile", "release"]
    assert found == set()


def test_nothing_of_the_host_is_within_reach(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the host's environment, nor its HOME, nor what lies beside the pack or the app can be read."""
    canary = f"canary-{uuid.uuid4()}"
    home = write_tree(tmp_path / "home", {canary: canary, ".netrc": canary})
    write_tree(tmp_path, {f"packs/{canary}": canary, canary: canary, f"app/../{canary}-too": canary})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CANARY", canary)
    script = f"""
    cat {home}/.netrc {tmp_path}/{canary} {tmp_path}/packs/{canary} ../{canary} "$1/../{canary}" 2>/dev/null
    find / \\( -path /usr -o -path /proc \\) -prune -o -name '{canary}*' -print 2>/dev/null
    grep -lsa CANARY /proc/*/environ
    ls -d {app} {tmp_path} 2>/dev/null
    echo looked
    """

    assert output(app, small(tmp_path / "packs", compile=script)) == ["looked"]


def test_only_the_builds_own_directories_can_be_written(app: Path, tmp_path: Path) -> None:
    """A pack writes to BUILD_DIR, CACHE_DIR, ENV_DIR, HOME, /tmp and its own directory, and nowhere else."""
    pack = small(
        tmp_path,
        compile=f"""
    for where in / /etc /usr /usr/bin /bin /dev /var /root /home {tmp_path} {app} {tmp_path}/small/bin; do
      (echo x >$where/escape) 2>/dev/null && echo "wrote $where"
    done
    (echo x >>/etc/passwd) 2>/dev/null && echo "changed a file"
    for where in "$1" "$2" "$3" "$HOME" /tmp .; do (echo x >$where/allowed) && echo allowed; done
    [ "$(id -u)" != 0 ] || echo root
    """,
    )
    before = state(Path(pack))

    assert output(app, pack) == ["allowed"] * 6
    assert state(Path(pack)) == before
    assert not (app / "allowed").exists()


def test_scripts_have_no_input(app: Path, tmp_path: Path) -> None:
    """A script that reads its standard input finds it empty, rather than waiting for somebody to type."""
    assert output(app, small(tmp_path, detect="cat; echo Small", compile="cat; echo read")) == ["read"]


# -- what they print -------------------------------------------------------------------------------------------


def test_both_streams_keep_their_order(app: Path, tmp_path: Path) -> None:
    """Standard output and standard error are one stream: 200 lines, alternately, come in the order written."""
    pack = small(tmp_path, compile='for i in {1..100}; do echo "out $i"; echo "  err $i" >&2; done')

    assert output(app, pack) == [line for i in range(1, 101) for line in (f"out {i}", f"  err {i}")]


def test_lines_arrive_while_the_script_runs(app: Path, tmp_path: Path) -> None:
    """A line is told when it is printed: a script that waits for an answer to it gets one."""
    seen: list[BuildEvent] = []

    def on_event(event: BuildEvent) -> None:
        seen.append(event)
        if isinstance(event, BuildLine) and event.text.startswith("question"):
            (Path(workspace_of(seen).build_dir) / event.text).touch()

    ask = 'while [ ! -e "$1/question-{0}" ]; do sleep 0.01; done; rm "$1/question-{0}"'
    script = f"echo question-1; {ask.format(1)}; echo question-2 >&2; {ask.format(2)}; echo answered"
    build(app, small(tmp_path, compile=script), on_event=on_event, timeout=20)

    assert lines(seen) == ["question-1", "question-2", "answered"]


def test_output_is_passed_on_as_it_is(app: Path, tmp_path: Path) -> None:
    """No indentation is added and no colour taken away; bytes that are no text, and a last line without end, stay."""
    pack = small(tmp_path, compile=r"printf '\033[1;31m !  red\033[0m\n  two\n\ncaf\303\251 \377\nno end'")

    assert output(app, pack) == ["\033[1;31m !  red\033[0m", "  two", "", "caf\u00e9 \ufffd", "no end"]


@pytest.mark.parametrize("filter_", ["sed -u 's/^/  /'", "(sleep 0.2; sed 's/^/  /')"], ids=["prompt", "slow"])
def test_what_a_filter_still_prints_is_not_lost(app: Path, tmp_path: Path, filter_: str) -> None:
    """Output that goes through `exec > >(sed ...)` is waited for when the script has ended."""
    pack = small(tmp_path, compile=f"exec > >({filter_}); for i in {{1..50}}; do echo $i; done")

    assert output(app, pack) == [f"  {i}" for i in range(1, 51)]


def test_release_and_report_are_not_shown(app: Path, tmp_path: Path) -> None:
    """What release and report print is their answer, not output; what report says to the user stays unseen too."""
    pack = small(tmp_path, release="echo '--- {}'", report="echo '{\"a\": 1}'; echo seen >&2")

    assert output(app, pack) == []


# -- detect ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["exit 1", "exit 2", "exit 100", "kill -KILL $$"])
def test_detect_that_says_no(app: Path, tmp_path: Path, ending: str) -> None:
    """Any status but 0 means that the pack does not apply; nothing of it is compiled, and there is no slug."""
    events: list[BuildEvent] = []
    pack = small(tmp_path, detect=f"echo 'not for this'; {ending}", compile="echo compiled")
    with pytest.raises(IncompatibleBuildpackError, match="small: not for this"):
        build(app, pack, events=events)

    assert lines(events) == []
    assert not (tmp_path / "o.tgz").exists()


@pytest.mark.parametrize(
    ("printed", "name"),
    [("Python", "Python"), ("  Ruby on Rails \\n\\n", "Ruby on Rails"), ("", ""), ("First\\nSecond\\n", "First")],
)
def test_what_detect_prints_is_the_name(app: Path, tmp_path: Path, printed: str, name: str) -> None:
    """The name is what detect prints, without the blanks around it: its first line, or nothing at all."""
    events: list[BuildEvent] = []
    slug = build(app, small(tmp_path, detect=f"printf '{printed}'"), events=events)

    assert [event for event in events if isinstance(event, BuildpackDetected)] == [BuildpackDetected("small", name)]
    assert [record.detected for record in slug.manifest.buildpacks] == [name]


def test_detects_errors_pass_through(app: Path, tmp_path: Path) -> None:
    """What detect writes to standard error reaches the user, in its own column, whether it says yes or no."""
    assert output(app, small(tmp_path, detect="echo '  note' >&2; echo Small")) == ["  note"]
    events: list[BuildEvent] = []
    with pytest.raises(IncompatibleBuildpackError):
        build(app, small(tmp_path, "other", detect="echo 'why not' >&2; exit 1"), events=events)

    assert lines(events) == ["why not"]


# -- compile ---------------------------------------------------------------------------------------------------


def test_compile_that_fails(app: Path, tmp_path: Path) -> None:
    """A status other than 0 rejects the build: the error has it and the last lines, the text is Heroku's."""
    events: list[BuildEvent] = []
    pack = small(tmp_path, compile="seq 30; echo ' !     no mirror' >&2; exit 42", release="echo never >&2")
    with pytest.raises(CompileFailedError) as caught:
        build(app, pack, events=events)

    assert (caught.value.buildpack, caught.value.status) == ("Small", 42)
    assert caught.value.last_lines == (*map(str, range(12, 31)), " !     no mirror")
    assert heroku_text(events[-1]) == ("", " !     Push rejected, failed to compile Small app.", "")
    assert "never" not in lines(events)
    assert not (tmp_path / "o.tgz").exists()
    assert leftovers(app) == []


def test_compile_that_fails_without_a_name(app: Path, tmp_path: Path) -> None:
    """A pack whose detect prints nothing is rejected in Heroku's words as well."""
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError):
        build(app, small(tmp_path, detect="", compile="exit 1"), events=events)

    assert heroku_text(events[-1])[1].startswith(" !     Push rejected, failed to compile ")


@pytest.mark.parametrize(("signal", "status"), [("KILL", 137), ("TERM", 143), ("SEGV", 139)])
def test_compile_that_is_killed(app: Path, tmp_path: Path, signal: str, status: int) -> None:
    """A script that a signal ends has the status that a shell gives it, and nothing is added to its output."""
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError) as caught:
        build(app, small(tmp_path, compile=f"echo before; kill -{signal} $$; echo after"), events=events)

    assert caught.value.status == status
    assert lines(events) == ["before"]


def test_a_failed_download_in_the_middle_is_the_packs_affair(app: Path, tmp_path: Path) -> None:
    """A compile that ends with status 0 has succeeded, whatever failed within it; its complaints are shown."""
    assert output(app, small(tmp_path, compile="cat /no/such/file; exit 0")) == [
        "cat: /no/such/file: No such file or directory"
    ]


def test_build_dir_may_be_made_anew(app: Path, tmp_path: Path) -> None:
    """A compile may delete BUILD_DIR and make another directory of that name: what is there then is the app."""
    pack = small(tmp_path, compile='rm -rf "$1"; mkdir -m 700 "$1"; echo new >"$1/new"', release='cd "$1" && ls >&2')
    events: list[BuildEvent] = []
    slug = build(app, pack, events=events)

    assert lines(events) == ["new"]
    assert content(slug, tmp_path) == {"new": "new\n"}


@pytest.mark.parametrize(
    "instead", ["ln -s / {}", "ln -s $2 {}", "echo file >{}", ":"], ids=["host", "cache", "file", "none"]
)
def test_build_dir_must_stay_a_directory(app: Path, tmp_path: Path, instead: str) -> None:
    """A compile that leaves a link, a file or nothing at BUILD_DIR fails: nothing of the host is followed."""
    pack = small(tmp_path, compile='rm -rf "$1"; ' + instead.format('"$1"'))
    with pytest.raises(CompileFailedError, match="no longer a directory"):
        build(app, pack)

    assert not (tmp_path / "o.tgz").exists()
    assert leftovers(app) == []


def test_a_procfile_that_compile_writes_counts(tmp_path: Path) -> None:
    """The Procfile is read when all packs have compiled: what the app came with is overwritten."""
    app = write_tree(tmp_path / "app", {"Procfile": "web: before\nold: o\n"})
    slug = build(app, small(tmp_path, compile='printf "web: after\\nclock: c\\n" >"$1/Procfile"'))

    assert dict(slug.process_types) == {"clock": "c", "web": "after"}


def test_compile_may_write_to_env_dir_and_home(app: Path, tmp_path: Path) -> None:
    """What compile puts into ENV_DIR and HOME is there for release and report, and no config var of the slug."""
    pack = small(
        tmp_path, compile='echo -n v >"$3/NEW"; echo h >~/.rc', report='echo "{\\"new\\": \\"$(<"$3/NEW")$(<~/.rc)\\"}"'
    )
    events: list[BuildEvent] = []
    slug = build(app, pack, events=events)

    assert reports(events) == [{"new": "vh"}]
    assert slug.manifest.config_vars == {}
    assert {file.path for file in slug.files()} == {"file", "tmp", "log"}


# -- scripts as they are found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"exit 0\n", b"#!/bin/sh\nexit 0\n"], ids=["empty", "no shebang", "shebang"])
@pytest.mark.parametrize("script", ["detect", "compile", "release", "report"])
def test_scripts_without_run_bits_or_shebang(app: Path, tmp_path: Path, script: str, body: bytes) -> None:
    """A script runs without run bits, without a shebang and with 0 bytes, as a shell would run it."""
    pack = Path(small(tmp_path, release="", report="echo {}"))
    (pack / "bin" / script).write_bytes(body)
    (pack / "bin" / script).chmod(0o644)
    before = state(pack)

    assert output(app, pack) == []
    assert state(pack) == before


def test_a_script_without_a_shebang_is_bashs(app: Path, tmp_path: Path) -> None:
    """What has no shebang gets its arguments, and may be written for bash."""
    pack = Path(small(tmp_path))
    (pack / "bin/compile").write_text('[[ -d $1 && -d $3 ]] && words=(one two) && echo "${words[1]} $#"\n')

    assert output(app, pack) == ["two 3"]


def test_everything_in_bin_is_made_executable(app: Path, tmp_path: Path) -> None:
    """Helpers beside the scripts are made executable too, in the build's copy: the pack itself stays as it is."""
    pack = Path(small(tmp_path, compile="bin/helper"))
    (pack / "bin/helper").write_text(f"{BASH}echo helped\n")
    (pack / "bin/helper").chmod(0o644)
    before = state(pack)

    assert output(app, pack) == ["helped"]
    assert state(pack) == before


def test_a_pack_that_changes_itself(app: Path, tmp_path: Path) -> None:
    """What a build writes into the pack's directory lasts for that build only."""
    pack = small(tmp_path, compile="ls; echo x >made; echo 'exit 1' >bin/compile; rm bin/detect")
    before = state(Path(pack))

    assert output(app, pack) == output(app, pack) == ["bin"]
    assert state(Path(pack)) == before


def test_the_packs_repository_is_left_behind(app: Path, tmp_path: Path) -> None:
    """A pack that is a git checkout is used without its .git, and a commit alone makes no other version of it."""
    pack = Path(small(tmp_path, compile="ls -A; git rev-parse 2>/dev/null || echo 'no repository'"))
    first = build(app, pack).manifest.buildpacks
    write_tree(pack, {".git/HEAD": "ref: refs/heads/main\n", ".gitignore": "x\n", "lib/.git": "kept\n"})
    (pack / ".gitignore").unlink()

    assert output(app, pack) == ["bin", "lib", "no repository"]
    shutil.rmtree(pack / "lib")
    assert build(app, pack).manifest.buildpacks == first


def test_a_link_to_a_script_is_a_script(app: Path, tmp_path: Path) -> None:
    """A script may be a link to another file of the pack."""
    pack = Path(small(tmp_path, compile="echo compiled"))
    (pack / "bin/compile").rename(pack / "real")
    (pack / "bin/compile").symlink_to("../real")

    assert output(app, pack) == ["compiled"]


# -- release ---------------------------------------------------------------------------------------------------


def test_release_lies_below_the_procfile(tmp_path: Path) -> None:
    """Default process types count where the Procfile has none; legacy config vars travel in the manifest."""
    app = write_tree(tmp_path / "app", {"Procfile": "web: mine\n"})
    yaml = "---\naddons: [db]\nconfig_vars:\n  RACK_ENV: production\n  WORKERS: 2\n"
    yaml += "default_process_types:\n  web: theirs\n  rake: rake\n"
    slug = build(app, small(tmp_path, release=f"cat <<'EOF'\n{yaml}EOF"))

    assert dict(slug.process_types) == {"rake": "rake", "web": "mine"}
    assert slug.manifest.config_vars == {"RACK_ENV": "production", "WORKERS": "2"}


@pytest.mark.parametrize("printed", ["", "---", "--- {}", "---{}", "default_process_types:\\n  web: null\\n"])
def test_release_that_says_nothing(app: Path, tmp_path: Path, printed: str) -> None:
    """Real packs print nothing, a bare `---`, an empty mapping or a type without a command: none declares anything."""
    events: list[BuildEvent] = []
    slug = build(app, small(tmp_path, release=f"printf -- '{printed}'"), events=events)

    assert dict(slug.process_types) == {}
    assert lines(events) == []


def test_release_sees_what_compile_left_in_tmp(tmp_path: Path) -> None:
    """Release runs on the same BUILD_DIR, with its tmp/; in the slug tmp/ is empty."""
    app = write_tree(tmp_path / "app", {"Gemfile.toml": 'gems = ["pg"]\n', "tmp/of-the-app": ""})
    slug = build(app, PACKS / "tmp-release")

    assert dict(slug.process_types) == {"console": "python3", "web": 'python3 -m http.server "$PORT"'}
    assert slug.manifest.config_vars == {"RACK_ENV": "production"}
    assert [file.path for file in slug.files() if file.path.startswith("tmp")] == ["tmp"]


@pytest.mark.parametrize("script", ["echo '--- {}'; echo oops >&2; exit 7", "echo '[1, 2]'", "echo 'a: b: c'"])
def test_release_that_fails(app: Path, tmp_path: Path, script: str) -> None:
    """A release that fails, or prints no mapping, fails the build: no slug, and the cache stays as it was."""
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError) as caught:
        build(app, small(tmp_path, compile='echo x >"$2/x"', release=script), events=events)

    assert caught.value.status == (7 if "exit 7" in script else 1)
    assert not (tmp_path / "o.tgz").exists()
    assert not (tmp_path / "cache/cache/x").exists()


# -- report ----------------------------------------------------------------------------------------------------


def test_report_is_flat(app: Path, tmp_path: Path) -> None:
    """What report prints, a flat object of text, numbers and bools, reaches the listener as one event."""
    facts = '{"version": "3.11", "count": 2, "seconds": 0.5, "cached": true}'
    events: list[BuildEvent] = []
    build(app, small(tmp_path, report=f"echo '{facts}'"), events=events)

    assert [event for event in events if isinstance(event, BuildpackReported)] == [
        BuildpackReported("small", {"version": "3.11", "count": 2, "seconds": 0.5, "cached": True})
    ]


@pytest.mark.parametrize(
    "script",
    [
        "echo '{\"a\": 1}'; exit 3",
        "echo nonsense",
        "echo '[1]'",
        'echo \'{"deep": {"a": 1}, "flat": 1}\'',
        "echo '{\"null\": null}'",
        "echo '{\"nan\": NaN}'",
        "",
        "kill -KILL $$",
        "printf '\\377'",
        "head -c 3000000 /dev/zero | tr '\\0' '['",
    ],
    ids=["fails", "no json", "list", "nested", "null", "NaN", "nothing", "killed", "no text", "huge"],
)
def test_report_fails_no_build(app: Path, tmp_path: Path, script: str) -> None:
    """A report that fails or prints something else is as good as none: there is no event, and nobody hears of it."""
    events: list[BuildEvent] = []
    build(app, small(tmp_path, report=script), events=events)

    assert reports(events) == []
    assert lines(events) == []


def test_report_that_hangs(app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that does not end is ended, and the build is a success all the same."""
    monkeypatch.setattr("slugkit.build._packs._REPORT_TIME", 0.4)
    marker = f"report-{uuid.uuid4()}"
    events: list[BuildEvent] = []
    build(app, small(tmp_path, report=f"exec -a {marker} sleep 600"), events=events)

    assert reports(events) == []
    assert gone(marker)


def test_no_report_without_a_script(app: Path, tmp_path: Path) -> None:
    """A pack without bin/report reports nothing, not even an empty object."""
    events: list[BuildEvent] = []
    build(app, small(tmp_path), events=events)

    assert reports(events) == []


@needs_node
def test_report_after_success_and_failure(tmp_path: Path) -> None:
    """Report runs after a build that succeeds, after one that the cache speeds up, and after one that fails."""
    app = write_tree(tmp_path / "app", {"package.json": '{"name": "x", "dependencies": {"a": "1"}}'})
    events: list[BuildEvent] = []
    for _ in range(2):
        build(app, PACKS / "reporter", events=events)
    (app / "package.json").write_text("{}")
    with pytest.raises(CompileFailedError, match=r'package\.json has no "name"'):
        build(app, PACKS / "reporter", events=events)

    assert reports(events) == [
        {"cache_status": "empty", "dependency_count": 1},
        {"cache_status": "reused", "dependency_count": 1},
        {
            "cache_status": "reused",
            "failure_reason": "package-json::missing-name",
            "failure_detail": 'package.json has no "name"',
        },
    ]


def test_report_of_a_build_that_failed_halfway(tmp_path: Path) -> None:
    """A report made after a failed compile is told before the failure is."""
    app = write_tree(tmp_path / "app", {"broken.txt": ""})
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError):
        build(app, PACKS / "fails-halfway", events=events)

    assert reports(events) == [
        {"failure_reason": "download", "failure_detail": "part two: no answer", "total_duration": 0.1}
    ]
    assert [type(event).__name__ for event in events[-3:]] == ["StepEnded", "BuildpackReported", "BuildFailed"]


def test_report_after_the_time_limit(app: Path, tmp_path: Path) -> None:
    """A build whose time is up still gets its report: the time for that is its own."""
    events: list[BuildEvent] = []
    with pytest.raises(BuildTimeoutError):
        build(app, small(tmp_path, compile="sleep 600", report="echo '{\"a\": 1}'"), events=events, timeout=1.0)

    assert reports(events) == [{"a": 1}]


# -- what is left, and what is not -----------------------------------------------------------------------------


def test_a_daemon_is_named_and_dead(app: Path, tmp_path: Path) -> None:
    """What a script leaves running is told by its command line, and does not outlive the script's step."""
    marker = f"daemon-{uuid.uuid4()}"
    events: list[BuildEvent] = []
    alive: list[list[int]] = []

    def on_event(event: BuildEvent) -> None:
        events.append(event)
        if isinstance(event, StepEnded) and event.step == "compile":
            alive.append(pids_with(marker))

    script = f"setsid bash -c 'exec -a {marker} sleep 600' </dev/null >/dev/null 2>&1 & echo started"
    slug = build(app, small(tmp_path, compile=script), on_event=on_event)
    (left,) = [event for event in events if isinstance(event, ProcessesLeft)]

    assert left.processes == (f"{marker} 600",)
    assert "compile" in left.command
    assert alive == [[]]
    assert slug.path.exists()


def test_a_daemon_that_holds_the_output(app: Path, tmp_path: Path) -> None:
    """A process left behind that keeps the script's output open does not keep the build waiting for it."""
    marker = f"daemon-{uuid.uuid4()}"
    events: list[BuildEvent] = []
    build(
        app, small(tmp_path, compile=f"bash -c 'exec -a {marker} sleep 600' & echo started"), events=events, timeout=30
    )

    assert lines(events) == ["started"]
    assert gone(marker)


def test_a_build_without_daemons_names_none(app: Path, tmp_path: Path) -> None:
    """A child that ends with its script, or just after, is nothing to be told."""
    events: list[BuildEvent] = []
    build(app, small(tmp_path, compile="sleep 0.1 & exec > >(cat); echo x"), events=events)

    assert not [event for event in events if isinstance(event, ProcessesLeft)]


def test_the_time_limit_ends_a_pack_that_hangs(tmp_path: Path) -> None:
    """A compile that never ends is ended with everything it started; the cache is untouched, nothing is left."""
    app = write_tree(tmp_path / "app", {"hang.txt": ""})
    length = f"1000.{uuid.uuid4().int}"
    shutil.copytree(PACKS / "hangs", tmp_path / "hangs")
    script = tmp_path / "hangs/bin/compile"
    script.write_text(script.read_text().replace("sleep 1000", f"sleep {length}"))
    events: list[BuildEvent] = []
    with pytest.raises(BuildTimeoutError, match=r"timed out; must complete in 1\.5 seconds"):
        build(app, tmp_path / "hangs", events=events, timeout=1.5)

    assert lines(events) == ["-----> Waiting for a mirror that does not answer"]
    assert gone(length)
    assert leftovers(app) == []
    assert not (tmp_path / "cache/cache").exists()


@pytest.mark.parametrize("script", ["detect", "release"])
def test_the_time_limit_holds_for_every_script(app: Path, tmp_path: Path, script: str) -> None:
    """A detect or a release that hangs, deaf to SIGTERM, is ended by the time limit as well."""
    marker = f"deaf-{uuid.uuid4()}"
    with pytest.raises(BuildTimeoutError):
        build(app, small(tmp_path, **{script: f"trap '' TERM; bash -c 'exec -a {marker} sleep 600'"}), timeout=1.5)

    assert gone(marker)
    assert leftovers(app) == []


def test_the_cache_of_a_failed_build_is_dropped(tmp_path: Path) -> None:
    """CACHE_DIR is kept by builds that succeed: one that fails halfway leaves it as the last success left it."""
    app = write_tree(tmp_path / "app", {"broken.txt": ""})
    build(app, small(tmp_path, compile='echo good >"$2/state"'))
    cache = tmp_path / "cache/cache"
    before = state(cache)
    with pytest.raises(CompileFailedError) as caught:
        build(app, PACKS / "fails-halfway")

    assert (caught.value.buildpack, caught.value.status) == ("Broken", 3)
    assert caught.value.last_lines[-1] == "\033[1;31m !     The download failed\033[0m"
    assert state(cache) == before
    assert leftovers(app) == []


def test_without_a_sandbox(tmp_path: Path) -> None:
    """sandbox="none" runs a classic pack with real paths; HOME is a directory of the build's own, gone after it."""
    app = write_tree(tmp_path / "app", {"hello.txt": "hello\n"})
    events: list[BuildEvent] = []
    where = small(tmp_path, compile='echo "$HOME"; ls -A "$HOME"; echo "$1"; pwd; exec > >(sed "s/^/  /"); echo late')
    slug = build(app, PACKS / "hello", where, events=events, sandbox="none")
    home, build_dir, pwd, late = lines(events)[3:]

    assert content(slug, tmp_path)["greeting/hello.txt"] == "HELLO\n"
    assert set(slug.process_types) == {"web", "greet"}
    assert Path(home).is_relative_to(tmp_path / "cache")
    assert build_dir == workspace_of(events).build_dir
    assert Path(pwd).parent == Path(build_dir).parent
    assert late == "  late"
    assert not Path(home).exists()


def test_without_a_sandbox_daemons_die_too(app: Path, tmp_path: Path) -> None:
    """sandbox="none" still ends what a script leaves in its own session, and names it."""
    marker = f"unconfined-{uuid.uuid4()}"
    events: list[BuildEvent] = []
    script = f"bash -c 'exec -a {marker} sleep 600' >/dev/null 2>&1 & echo started"
    build(app, small(tmp_path, compile=script), events=events, sandbox="none")

    assert [event.processes for event in events if isinstance(event, ProcessesLeft)] == [(f"{marker} 600",)]
    assert gone(marker)


# -- the samples -----------------------------------------------------------------------------------------------

SERVE = 'python3 -m http.server "$PORT"'
STAMP = "a@1\n"

#: By pack: the app; what a first and a second build print; files that the slug has; its process types.
SAMPLES: dict[str, tuple[dict[str, str], list[str], list[str], dict[str, str], dict[str, str]]] = {
    "hello": (
        {"hello.txt": "Hello\n"},
        ["-----> Writing the greeting", "       greeting/hello.txt", "       .profile.d/hello.sh"],
        ["-----> Writing the greeting", "       greeting/hello.txt", "       .profile.d/hello.sh"],
        {
            "greeting/hello.txt": "HELLO\n",
            ".profile.d/hello.sh": 'export GREETING_FILE="$HOME/greeting/hello.txt"\n',
        },
        {"greet": "cat greeting/hello.txt", "web": f"{SERVE} --directory greeting"},
    ),
    "toolchain": (
        {".tool-version": "1.2.0"},
        ["-----> Installing shout 1.2.0", "       READY (shout 1.2.0)"],
        ["-----> Restoring shout 1.2.0 from the cache", "       READY (shout 1.2.0)"],
        {
            ".profile.d/toolchain.sh": 'export PATH="$HOME/.toolchain/bin:$PATH"\nexport TOOL_VERSION="1.2.0"\n',
        },
        {},
    ),
    "hardlinks": (
        {"packages.txt": "zlib==1.3\nabc==2.0\n"},
        ["-----> Installing abc 2.0", "-----> Installing zlib 1.3", "       2 packages in vendor"],
        ["-----> Restoring abc 2.0", "-----> Restoring zlib 1.3", "       2 packages in vendor"],
        {"vendor/abc/VERSION": "2.0\n", "vendor/zlib/bin/zlib": "#!/bin/sh\necho zlib 1.3\n"},
        {},
    ),
    "app-symlink": (
        {"runtime.txt": "7.1"},
        ["-----> Installing the runtime 7.1", "       runtime 7.1"],
        ["-----> Installing the runtime 7.1", "       runtime 7.1"],
        {
            ".heroku/runtime/VERSION": "7.1\n",
            ".profile.d/runtime.sh": 'export PATH="$HOME/.heroku/runtime/bin:$PATH"\n',
        },
        {},
    ),
    "env-reader": (
        {"settings.ini": ""},
        ["-----> Reading the settings", "       Mode: fast"],
        ["-----> Reading the settings", "       Mode: fast"],
        {"build-settings.txt": "MODE=fast\n"},
        {},
    ),
    "tmp-release": (
        {"Gemfile.toml": 'gems = ["rack"]\n'},
        ["-----> Installing gems", "       Using rack"],
        ["-----> Installing gems", "       Using rack"],
        {},
        {"console": "python3", "web": SERVE},
    ),
    "reporter": (
        {"package.json": '{"name": "x", "dependencies": {"a": "1"}}'},
        ["-----> Installing the dependencies of x", "       1 dependencies, cache empty"],
        ["-----> Installing the dependencies of x", "       1 dependencies, cache reused"],
        {"node_modules/.stamp": STAMP},
        {"web": "node server.js"},
    ),
    "testpack": (
        {"spec/one.sh": ""},
        ["-----> Building", "       .built"],
        ["-----> Building", "       .built"],
        {".built": "built\n"},
        {},
    ),
    "daemon": (
        {"daemon.txt": ""},
        ["-----> Starting the compile server", "       Ready"],
        ["-----> Starting the compile server", "       Ready"],
        {".daemon-ready": "ready\n"},
        {},
    ),
    "odd": (
        {"Procfile": "web: before\n"},
        [
            "-----> Moving the app aside and back",
            *("       Rewriting the Procfile", "       Keeping a repository"),
            *("       Writing to ENV_DIR and HOME", "       Done"),
        ],
        [
            "-----> Moving the app aside and back",
            *("       Rewriting the Procfile", "       Keeping a repository"),
            *("       Writing to ENV_DIR and HOME", "       Done"),
        ],
        {"odd.txt": "odd\n"},
        {"odd": "cat odd.txt", "web": SERVE},
    ),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_node) if n == "reporter" else n for n in SAMPLES])
def test_sample_packs_build_twice(tmp_path: Path, name: str) -> None:
    """A sample pack builds its app, and again with its cache: the same files and process types, and its own words."""
    files, first, second, leaves, process_types = SAMPLES[name]
    app = write_tree(tmp_path / "app", files)
    before = state(PACKS / name)
    for expected in (first, second):
        events: list[BuildEvent] = []
        slug = build(app, PACKS / name, events=events, config_vars={"BUILD_MODE": "fast"})
        found = content(slug, tmp_path)

        assert lines(events) == expected
        assert {path: found.get(path) for path in leaves} == leaves
        assert dict(slug.process_types) == process_types
        assert [record.name for record in slug.manifest.buildpacks] == [name]
    assert state(PACKS / name) == before
    assert leftovers(app) == []


@pytest.mark.parametrize("name", sorted({path.name for path in PACKS.iterdir()} - {"odd"}))
def test_sample_packs_say_no_to_other_apps(app: Path, tmp_path: Path, name: str) -> None:
    """A sample pack does not apply to an app that lacks its file."""
    with pytest.raises(IncompatibleBuildpackError, match=name):
        build(app, PACKS / name)

    assert not (tmp_path / "o.tgz").exists()


@pytest.mark.parametrize(
    ("name", "files", "reason"),
    [
        ("hello", {"hello.txt": ""}, " !     hello.txt is empty"),
        ("toolchain", {".tool-version": "latest\n"}, " !     .tool-version must hold a version, such as 1.2.0"),
        ("hardlinks", {"packages.txt": "abc\n"}, " !     packages.txt line 1 is not name==version: abc"),
        ("assets", {"assets/a.txt": ""}, " !     shout is not on PATH: put the toolchain buildpack first"),
    ],
)
def test_sample_packs_name_what_is_wrong(tmp_path: Path, name: str, files: dict[str, str], reason: str) -> None:
    """A sample pack that cannot build an app says why, and that reason is the error's last line."""
    app = write_tree(tmp_path / "app", files)
    with pytest.raises(CompileFailedError) as caught:
        build(app, PACKS / name)

    assert caught.value.last_lines[-1] == reason


# -- what a build must not make the host do ---------------------------------------------------------------------


@pytest.mark.parametrize("step", ["compile", "report"])
def test_a_link_in_the_place_of_build_dir_leads_nowhere(tmp_path: Path, step: str) -> None:
    """An inline app that puts a link where BUILD_DIR was makes the host touch nothing through it, report or not."""
    victim = write_tree(tmp_path / "victim", {"bin/detect": "", "bin/compile": "", "bin/report": ""})
    for path in (victim / "bin").iterdir():
        path.chmod(0o600)
    scripts = {"bin/detect": BASH, "bin/compile": BASH, "bin/report": BASH + "echo {}\n"}
    scripts[f"bin/{step}"] = f'{BASH}cd /; rm -rf "$1"; ln -s {victim} "$1"\n'
    app = write_tree(tmp_path / "app", scripts)
    with suppress(SlugkitError):
        build(app, "inline")

    assert [path.stat().st_mode & 0o777 for path in (victim / "bin").iterdir()] == [0o600] * 3


def test_scripts_that_are_links_are_made_executable_inside_of_the_pack_only(app: Path, tmp_path: Path) -> None:
    """A script that links to a file of the pack is run; one that links out of it changes nothing there."""
    outside = tmp_path / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o600)
    pack = Path(small(tmp_path, "linked"))
    (pack / "bin/compile").unlink()
    (pack / "real").write_text("echo real\n")
    (pack / "bin/compile").symlink_to("../real")
    (pack / "bin/release").symlink_to(outside)
    events: list[BuildEvent] = []
    with pytest.raises(CompileFailedError):  # what release leads to is not there
        build(app, pack, events=events)

    assert "real" in lines(events)
    assert outside.stat().st_mode & 0o777 == 0o600


def test_reports_do_not_hold_up_ctrl_c(app: Path, tmp_path: Path) -> None:
    """Interrupting a build interrupts it; reports are for builds that end by themselves."""
    pack = small(tmp_path, "slow", compile="echo compiling", report="echo asked >&2; sleep 600")
    steps: list[str] = []

    def on_event(event: BuildEvent) -> None:
        if isinstance(event, StepEnded):
            steps.append(event.step)
        if isinstance(event, BuildLine):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(app, pack, on_event=on_event)
    assert steps == ["detect", "compile"]


def test_keys_that_nothing_reads_are_told(app: Path, tmp_path: Path) -> None:
    """``web:`` beside default_process_types declares nothing, and the transcript says so."""
    events: list[BuildEvent] = []
    build(app, small(tmp_path, release="echo 'web: run'"), events=events)
    told = [line for event in events for line in heroku_text(event) if "Warning" in line]

    what = "the key web beside addons, config_vars, default_process_types, which means nothing"
    assert told == [f" !     Warning: bin/release printed {what}: ignored"]


def test_a_link_in_the_place_of_the_cache_is_no_cache(app: Path, tmp_path: Path) -> None:
    """A compile that puts a link where CACHE_DIR was makes the host keep nothing, and touch nothing behind the link."""
    victim = write_tree(tmp_path / "victim", {"cache/secret": "x"})
    (victim / "cache").chmod(0o700)
    pack = small(tmp_path, compile=f'cd /; rm -rf "$2"; ln -s {victim}/cache "$2"')
    build(app, pack)
    build(app, pack)

    assert (victim / "cache/secret").read_text() == "x"
    assert (victim / "cache").stat().st_mode & 0o777 == 0o700
    assert leftovers(app) == []


@pytest.mark.parametrize(
    "hide", ["mkdir $left", "mkfifo $left", "rm -f $left; ln -s /etc/passwd $left"], ids=["directory", "fifo", "link"]
)
def test_what_is_left_cannot_be_hidden_by_an_accident(app: Path, tmp_path: Path, hide: str) -> None:
    """Something in the place where leftovers are noted neither holds up a build nor fails it."""
    script = (
        f"left=$(tr '\\0' '\\n' </proc/$PPID/cmdline | grep /tmp/.left | head -n 1); {hide} 2>/dev/null; sleep 50 &"
    )
    events: list[BuildEvent] = []
    build(app, small(tmp_path, compile=script), events=events, timeout=30)

    assert [event for event in events if isinstance(event, BuildFailed)] == []


def test_too_many_exports_are_an_error_that_says_so(app: Path, tmp_path: Path) -> None:
    """An export of thousands of variables is refused by name, not as something the next pack did."""
    pack = small(tmp_path, compile="for i in {1..2000}; do echo export V$i=1; done >export")
    with pytest.raises(CompileFailedError, match="export leaves more than 1000 variables"):
        build(app, pack, small(tmp_path, "later"))


def test_an_export_that_spoils_its_own_note_exports_nothing(app: Path, tmp_path: Path) -> None:
    """What export puts in the place of the files that its variables are read from is no answer, and no crash."""
    pack = small(tmp_path, compile='echo \'rm -rf "$3"; mkdir "$3"; export A=1\' >export')
    events: list[BuildEvent] = []
    build(app, pack, small(tmp_path, "later", compile='echo "${A-none}"'), events=events)

    assert lines(events)[-1] == "none"
