"""Dynos for real: bubblewrap, bash, sockets, signals."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from slugkit.archive import Slug, pack
from slugkit.dyno import Dyno, DynoRunner, Limits
from slugkit.errors import (
    BootTimeoutError,
    CorruptSlugError,
    DynoCrashedError,
    DynoStartError,
    InvalidCommandError,
    InvalidConfigVarError,
    InvalidSettingError,
    MissingInterpreterError,
    OutputError,
    PortInUseError,
    RunnerClosedError,
    SandboxUnavailableError,
    SlugkitError,
    SlugNotFoundError,
    UnknownProcessTypeError,
    UnsafeMemberError,
)
from slugkit.events import DynoEvent, DynoStateChanged
from slugkit.logline import LogLine
from slugkit.slug import Manifest, Platform
from slugkit.testing import make_slug
from support import pids_with
from waiting import until

pytestmark = pytest.mark.usefixtures("sandboxed")

SERVE = 'exec python3 -m http.server --directory /app "$PORT"'
SLEEP = "exec sleep 600"


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[DynoRunner]:
    with DynoRunner(store=tmp_path / "store", grace=5.0, boot_timeout=20.0) as runner:
        yield runner


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return make_slug(tmp_path, {"hello.txt": "hello\n"}, web=SERVE, worker=SLEEP)


def messages(dyno: Dyno) -> list[str]:
    return [line.message for line in dyno.logs()]


def wait_for(dyno: Dyno, text: str) -> None:
    """Wait until a line that the app itself wrote holds *text*."""
    deadline = time.monotonic() + 20
    while not any(text in line.message for line in dyno.logs() if line.source == "app"):
        assert time.monotonic() < deadline, messages(dyno)
        time.sleep(0.01)


def wait_for_none(text: str, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := pids_with(text)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


# -- starting --------------------------------------------------------------------------------------------------


def test_a_web_dyno_answers(runner: DynoRunner, slug: Slug) -> None:
    """A web dyno is up when it listens on $PORT, and answers at its url."""
    web = runner.start(slug, "web")
    web.wait_up()

    assert (web.name, web.state) == ("web.1", "up")
    with urllib.request.urlopen(f"{web.url}/hello.txt", timeout=10) as response:
        assert response.read() == b"hello\n"


def test_other_types_are_up_at_once(runner: DynoRunner, slug: Slug) -> None:
    """A dyno that is not web need not listen to be up."""
    worker = runner.start(slug, "worker")
    worker.wait_up()

    assert worker.state == "up"


def test_names_count_from_one_and_are_used_again(runner: DynoRunner, slug: Slug) -> None:
    """Dynos are named TYPE.N with the lowest free N."""
    first, second = runner.start(slug, "worker"), runner.start(slug, "worker")
    first.stop()
    third = runner.start(slug, "worker")

    assert [dyno.name for dyno in (first, second, third)] == ["worker.1", "worker.2", "worker.1"]


def test_the_start_is_logged_as_heroku_does(runner: DynoRunner, tmp_path: Path) -> None:
    """The log shows the command with $PORT substituted and nothing else, then the states (contract.md 5.5)."""
    slug = make_slug(tmp_path, {}, web=f"echo $HOME; {SERVE}")
    web = runner.start(slug, "web")
    web.wait_up()
    web.stop()
    system = [line.message for line in web.logs() if line.source == "heroku"]

    assert system[0] == f"Starting process with command `echo $HOME; {SERVE}`".replace("$PORT", str(web.port))
    assert system[1:] == [
        "State changed from starting to up",
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
        "State changed from up to down",
    ]


def test_the_caller_chooses_the_port(runner: DynoRunner, slug: Slug) -> None:
    """A port that is free is the dyno's."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    web = runner.start(slug, "web", port=port)
    web.wait_up()

    assert web.url == f"http://127.0.0.1:{port}"


# -- what a dyno sees ------------------------------------------------------------------------------------------


def test_environment_is_the_contract_and_nothing_of_the_host(
    runner: DynoRunner, slug: Slug, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dyno has HOME PATH PORT DYNO and its config vars; a canary of the host does not reach it."""
    monkeypatch.setenv("CANARY", "of the host")
    done = runner.run(slug, "env", config_vars={"GREETING": "two\nlines"})
    env = dict(re.findall(r"^(\w+)=(.*)$", done.output, re.MULTILINE))

    assert set(env) == {"HOME", "PATH", "PORT", "DYNO", "GREETING", "PWD", "SHLVL", "_"}
    assert (env["HOME"], env["PWD"], env["PATH"]) == ("/app", "/app", "/usr/local/bin:/usr/bin:/bin")
    assert "two\nlines\n" in done.output


def test_config_vars_win_but_for_port_and_dyno(runner: DynoRunner, slug: Slug) -> None:
    """A config var may replace PATH; PORT and DYNO are the platform's own."""
    done = runner.run(slug, "echo $PATH $PORT $DYNO", config_vars={"PATH": "/usr/bin:/x", "PORT": "1", "DYNO": "mine"})
    path, port, dyno = done.output.split()

    assert path == "/usr/bin:/x"
    assert int(port) > 1024
    assert dyno.startswith("run.")


@pytest.mark.parametrize("path", ["/app/x", "/app/hello.txt", "/app/sub/x", "/x", "/usr/x", "/etc/passwd", "/dev/x"])
def test_everything_but_three_directories_is_read_only(runner: DynoRunner, tmp_path: Path, path: str) -> None:
    """The app, the stack and the root refuse to be written."""
    slug = make_slug(tmp_path, {"hello.txt": "hello\n", "sub/y": ""})
    done = runner.run(slug, f"echo changed > {path}")

    assert done.status == 1
    assert "Read-only file system" in done.output or "Permission denied" in done.output
    assert (tmp_path / "tree/hello.txt").read_text() == "hello\n"


def test_app_says_read_only_file_system(runner: DynoRunner, slug: Slug) -> None:
    """What an app reads when it writes beside itself is the error that the promise names."""
    assert "Read-only file system" in runner.run(slug, "touch /app/x").output


@pytest.mark.parametrize("directory", ["/app/tmp", "/app/log", "/tmp", "/dev/shm"])
def test_writable_directories_are_private(runner: DynoRunner, slug: Slug, directory: str) -> None:
    """tmp/, log/ and /tmp can be written, and no other dyno sees what one wrote."""
    wrote = runner.run(slug, f"echo mine > {directory}/note && cat {directory}/note")
    looked = runner.run(slug, f"ls -A {directory}")

    assert (wrote.status, wrote.output) == (0, "mine\n")
    assert (looked.status, looked.output) == (0, "")


def test_an_app_never_runs_as_root(runner: DynoRunner, slug: Slug) -> None:
    """A dyno has no capability and cannot gain one; started by root, it is a user of nobody's."""
    done = runner.run(slug, "id -u; grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status; whoami")
    uid, *status, name = done.output.split("\n")[:-1]

    assert int(uid) == os.getuid() or int(uid) in range(61184, 65520)
    assert int(uid) != 0
    assert name == "dyno"
    assert [line.split(":\t")[1].strip("0") for line in status] == ["", "", "", "", "1"]


def test_hosts_processes_and_files_are_out_of_reach(
    runner: DynoRunner, slug: Slug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dyno sees its own processes only, no file of the host's users, and cannot set kernel parameters."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "canary").write_text("secret")
    script = f"""
    ls -d {tmp_path} {Path.home()} /root /home /srv /var 2>/dev/null
    ls /proc | grep -c '^[0-9]'
    kill -0 {os.getpid()} 2>/dev/null && echo signalled
    echo x 2>/dev/null > /proc/sys/kernel/core_pattern && echo patterned
    cat /proc/1/environ 2>/dev/null
    """
    done = runner.run(slug, script)

    assert int(done.output) < 10


def test_config_vars_show_in_no_process_listing(runner: DynoRunner, tmp_path: Path) -> None:
    """A config var's value is in no command line on the machine, and in no environment but the app's own."""
    secret = f"hunter2-{os.getpid()}"
    slug = make_slug(tmp_path, {"Procfile": "ready"}, worker="exec tail -n 1 -f Procfile /dev/null")
    worker = runner.start(slug, "worker", config_vars={"SECRET": secret})
    wait_for(worker, "ready")
    holders = []
    for pid in pids_with(""):
        try:
            if secret.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                holders.append(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            continue

    assert pids_with(secret) == []
    assert holders == ["tail"]


def test_no_descriptor_above_two_reaches_the_app(runner: DynoRunner, slug: Slug) -> None:
    """Standard input is empty, and nothing else of the host program is open."""
    with open(__file__, "rb") as mine:
        os.set_inheritable(mine.fileno(), True)
        done = runner.run(slug, "ls -l /proc/self/fd | grep -c -- '->'; cat")

    assert done.output == "4\n"  # 0, 1, 2, and ls's own of the directory


def test_profile_scripts_run_first(runner: DynoRunner, tmp_path: Path) -> None:
    """.profile.d/*.sh in C-locale order, then .profile, then the command, in one environment (contract.md 4.3)."""
    slug = make_slug(
        tmp_path,
        {
            ".profile.d/b.sh": "export ORDER=$ORDER,b; return 3",
            ".profile.d/B.sh": "export ORDER=$ORDER,B; false",
            ".profile.d/1.sh": "export ORDER=1; set -- lost; cd /tmp && cd /app",
            ".profile.d/c.txt": "export ORDER=$ORDER,never",
            ".profile": "export ORDER=$ORDER,profile; PS1=x",
        },
    )

    assert runner.run(slug, "echo $ORDER").output == "1,B,b,profile\n"


def test_a_one_off_runs_a_process_type_with_arguments(runner: DynoRunner, tmp_path: Path) -> None:
    """A first word that names a process type stands for its command (contract.md 4.10)."""
    slug = make_slug(tmp_path, {}, task="echo task of $DYNO with")
    done = runner.run(slug, "task 42")

    assert re.fullmatch(r"task of run\.\d{4} with 42\n", done.output)


def test_output_and_status_of_a_one_off(runner: DynoRunner, slug: Slug) -> None:
    """A one-off returns its status and its output, both streams in the order written."""
    done = runner.run(slug, "echo a; echo b >&2; echo c; printf d; exit 7")

    assert (done.status, done.output) == (7, "a\nb\nc\nd\n")
    assert runner.run(slug, "kill -9 $$").status == 137


def test_a_slug_without_tmp_and_log_gets_them(runner: DynoRunner, tmp_path: Path) -> None:
    """A slug made elsewhere, bare and without tmp/ and log/, runs all the same."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "Procfile").write_text("task: echo ok > log/x && cat log/x\n")
    subprocess.run(["tar", "czf", tmp_path / "bare.tgz", "-C", tree, "."], check=True)

    assert runner.run(Slug.open(tmp_path / "bare.tgz"), "task").output == "ok\n"


# -- the story the project tells -------------------------------------------------------------------------------

BLOG_APP = """
import logging, os, http.server
logging.basicConfig(filename="{path}", level=logging.INFO)
logging.info("started")
http.server.HTTPServer(("", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_app_that_logs_to_logs_fails_to_start(runner: DynoRunner, tmp_path: Path) -> None:
    """An app that writes logs/production.log dies with "Read-only file system" in its log."""
    files = {"app.py": BLOG_APP.format(path="logs/production.log"), "logs/": ""}
    web = runner.start(make_slug(tmp_path, files, web="python3 app.py"), "web")

    with pytest.raises(DynoCrashedError, match="Read-only file system"):
        web.wait_up()
    assert any("Read-only file system: '/app/logs/production.log'" in line for line in messages(web))
    assert web.state == "crashed"


def test_the_same_app_that_logs_to_log_works(runner: DynoRunner, tmp_path: Path) -> None:
    """The same app writing log/production.log starts, and serves what it wrote."""
    files = {"app.py": BLOG_APP.format(path="log/production.log")}
    web = runner.start(make_slug(tmp_path, files, web="python3 app.py"), "web")
    web.wait_up()

    with urllib.request.urlopen(f"{web.url}/log/production.log", timeout=10) as response:
        assert b"started" in response.read()


# -- ends ------------------------------------------------------------------------------------------------------


def test_a_dyno_that_never_listens_is_killed(tmp_path: Path) -> None:
    """A web dyno that does not listen on $PORT in time gets R10, SIGKILL and the state crashed (contract.md 4.4)."""
    slug = make_slug(tmp_path, {}, web="echo booting; exec sleep 600")
    with DynoRunner(store=tmp_path / "store", boot_timeout=0.3) as runner:
        web = runner.start(slug, "web")
        with pytest.raises(BootTimeoutError, match=r"within 0\.3 seconds of launch") as caught:
            web.wait_up()

    assert caught.value.last_lines == ("booting",)
    assert messages(web)[-4:] == [
        "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 0.3 seconds of launch",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from starting to crashed",
    ]


def test_a_dyno_with_a_network_of_its_own_is_up_when_it_listens_there(tmp_path: Path, slug: Slug) -> None:
    """Limits(network=False): it is up once it listens in its own network, where the host does not reach it."""
    with DynoRunner(store=tmp_path / "store", boot_timeout=20.0, limits=Limits(network=False)) as runner:
        formation = runner.formation(slug, {"web": 2})
        formation.wait_up()

        assert [dyno.state for dyno in formation.dynos] == ["up", "up"]
        for web in formation.dynos:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", web.port), 5)
        formation.restart("web.1")
        formation.wait_up()


def test_who_listens_elsewhere_is_not_the_dyno(tmp_path: Path) -> None:
    """A dyno with a network of its own that does not listen is not up, whoever listens there in the host's."""
    slug = make_slug(tmp_path, {}, web="exec sleep 600")
    with DynoRunner(store=tmp_path / "store", boot_timeout=0.5, limits=Limits(network=False)) as runner:
        web = runner.start(slug, "web")
        with socket.create_server(("127.0.0.1", web.port)), pytest.raises(BootTimeoutError):
            web.wait_up()


def test_exit_zero_is_a_crash_too(runner: DynoRunner, tmp_path: Path) -> None:
    """A formation dyno that ends for any reason has crashed; the error holds its status and last lines."""
    web = runner.start(make_slug(tmp_path, {}, web="echo bye; exit 0"), "web")
    with pytest.raises(DynoCrashedError) as caught:
        web.wait_up()

    assert (caught.value.dyno, caught.value.status, caught.value.last_lines) == ("web.1", 0, ("bye",))


STRAYS = {
    "double fork": "(setsid bash -c 'exec -a {name} sleep 600' &);",
    "background": "bash -c 'exec -a {name} sleep 600' &",
    "cleared environment": "env -i setsid bash -c 'exec -a {name} sleep 600' &",
    "ignores TERM": "bash -c 'trap \"\" TERM; exec -a {name} sleep 600' &",
    "stopped": "bash -c 'exec -a {name} sleep 600' & sleep 0.1; kill -STOP $!",
}


@pytest.mark.parametrize("kind", STRAYS)
@pytest.mark.parametrize("end", ["stop", "leave", "exit"])
def test_nothing_survives(tmp_path: Path, kind: str, end: str) -> None:
    """Whatever a dyno started is gone when stop() returns, the block is left, or its main process has ended."""
    name = f"stray-{os.getpid()}-{tmp_path.name}"
    last = "exit 3" if end == "exit" else "exec sleep 600"
    slug = make_slug(tmp_path, {}, worker=f"{STRAYS[kind].format(name=name)} sleep 0.2; echo ready; {last}")
    with DynoRunner(store=tmp_path / "store", grace=0.5) as runner:
        worker = runner.start(slug, "worker")
        wait_for(worker, "ready")
        if end == "stop":
            worker.stop()
            assert pids_with(name) == []
        elif end == "exit":
            assert worker.wait() == 3
            assert pids_with(name) == []

    assert pids_with(name) == []
    assert worker.state == ("crashed" if end == "exit" else "down")


def test_a_term_ignorer_gets_r12(tmp_path: Path) -> None:
    """What ignores SIGTERM is killed when the grace is over, and the log says so (contract.md 4.5)."""
    slug = make_slug(tmp_path, {}, worker="trap '' TERM; echo ready; while :; do sleep 0.1; done")
    with DynoRunner(store=tmp_path / "store", grace=0.3) as runner:
        worker = runner.start(slug, "worker")
        wait_for(worker, "ready")
        assert worker.stop() == 137

    assert messages(worker)[-5:] == [
        "Stopping all processes with SIGTERM",
        "Error R12 (Exit timeout) -> At least one process failed to exit within 0.3 seconds of SIGTERM",
        "Stopping remaining processes with SIGKILL",
        "Process exited with status 137",
        "State changed from up to down",
    ]


HOST = """
import sys, time
from slugkit.archive import Slug, pack
from slugkit.dyno import DynoRunner
runner = DynoRunner(store=sys.argv[2], grace=1, on_log=lambda line: print(line, file=sys.stderr))
runner.start(Slug.open(sys.argv[1]), "worker").wait_up()
print("up", flush=True)
time.sleep(600)
"""


def test_a_killed_host_program_takes_its_dynos_along(tmp_path: Path) -> None:
    """SIGKILL of the program that started a dyno ends the dyno."""
    name = f"orphan-{os.getpid()}-{tmp_path.name}"
    slug = make_slug(tmp_path, {}, worker=f"setsid bash -c 'exec -a {name} sleep 600' & exec sleep 600")
    argv = [sys.executable, "-c", HOST, str(slug.path), str(tmp_path / "store")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == b"up\n"
            assert until(lambda: pids_with(name) != [])
        finally:
            host.kill()

    assert wait_for_none(name, seconds=5) == []


def test_a_dyno_outlives_the_thread_that_started_it(runner: DynoRunner, slug: Slug) -> None:
    """The end of the calling thread does not end the dyno."""
    started: list[Dyno] = []
    thread = threading.Thread(target=lambda: started.append(runner.start(slug, "web")))
    thread.start()
    thread.join()
    started[0].wait_up()
    time.sleep(0.2)

    assert started[0].state == "up"


def test_leaving_the_block_leaves_nothing(tmp_path: Path, slug: Slug) -> None:
    """After the block: no thread, no descriptor, no directory but the store's tree."""
    DynoRunner(store=tmp_path / "store").close()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with DynoRunner(store=tmp_path / "store", on_log=lambda _: None) as runner:
        for _ in range(3):
            runner.start(slug, "web").wait_up()
        runner.run(slug, "true")

    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [
        *("digests", "lock", "records", "staging", "unpacked"),
    ]
    assert list((tmp_path / "store/staging").iterdir()) == []


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path, slug: Slug) -> None:
    """An error of the host program's own stops the dynos on its way out."""
    with pytest.raises(ZeroDivisionError), DynoRunner(store=tmp_path / "store", grace=2) as runner:  # noqa: PT012
        worker = runner.start(slug, "worker")
        raise ZeroDivisionError

    assert worker.state == "down"


def test_a_closed_runner_refuses(tmp_path: Path, slug: Slug) -> None:
    """A runner is of no use after its block; closing it again is fine."""
    with DynoRunner(store=tmp_path / "store") as runner:
        pass
    runner.close()
    with pytest.raises(RunnerClosedError):
        runner.start(slug, "web")


def test_stopping_twice_is_fine(runner: DynoRunner, slug: Slug) -> None:
    """stop() of a dyno that has ended returns its status again."""
    worker = runner.start(slug, "worker")

    assert worker.stop() == worker.stop() == 143


# -- logs and events -------------------------------------------------------------------------------------------


def test_lines_are_data(tmp_path: Path) -> None:
    """A line tells its stream and process, is cut at 10 000 bytes, and keeps bytes that are no UTF-8 visible."""
    seen: list[LogLine] = []
    command = r"""printf 'out\n'; printf 'err\r\n' >&2; printf '\xff\n'; head -c 25000 /dev/zero | tr '\0' x"""
    slug = make_slug(tmp_path, {}, worker=command)
    with DynoRunner(store=tmp_path / "store", on_log=seen.append) as runner:
        runner.start(slug, "worker").wait()
    app = [line for line in seen if line.source == "app"]

    assert {line.process for line in app} == {"worker.1"}
    assert [line.message for line in app if line.stream == "stderr"] == ["err"]
    out = [line.message for line in app if line.stream == "stdout"]
    assert out[:2] == ["out", "\N{REPLACEMENT CHARACTER}"]
    assert [len(message) for message in out[2:]] == [10_000, 10_000, 5_000]


def test_a_slow_listener_blocks_nothing_and_is_told(tmp_path: Path) -> None:
    """Reading goes on while a callback sleeps; what it missed is counted by an L10 line."""
    seen: list[str] = []
    gate = threading.Event()

    def slow(line: LogLine) -> None:
        gate.wait(20)
        seen.append(line.message)

    slug = make_slug(tmp_path, {}, worker="seq 300000")
    with DynoRunner(store=tmp_path / "store", on_log=slow) as runner:
        assert runner.start(slug, "worker").wait() == 0
        gate.set()
    dropped = [int(n) for line in seen for n in re.findall(r"Error L10 .*: (\d+) messages dropped", line)]
    app = [line for line in seen if line.isdecimal()]

    assert sum(dropped) > 0
    assert len(seen) - len(dropped) + sum(dropped) == 300_000 + 4  # the runner's own lines about start and end
    assert app == sorted(app, key=int)


def test_a_listener_that_raises_loses_its_own_line_only(tmp_path: Path, slug: Slug) -> None:
    """An error in a callback ends neither the delivery nor the dyno."""
    seen: list[str] = []

    def fussy(line: LogLine) -> None:
        seen.append(line.message)
        raise ValueError(line.message)

    with DynoRunner(store=tmp_path / "store", on_log=fussy) as runner:
        runner.run(slug, "echo one; echo two")

    assert {"one", "two"} <= set(seen)


def test_states_are_told_in_order(tmp_path: Path, slug: Slug) -> None:
    """Every state change is an event, in Heroku's words."""
    states: list[DynoEvent] = []
    with DynoRunner(store=tmp_path / "store", on_event=states.append) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        web.stop()
        one_off = runner.run(slug, "true")

    seen = [event for event in states if isinstance(event, DynoStateChanged)]
    assert one_off.status == 0
    assert [(e.old, e.new) for e in seen if e.dyno == "web.1"] == [
        ("created", "starting"),
        ("starting", "up"),
        ("up", "down"),
    ]
    assert [e.new for e in seen if e.dyno.startswith("run.")] == ["starting", "up", "complete"]


# -- bad input -------------------------------------------------------------------------------------------------


def test_unknown_process_type(runner: DynoRunner, slug: Slug) -> None:
    """The error names the type and those there are."""
    with pytest.raises(UnknownProcessTypeError, match="'wbe'") as caught:
        runner.start(slug, "wbe")

    assert caught.value.hint == "process types of this slug: web, worker"


def test_port_taken(runner: DynoRunner, slug: Slug) -> None:
    """A port somebody listens on is refused before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUseError) as caught:
        runner.start(slug, "web", port=taken.getsockname()[1])

    assert "is in use" in str(caught.value)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port(runner: DynoRunner, slug: Slug, port: int) -> None:
    """A number that is no port is refused by name."""
    with pytest.raises(InvalidSettingError, match="not a port"):
        runner.start(slug, "web", port=port)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A=B", "../x", "A\n"])
def test_bad_config_var(runner: DynoRunner, slug: Slug, name: str) -> None:
    """A name that no variable can have is refused at the door."""
    with pytest.raises(InvalidConfigVarError):
        runner.run(slug, "true", config_vars={name: "x"})


def test_damaged_slug_leaves_the_store_empty(runner: DynoRunner, slug: Slug, tmp_path: Path) -> None:
    """A slug that is cut short is one clear error, and nothing of it stays."""
    data = slug.path.read_bytes()
    slug.path.write_bytes(data[: len(data) // 2])
    damaged = Slug(slug.path, slug.manifest, len(data))

    with pytest.raises(CorruptSlugError, match="not a whole slug"):
        runner.start(damaged, "web")
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_missing_slug(runner: DynoRunner, slug: Slug) -> None:
    """A slug whose file is gone is named."""
    slug.path.unlink()
    gone = Slug(slug.path, slug.manifest, slug.size)

    with pytest.raises(SlugNotFoundError, match=re.escape(str(slug.path))):
        runner.start(gone, "web")


@pytest.mark.parametrize("name", ["tmp", "log"])
def test_hostile_mount_points_make_nothing_on_the_host(tmp_path: Path, name: str) -> None:
    """A slug whose tmp or log is a link is refused, and nothing is made where the link leads."""
    target = tmp_path / "host"
    tree = tmp_path / "tree" / "app"
    tree.mkdir(parents=True)
    (tree / name).symlink_to(target)
    subprocess.run(["tar", "czf", tmp_path / "evil.tgz", "-C", tree.parent, "./app"], check=True)
    evil = Slug(tmp_path / "evil.tgz", Manifest(process_types={"web": "true"}), 1)

    with DynoRunner(store=tmp_path / "store") as runner, pytest.raises(UnsafeMemberError, match=name):
        runner.start(evil, "web")
    assert not target.exists()


def test_a_slug_names_no_path_of_the_host(runner: DynoRunner, tmp_path: Path) -> None:
    """A manifest that asks for a directory of the host as its interpreter is refused, not obeyed."""
    slug = make_slug(tmp_path, {}, web="true")
    evil = Manifest(process_types={"web": "true"}, platform=Platform("x86_64", "glibc", "/etc"))

    with pytest.raises(MissingInterpreterError, match="/etc"):
        runner.start(Slug(slug.path, evil, slug.size), "web")


@pytest.mark.parametrize("field", ["config value", "config name", "process type"])
def test_a_hostile_manifest_injects_nothing(tmp_path: Path, field: str) -> None:
    """A NUL in a slug's manifest ends no argument: such a slug is refused, and the view of a dyno stays what it is."""
    evil = f"v\0--bind\0{tmp_path}\0/app/tmp"
    manifest = {
        "config value": Manifest(process_types={"web": "ls tmp"}, config_vars={"X": evil}),
        "config name": Manifest(process_types={"web": "ls tmp"}, config_vars={f"X{evil}": "v"}),
        "process type": Manifest(process_types={f"web{evil}": "ls tmp"}),
    }[field]
    root = tmp_path / "tree"
    (root / "tmp").mkdir(parents=True)
    (root / "log").mkdir()
    digests = pack(root, manifest, tmp_path / "evil.tgz")

    with pytest.raises(CorruptSlugError, match="manifest"):
        Slug.open(tmp_path / "evil.tgz")
    made = Slug(tmp_path / "evil.tgz", manifest, digests.size, digests)
    with DynoRunner(store=tmp_path / "store") as runner, pytest.raises((SlugkitError, ValueError)):
        runner.start(made, next(iter(made.process_types)))


def test_the_loader_hears_of_an_app_only_when_it_has_no_rights(runner: DynoRunner, tmp_path: Path) -> None:
    """LD_PRELOAD of a config var reaches the app, and nothing that runs before it with more rights."""
    source = tmp_path / "who.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        '__attribute__((constructor)) void c(void) { FILE *f = fopen("/tmp/who", "a");'
        ' if (f) { fprintf(f, "%d\\n", geteuid()); fclose(f); } }\n'
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "who.so", source], check=True)
    slug = make_slug(tmp_path, {"who.so": (tmp_path / "who.so").read_bytes()})
    done = runner.run(slug, "id -u; sort -u /tmp/who", config_vars={"LD_PRELOAD": "/app/who.so"})
    uids = done.output.split()

    assert len(uids) == 2
    assert uids[0] == uids[1] != "0"


def test_a_command_with_a_nul_is_refused(runner: DynoRunner, slug: Slug) -> None:
    """What no process can be given is one clear error."""
    with pytest.raises(InvalidCommandError, match="NUL"):
        runner.run(slug, "echo a\0b")
    with pytest.raises(InvalidCommandError, match="too long"):
        runner.run(slug, "#" * 140_000)


def test_one_port_is_given_once(runner: DynoRunner, slug: Slug) -> None:
    """A port that a dyno has been given and not yet listens on is taken."""
    first = runner.start(slug, "web")
    with pytest.raises(PortInUseError):
        runner.start(slug, "web", port=first.port)


def test_a_host_program_with_many_descriptors(tmp_path: Path, slug: Slug) -> None:
    """More than 1 024 open files in the host program are fine."""
    code = """
import os, resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1200)]
from slugkit import DynoRunner, Slug
with DynoRunner(store=sys.argv[2]) as runner:
    print(runner.run(Slug.open(sys.argv[1]), "echo fine").output)
"""
    argv = [sys.executable, "-c", code, str(slug.path), str(tmp_path / "store")]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout == "fine\n\n"


@pytest.mark.parametrize("seconds", [1e9, float("inf")])
def test_patience_may_be_endless(tmp_path: Path, slug: Slug, seconds: float) -> None:
    """A boot timeout and a grace without end do not stop the clock."""
    with DynoRunner(store=tmp_path / "store", boot_timeout=seconds, grace=seconds) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        assert web.stop() == 143


def test_a_failed_start_leaves_nothing_to_wait_for(tmp_path: Path, slug: Slug, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system refuses in the middle of a start, the error says so and the runner still closes."""

    def refuse(*_: int) -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    with DynoRunner(store=tmp_path / "store") as runner:
        assert runner.run(slug, "true").status == 0
        monkeypatch.setattr("slugkit.dyno._run.os.pipe2", refuse)
        with pytest.raises(DynoStartError, match=r"web\.1 could not be started: Too many open files"):
            runner.start(slug, "web")
        monkeypatch.undo()
        assert runner.run(slug, "true").status == 0


def test_a_dead_dyno_is_not_up(runner: DynoRunner, tmp_path: Path) -> None:
    """wait_up() of a dyno that was up and has crashed says so."""
    worker = runner.start(make_slug(tmp_path, {}, worker="echo bye; exit 3"), "worker")
    worker.wait()
    with pytest.raises(DynoCrashedError, match=r"worker\.1 exited with status 3") as caught:
        worker.wait_up()

    assert caught.value.up


def test_the_hosts_keyring_is_out_of_reach(runner: DynoRunner, slug: Slug) -> None:
    """A dyno has a session keyring of its own, without the host program's keys."""
    code = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"  # KEYCTL_GET_KEYRING_ID of @s
    mine = subprocess.run(["/usr/bin/python3", "-c", code], check=True, capture_output=True, text=True).stdout
    theirs = runner.run(slug, f'/usr/bin/python3 -c "{code}"').output

    assert theirs != mine


def test_store_that_cannot_be_made(tmp_path: Path, slug: Slug) -> None:
    """A store below a file is one clear error."""
    (tmp_path / "file").write_text("")
    with DynoRunner(store=tmp_path / "file/store") as runner, pytest.raises(OutputError, match="file/store"):
        runner.start(slug, "web")


def test_without_bubblewrap_the_error_says_how(tmp_path: Path) -> None:
    """Where no sandbox works, a runner is refused, with the reason and the way out; never a silent fall."""
    code = """
import os; os.environ["PATH"] = "/nonexistent"
from slugkit import DynoRunner, SlugkitError
from slugkit.sandbox import Bubblewrap, _choice
_choice.PREFERRED = (Bubblewrap(),)
try:
    DynoRunner(store="x")
except SlugkitError as error:
    print(type(error).__name__, error, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)

    assert done.stdout.startswith("SandboxUnavailableError no sandbox works here")
    assert ("it is for ordinary users" if os.geteuid() == 0 else "bwrap is not on PATH") in done.stdout
    assert 'sandbox="none"' in done.stdout


def test_unknown_sandbox() -> None:
    """A sandbox of a name that is none is refused with the names there are."""
    with pytest.raises(SandboxUnavailableError, match="not one of auto, namespaces, bubblewrap, landlock, owned, none"):
        DynoRunner(sandbox="docker")


# -- unconfined, when asked for --------------------------------------------------------------------------------


def test_none_must_be_spelled_and_works(tmp_path: Path, slug: Slug) -> None:
    """sandbox="none" runs the app in a private copy, so that even then no dyno changes another's files."""
    with DynoRunner(store=tmp_path / "store", sandbox="none") as runner:
        done = runner.run(slug, "echo changed > hello.txt; cat hello.txt; pwd")
        again = runner.run(slug, "cat hello.txt")
    home = done.output.split("\n")[1]

    assert done.output.startswith("changed\n")
    assert again.output == "hello\n"
    assert not Path(home).exists()


def test_none_stops_the_group(tmp_path: Path) -> None:
    """Unconfined, at least the dyno's process group ends with it."""
    name = f"plain-{os.getpid()}-{tmp_path.name}"
    slug = make_slug(tmp_path, {}, worker=f"bash -c 'exec -a {name} sleep 600' & echo ready; exec sleep 600")
    with DynoRunner(store=tmp_path / "store", sandbox="none", grace=2) as runner:
        worker = runner.start(slug, "worker")
        wait_for(worker, "ready")

    assert wait_for_none(name, seconds=5) == []


def test_many_threads_share_a_runner(runner: DynoRunner, slug: Slug) -> None:
    """Twenty threads run one-offs at once through one runner, and each gets its own answer."""
    outputs: dict[int, str] = {}

    def work(number: int) -> None:
        outputs[number] = runner.run(slug, f"echo {number}").output

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outputs == {number: f"{number}\n" for number in range(20)}


def test_interrupt_stops_a_one_off(tmp_path: Path) -> None:
    """Ctrl-C while a one-off runs ends it before the interrupt goes on."""
    name = f"interrupted-{os.getpid()}-{tmp_path.name}"
    slug = make_slug(tmp_path, {}, task=f"exec -a {name} sleep 600")
    code = """
import sys
from slugkit import DynoRunner, Slug
with DynoRunner(store=sys.argv[2], grace=2, on_event=lambda e: e.new == "up" and print("up", flush=True)) as runner:
    runner.run(Slug.open(sys.argv[1]), "task")
"""
    argv = [sys.executable, "-c", code, str(slug.path), str(tmp_path / "store")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"up\n"
        host.send_signal(signal.SIGINT)
        _, errors = host.communicate(timeout=20)

    assert b"KeyboardInterrupt" in errors
    assert pids_with(name) == []


def test_errors_of_a_start_are_ours(runner: DynoRunner, slug: Slug) -> None:
    """Everything a start refuses is a SlugkitError with a code."""
    with pytest.raises(SlugkitError) as caught:
        runner.start(slug, "nope")

    assert caught.value.code == "process.unknown"
