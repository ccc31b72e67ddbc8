"""Bringing buildpacks here: real git, real HTTP on loopback, a cache that is whole or not there."""

import gc
import gzip
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from slugkit.archive import Slug
from slugkit.build import SlugBuilder
from slugkit.buildpacks import ClassicBuildpack, Fetcher, _download, _fetch, _repository, find, parse_origin
from slugkit.buildpacks._trees import Trees
from slugkit.errors import BuildpackFetchError, InvalidBuildpackError, SlugkitError
from slugkit.slug import encode_manifest
from support import NOBODY, as_nobody, pids_with

HELLO = Path(__file__).parent / "buildpacks/hello"
SECRET = "hunter2-b0c7"
HOUR = 3600


def fetch(fetcher: Fetcher, text: str | Path) -> ClassicBuildpack:
    """Fetch the pack at the place that *text* names."""
    origin = parse_origin(str(text))
    assert origin is not None
    return fetcher.fetch(origin)


def files(pack: ClassicBuildpack) -> dict[str, bytes]:
    """Return the files of the fetched *pack* by relative path."""
    root = pack.directory
    assert root is not None
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def version_of(tree: Path | None) -> str:
    """Return the commit or digest that *tree* is kept under, behind what stands for its place."""
    assert tree is not None
    return re.sub(r"^[0-9a-f]{16}-", "", tree.name)


def listing(cache: Path) -> list[str]:
    """Return the commits and digests in *cache*."""
    return sorted(map(version_of, cache.iterdir())) if cache.exists() else []


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetcher(cache: Path) -> Fetcher:
    """Return a fetcher that knows no proxy and has nothing yet."""
    return Fetcher({}, cache)


# -- a real server -----------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Hand each request to the `Web` it came to."""

    server: "Web"
    body = b""

    def do_GET(self) -> None:
        """Hand the request on, with its body."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.answer(self)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer; underscores in the names of *headers* are hyphens."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def gone(self) -> bool:
        """Wait until the client has hung up, or the server is about to end; return whether the client has."""
        self.connection.settimeout(0.05)
        while not self.server.over.is_set():
            try:
                return not self.connection.recv(1)
            except TimeoutError:
                continue
            except OSError:
                return True
        return False


Answer = Callable[[Handler], None]


class Web(ThreadingHTTPServer):
    """A server on loopback: what it answers by path, git repositories below /git/, and what it was asked."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, repositories: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories
        self.over = threading.Event()
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.credentials: list[str | None] = []
        self.required = ""
        self.watch: Answer = lambda _: None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def with_credentials(self, credentials: str) -> str:
        """Return the URL with *credentials* in it."""
        return f"http://{credentials}@127.0.0.1:{self.server_port}"

    def require(self, pair: str) -> None:
        """Answer 401 to whoever does not come with *pair* from now on."""
        self.required = "Basic " + b64encode(pair.encode()).decode()

    def on(self, path: str, *answers: Answer) -> str:
        """Answer requests for *path* by *answers* in turn, the last one for ever; return its URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def serve(self, path: str, body: bytes) -> str:
        """Answer requests for *path* with *body*; return its URL."""
        return self.on(path, lambda handler: handler.reply(200, body))

    def answer(self, handler: Handler) -> None:
        """Note what is asked for, and answer it."""
        path = urlsplit(handler.path).path
        self.asked.append(path)
        self.credentials.append(handler.headers.get("Authorization"))
        self.watch(handler)
        if self.required and handler.headers.get("Authorization") != self.required:
            handler.reply(401, WWW_Authenticate='Basic realm="packs"')
        elif path in self.answers:
            queue = self.answers[path]
            (queue.pop(0) if len(queue) > 1 else queue[0])(handler)
        elif path.startswith("/git/"):
            self.git(handler)
        else:
            handler.reply(404)

    def git(self, handler: Handler) -> None:
        """Let git itself answer, as a web server would."""
        _, _, path, query, _ = urlsplit(handler.path)
        headers = handler.headers
        env = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": str(self.repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": handler.command,
            "PATH_INFO": unquote(path.removeprefix("/git")),
            "QUERY_STRING": query,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "CONTENT_LENGTH": headers.get("Content-Length", ""),
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=handler.body, capture_output=True, check=False)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n") if line]
        fields = {name.replace("-", "_"): value for name, _, value in lines}
        handler.reply(int(fields.pop("Status", "200")[:3]), body, **fields)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hung up."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Return a server that ends with the test, with whatever it was doing."""
    yield from _serving(tmp_path)


@pytest.fixture
def other_web(tmp_path: Path) -> Iterator[Web]:
    """Return another one."""
    yield from _serving(tmp_path)


def _serving(repositories: Path) -> Iterator[Web]:
    with Web(repositories) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def nobodys_port() -> int:
    """Return a port of loopback where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# -- directories -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form", ["{}/packs/hello", "{}/packs/hello/", "{}/packs/./x/../hello", "./packs/hello", "packs/hello"]
)
def test_a_directory_is_used_where_it_is(
    tmp_path: Path, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A directory, absolute or relative, with or without a trailing slash, is a pack with the directory's name."""
    pack = shutil.copytree(HELLO, tmp_path / "packs/hello")
    (tmp_path / "packs/x").mkdir()
    monkeypatch.chdir(tmp_path)
    found = fetch(fetcher, form.format(tmp_path))

    assert (found.directory, found.name, found.source) == (pack, "hello", "directory")
    assert found.version.startswith("sha256:")
    assert listing(cache) == []


def test_the_current_directory_is_a_pack(tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """``.`` has the name of the directory it means."""
    shutil.copytree(HELLO, tmp_path / "hello")
    monkeypatch.chdir(tmp_path / "hello")

    assert fetch(fetcher, ".").name == "hello"


@pytest.mark.parametrize("what", ["nothing", "a file"])
def test_a_directory_that_is_not_there(tmp_path: Path, fetcher: Fetcher, what: str) -> None:
    """A path where no directory is is an error that says the path as it was given."""
    if what == "a file":
        (tmp_path / "pack").write_text("x")

    with pytest.raises(BuildpackFetchError, match="there is no such directory") as caught:
        fetch(fetcher, tmp_path / "pack")
    assert caught.value.buildpack == str(tmp_path / "pack")


@pytest.mark.parametrize("script", ["detect", "compile"])
@pytest.mark.parametrize("kind", ["directory", "git", "archive"])
def test_what_lacks_a_script_is_no_buildpack(tmp_path: Path, fetcher: Fetcher, kind: str, script: str) -> None:
    """A pack needs bin/detect and bin/compile, wherever it comes from."""
    pack = shutil.copytree(HELLO, tmp_path / "pack")
    (pack / "bin" / script).unlink()
    text = str(pack)
    if kind == "git":
        _git("init", "-q", "-b", "main", pack)
        _commit(pack, "m")
        text += "#main"
    elif kind == "archive":
        text = str(_tarball(tmp_path / "pack.tgz", pack))

    with pytest.raises(InvalidBuildpackError, match=f"it has no bin/{script}"):
        fetch(fetcher, text)


@pytest.mark.parametrize("text", ["{}/closed/hello", "{}/hello", "{}/packs/hello.tgz"])
def test_what_may_not_be_read_is_an_error_of_the_pack(text: str) -> None:
    """A directory or file that this user may not read cannot be had, which the error says of the pack."""
    home = Path(tempfile.mkdtemp(prefix="slugkit-test-"))
    home.chmod(0o777)
    shutil.copytree(HELLO, home / "closed/hello")
    shutil.copytree(HELLO, home / "hello")
    (home / "packs").mkdir()
    _tarball(home / "packs/hello.tgz", HELLO)
    (home / "hello/bin/release").chmod(0)
    (home / "packs/hello.tgz").chmod(0)
    (home / "closed").chmod(0)
    try:
        with as_nobody(), pytest.raises(BuildpackFetchError, match="Permission denied"):
            fetch(Fetcher({}, home / "cache"), text.format(home))
    finally:
        (home / "closed").chmod(0o755)
        shutil.rmtree(home)


def test_a_directory_s_version_is_what_is_in_it(tmp_path: Path, fetcher: Fetcher) -> None:
    """The same files anywhere are the same version, ``.git`` and times aside; another byte or mode is another."""
    one = shutil.copytree(HELLO, tmp_path / "one/hello")
    two = shutil.copytree(HELLO, tmp_path / "two/deeper/hello")
    (two / ".git").mkdir()
    (two / ".git/HEAD").write_text("x")
    os.utime(two / "bin/detect", (1, 1))
    same = fetch(fetcher, two).version
    (two / "bin/detect").chmod(0o644)
    mode = fetch(fetcher, two).version
    (two / "bin/detect").chmod(0o755)
    (two / "extra").write_text("x")

    assert fetch(fetcher, one).version == same
    assert len({same, mode, fetch(fetcher, two).version}) == 3


# -- git ---------------------------------------------------------------------------------------------------------


def _git(*arguments: str | Path, cwd: Path | None = None) -> str:
    """Run git as the test's author would, with nothing of the host's configuration."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    config = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "protocol.file.allow=always"]
    command = ["git", *config, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True).stdout.decode().strip()


def _commit(repository: Path, message: str) -> str:
    _git("add", "-A", cwd=repository)
    _git("commit", "-q", "--no-verify", "--allow-empty", "-m", message, cwd=repository)
    return _git("rev-parse", "HEAD", cwd=repository)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pristine") / "pack"
    shutil.copytree(HELLO, path)
    _git("init", "-q", "-b", "main", path)
    (path / "edition").write_text("old\n")
    _commit(path, "old")
    _git("tag", "v1", cwd=path)
    _git("tag", "-a", "-m", "annotated", "v1-annotated", cwd=path)
    _git("branch", "feature/old", cwd=path)
    (path / "edition").write_text("new\n")
    _commit(path, "new")
    return path


@pytest.fixture
def repository(pristine: Path, tmp_path: Path) -> Path:
    """Return a pack whose branch main is one commit ahead of two tags and of the branch feature/old."""
    return Path(shutil.copytree(pristine, tmp_path / "pack", symlinks=True))


@pytest.fixture(params=["path", "file", "http"])
def place(request: pytest.FixtureRequest, repository: Path) -> str:
    """Return how the repository is named: by its path, by a file URL, by HTTP."""
    if request.param == "path":
        return str(repository)
    if request.param == "file":
        return f"file://{repository}"
    web: Web = request.getfixturevalue("web")
    return f"{web.url}/git/pack/.git"


def sha(repository: Path, ref: str) -> str:
    return _git("rev-parse", f"{ref}^{{commit}}", cwd=repository)


@pytest.mark.parametrize(
    ("ref", "edition"),
    [
        ("main", b"new\n"),
        ("feature/old", b"old\n"),
        ("v1", b"old\n"),
        ("v1-annotated", b"old\n"),
        ("refs/heads/feature/old", b"old\n"),
        ("tags/v1", b"old\n"),
        ("HEAD", b"new\n"),
    ],
)
def test_a_ref_is_fetched(
    repository: Path, place: str, fetcher: Fetcher, cache: Path, ref: str, edition: bytes
) -> None:
    """A branch or a tag, annotated or not, gives the files of its commit, which is the pack's version."""
    pack = fetch(fetcher, f"{place}#{ref}")

    assert files(pack)["edition"] == edition
    assert pack.version == sha(repository, ref)
    assert pack.directory is not None
    assert (pack.directory.parent, version_of(pack.directory)) == (cache, pack.version)
    assert listing(cache) == [pack.version]
    assert os.access(pack.directory / "bin/compile", os.X_OK)
    assert not (pack.directory / ".git").exists()


@pytest.mark.parametrize("length", [40, 12, 7])
def test_a_commit_is_fetched(repository: Path, place: str, fetcher: Fetcher, length: int) -> None:
    """A commit is a ref, whole or abbreviated."""
    commit = sha(repository, "v1")
    pack = fetch(fetcher, f"{place}#{commit[:length]}")

    assert (pack.version, files(pack)["edition"]) == (commit, b"old\n")


@pytest.mark.parametrize("kind", ["file", "http"])
def test_without_a_ref_it_is_the_default_branch(repository: Path, web: Web, fetcher: Fetcher, kind: str) -> None:
    """Without ``#ref`` the repository's HEAD is meant, whatever that branch is called."""
    _git("checkout", "-q", "feature/old", cwd=repository)
    _git("branch", "master", "main", cwd=repository)
    place = f"file://{repository}" if kind == "file" else f"{web.url}/git/pack/.git"

    assert files(fetch(fetcher, place))["edition"] == b"old\n"


def test_head_is_the_servers_head(repository: Path, fetcher: Fetcher) -> None:
    """``#HEAD`` is what the repository calls so, not a branch that happens to be called master."""
    _git("branch", "master", "v1", cwd=repository)

    assert files(fetch(fetcher, f"{repository}#HEAD"))["edition"] == b"new\n"


def test_a_branch_goes_before_a_tag(repository: Path, fetcher: Fetcher) -> None:
    """When a branch and a tag have the same name the branch is meant, as for ``git clone --branch``."""
    _git("tag", "main", "v1", cwd=repository)

    assert files(fetch(fetcher, f"{repository}#main"))["edition"] == b"new\n"


def test_a_relative_repository(repository: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository may be named relative to the current directory."""
    monkeypatch.chdir(repository.parent)

    for text in ("pack#v1", "./pack#v1", "pack/#v1"):
        assert files(fetch(fetcher, text))["edition"] == b"old\n"


@pytest.mark.parametrize(
    "ref", ["missing", "0123456", "0" * 40, "v1^{tree}", "main:bin", "--upload-pack=touch canary", "-"]
)
def test_an_unknown_ref(place: str, fetcher: Fetcher, cache: Path, tmp_path: Path, ref: str) -> None:
    """A ref that names no commit is an error that names it, and leaves nothing in the cache."""
    with pytest.raises(BuildpackFetchError) as caught:
        fetch(fetcher, f"{place}#{ref}")

    assert caught.value.reason == f"it has no branch, tag or commit {ref!r}"
    assert listing(cache) == []
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", ["path", "file", "http", "empty"])
def test_what_is_no_repository(tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path, kind: str) -> None:
    """A place without a repository, or one without a commit, is an error that names the place."""
    (tmp_path / "plain").mkdir()
    text = {
        "path": f"{tmp_path}/plain#main",
        "file": f"file://{tmp_path}/plain",
        "http": f"{web.url}/git/plain",
        "empty": f"file://{tmp_path}/empty",
    }[kind]
    _git("init", "-q", tmp_path / "empty")

    with pytest.raises(BuildpackFetchError) as caught:
        fetch(fetcher, text)
    assert caught.value.buildpack == text
    assert caught.value.reason != "and the repository exists."  # git's last words, and of no use
    assert "None" not in caught.value.reason
    assert listing(cache) == []


@pytest.mark.parametrize("path", ["/pack.git#main", "/pack.git", "/pack.tgz"])
def test_a_server_that_is_down(fetcher: Fetcher, cache: Path, path: str) -> None:
    """A server that nobody runs is an error of the fetch, for repositories and archives."""
    with pytest.raises(BuildpackFetchError, match=r"[Rr]efused|[Cc]onnect"):
        fetch(fetcher, f"http://127.0.0.1:{nobodys_port()}{path}")
    assert listing(cache) == []


def _archive_of(web: Web, tmp_path: Path) -> str:
    return web.serve("/pack.tgz", _tarball(tmp_path / "served.tgz", HELLO).read_bytes()).removeprefix(web.url)


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_without_credentials_a_private_pack_is_refused(
    repository: Path, web: Web, fetcher: Fetcher, tmp_path: Path, kind: str
) -> None:
    """A server that asks for a password gets none from this machine, and nobody is prompted."""
    path = f"/git/{repository.name}/.git" if kind == "git" else _archive_of(web, tmp_path)
    web.require(f"me:{SECRET}")

    for url in (web.url + path, web.with_credentials("me:wrong-one") + path):
        with pytest.raises(BuildpackFetchError) as caught:
            fetch(fetcher, url)
        assert "wrong-one" not in str(caught.value)
    if kind == "archive":
        assert len(web.asked) == 2  # 401 is not worth another try


@pytest.mark.parametrize("userinfo", [f"me:{SECRET}", f"{SECRET}", f"me:{SECRET}%40%3A"])
@pytest.mark.parametrize("kind", ["git", "git#main", "git#0123456", "archive"])
def test_credentials_reach_the_server_and_nobody_else(
    repository: Path, web: Web, fetcher: Fetcher, cache: Path, tmp_path: Path, kind: str, userinfo: str
) -> None:
    """With credentials in its URL a private pack is fetched; no command line, file or error shows them meanwhile."""
    user, colon, password = userinfo.replace("%40%3A", "@:").partition(":")
    seen: list[object] = []

    def look(_: Handler) -> None:
        seen.extend(pids_with(SECRET))
        held = [path for path in cache.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        seen.extend(held)

    web.watch = look
    path = _archive_of(web, tmp_path) if kind == "archive" else f"/git/{repository.name}/.git{kind[3:]}"
    web.require(f"{user}{colon or ':'}{password}")
    url = web.with_credentials(userinfo) + path
    shown = ""
    if kind == "git#0123456":
        with pytest.raises(BuildpackFetchError) as caught:
            fetch(fetcher, url)
        shown = f"{caught.value!r} {caught.value} {caught.value.hint}"
        assert "0123456" in caught.value.reason
    else:
        pack = fetch(fetcher, url)
        shown = repr(pack)
        assert "bin/compile" in files(pack)

    assert SECRET not in shown
    assert seen == []
    assert web.required in web.credentials


def test_a_bare_token_is_sent_as_user(repository: Path, web: Web, fetcher: Fetcher) -> None:
    """``https://TOKEN@host/``, as code hosts give it out, is a user with an empty password."""
    web.require(f"{SECRET}:")

    assert fetch(fetcher, f"{web.with_credentials(SECRET)}/git/{repository.name}/.git").version


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_credentials_do_not_follow_a_redirect(
    repository: Path, web: Web, other_web: Web, fetcher: Fetcher, tmp_path: Path, kind: str
) -> None:
    """A server that sends us to another one does not make us tell that one the first one's password."""
    path = f"/git/{repository.name}/.git" if kind == "git" else _archive_of(other_web, tmp_path)
    target = other_web.url + path.removesuffix(".git")

    def redirect(handler: Handler) -> None:
        handler.reply(302, Location=other_web.url + handler.path)

    for suffix in ("", "/info/refs", "/git-upload-pack"):
        web.on(path + suffix, redirect)
    try:
        fetch(fetcher, web.with_credentials(f"me:{SECRET}") + path)
    except BuildpackFetchError:
        assert kind == "git", target  # not to follow is as good
    assert set(other_web.credentials) <= {None}
    assert any(web.credentials)


@pytest.mark.parametrize("path", ["/none", "/git/none", "/missing.tgz", "/none.tgz", "/none.tgz?a=b "])
def test_a_token_in_a_query_is_in_no_error(web: Web, fetcher: Fetcher, path: str) -> None:
    """What is left out of a URL that people see does not come back through git's or HTTP's own words."""
    web.serve("/none.tgz", b"no tarball")

    with pytest.raises(BuildpackFetchError) as caught:
        fetch(fetcher, f"{web.url}{path}{'&' if '?' in path else '?'}token={SECRET}")
    assert SECRET not in str(caught.value)


def test_a_commit_is_fetched_once(repository: Path, web: Web, fetcher: Fetcher) -> None:
    """A full commit id that is in the cache needs no server; a branch is asked for, and then not transferred again."""
    place = f"{web.url}/git/pack/.git"
    commit = sha(repository, "main")
    first = fetch(fetcher, f"{place}#{commit}")
    asked = len(web.asked)
    web.required = "nobody"
    assert fetch(fetcher, f"{place}#{commit}") == first
    assert len(web.asked) == asked

    web.required = ""
    bodies: list[bytes] = []
    web.watch = lambda handler: bodies.append(gunzipped(handler))
    assert fetch(fetcher, f"{place}#main").version == commit
    assert bodies
    assert not any(b"want " in body for body in bodies)


def gunzipped(handler: Handler) -> bytes:
    """Return the body of a request as git meant it."""
    return gzip.decompress(handler.body) if handler.headers.get("Content-Encoding") == "gzip" else handler.body


def test_a_branch_that_moved_is_noticed(repository: Path, place: str, fetcher: Fetcher, cache: Path) -> None:
    """A branch is what it is today, a moved tag too; what was fetched before stays for who asks for that commit."""
    before = fetch(fetcher, f"{place}#main")
    (repository / "edition").write_text("newest\n")
    _commit(repository, "newest")
    after = fetch(fetcher, f"{place}#main")

    assert (files(before)["edition"], files(after)["edition"]) == (b"new\n", b"newest\n")
    assert listing(cache) == sorted([before.version, after.version])


def test_nothing_of_a_repository_is_run(repository: Path, place: str, fetcher: Fetcher, tmp_path: Path) -> None:
    """Hooks, filters, monitors, transports and lazy fetches that a repository configures stay words."""
    canary = tmp_path / "canary"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    evil.chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (repository / ".gitconfig").write_text(f"[core]\n\tfsmonitor = {evil}\n")
    commit = _commit(repository, "evil")
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"):
        shutil.copy(evil, repository / ".git/hooks" / name)
    for key in (
        *("core.fsmonitor", "core.sshCommand", "core.gitProxy", "core.pager", "core.askPass", "core.editor"),
        *("filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "credential.helper", "diff.external"),
        *("uploadpack.packObjectsHook", "core.alternateRefsCommand", "gpg.program", "remote.origin.uploadpack"),
    ):
        _git("config", key, str(evil), cwd=repository)
    _git("config", "remote.origin.url", str(repository), cwd=repository)
    _git("config", "remote.origin.promisor", "true", cwd=repository)
    pack = fetch(fetcher, f"{place}#main")

    assert (pack.version, files(pack)["edition"]) == (commit, b"new\n")
    assert not canary.exists()


def test_filters_in_a_fetched_tree_are_not_applied(repository: Path, fetcher: Fetcher) -> None:
    """A pack that says LFS of its files, on a machine with or without it, is fetched as it is committed."""
    (repository / ".gitattributes").write_text("edition filter=lfs diff=lfs merge=lfs -text\n")
    commit = _commit(repository, "attributes")
    pack = fetch(fetcher, f"{repository}#main")

    assert (pack.version, files(pack)["edition"]) == (commit, b"new\n")


def test_submodules_are_left_out(repository: Path, place: str, fetcher: Fetcher, tmp_path: Path) -> None:
    """A submodule of a pack is an empty directory: nothing else is fetched than what was asked for."""
    _git("clone", "-q", repository, tmp_path / "inner")
    _git("submodule", "add", "-q", tmp_path / "inner", "sub", cwd=repository)
    _commit(repository, "submodule")
    pack = fetch(fetcher, f"{place}#main")

    assert files(pack).keys() >= {".gitmodules", "bin/detect"}
    assert not any(name.startswith("sub/") for name in files(pack))


def test_links_of_a_repository_stay_links(repository: Path, fetcher: Fetcher, tmp_path: Path) -> None:
    """A link in a pack is fetched as a link, and nothing is written through it."""
    (tmp_path / "elsewhere").mkdir()
    (repository / "out").symlink_to(tmp_path / "elsewhere")
    _commit(repository, "link")
    pack = fetch(fetcher, f"{repository}#main")
    assert pack.directory is not None

    assert (pack.directory / "out").readlink() == tmp_path / "elsewhere"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_static_server_is_as_good(repository: Path, web: Web, fetcher: Fetcher) -> None:
    """A repository that a web server without git hands out file by file, after update-server-info, is fetched."""
    bare = repository.parent / "bare.git"
    _git("clone", "-q", "--bare", repository, bare)
    _git("update-server-info", cwd=bare)
    for path in bare.rglob("*"):
        if path.is_file():
            web.serve(f"/static/{path.relative_to(bare)}", path.read_bytes())

    assert files(fetch(fetcher, f"{web.url}/static#v1"))["edition"] == b"old\n"


def test_http_may_lead_to_https(web: Web, fetcher: Fetcher) -> None:
    """A repository whose server redirects http to https, as code hosts do, is asked for by https."""
    with socket.create_server(("127.0.0.1", 0)) as secure:
        secure.settimeout(20)
        target = f"https://127.0.0.1:{secure.getsockname()[1]}/pack/info/refs?service=git-upload-pack"
        web.on("/pack/info/refs", lambda handler: handler.reply(301, Location=target))
        with ThreadPoolExecutor() as pool:
            greeting = pool.submit(_greeting, secure)
            with pytest.raises(BuildpackFetchError):
                fetch(fetcher, f"{web.url}/pack")
            with socket.socket() as last:  # so that nobody waits for a greeting that does not come
                last.connect(secure.getsockname())
            assert greeting.result()[:1] == b"\x16"  # a TLS handshake


def _greeting(secure: socket.socket) -> bytes:
    connection, _ = secure.accept()
    with connection:
        connection.settimeout(20)
        return connection.recv(1)


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_proxies_of_the_host_are_used(repository: Path, web: Web, cache: Path, tmp_path: Path, kind: str) -> None:
    """Where the host says that http goes by a proxy, packs are asked for there; no_proxy excepts a host."""
    path = f"/git/{repository.name}/.git" if kind == "git" else _archive_of(web, tmp_path)
    for number, env in enumerate([{"http_proxy": web.url}, {"http_proxy": web.url, "no_proxy": "pack.invalid"}]):
        own = Fetcher(env, cache / str(number))
        if number == 0:
            assert "bin/compile" in files(fetch(own, f"http://pack.invalid{path}"))
        else:
            asked = len(web.asked)
            with pytest.raises(BuildpackFetchError):
                fetch(own, f"http://pack.invalid{path}")
            assert len(web.asked) == asked


@pytest.mark.parametrize("at", ["refs", "objects"])
def test_git_that_stalls_is_ended(
    repository: Path, web: Web, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A git server that goes silent costs the time limit, not for ever, and no git is left running."""
    monkeypatch.setattr(_fetch, "_TIMEOUT", 1.5)
    fetcher = Fetcher(fetcher.env, fetcher.cache)
    hung_up: list[bool] = []

    def stall(handler: Handler) -> None:
        if at == "refs" or b"want " in gunzipped(handler):
            hung_up.append(handler.gone())

    web.watch = stall
    with pytest.raises(BuildpackFetchError, match=r"it took longer than 1\.5 seconds"):
        fetch(fetcher, f"{web.url}/git/{repository.name}/.git#main")

    assert pids_with(str(cache)) == []
    assert listing(cache) == []
    web.over.set()
    _until(lambda: bool(hung_up))
    assert hung_up == [True]


def _until(condition: Callable[[], bool]) -> None:
    """Wait until *condition* holds; the test's time limit is the limit."""
    while not condition():
        time.sleep(0.01)


# -- archives ----------------------------------------------------------------------------------------------------


def _tarball(path: Path, pack: Path, top: str = "", extra: Callable[[tarfile.TarFile], None] = lambda _: None) -> Path:
    """Write what is in the directory *pack* to the tarball *path*, below *top*."""
    with tarfile.open(path, "w:gz") as archive:
        for child in sorted(pack.rglob("*")):
            archive.add(child, top + str(child.relative_to(pack)), recursive=False)
        extra(archive)
    return path


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _member(name: str, **fields: Any) -> Callable[[tarfile.TarFile], None]:  # noqa: ANN401 - whatever tarfile takes
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(info, field, value)
        archive.addfile(info, io.BytesIO(bytes(info.size)))

    return add


@pytest.mark.parametrize("name", ["pack.tgz", "pack.tar.gz"])
@pytest.mark.parametrize("top", ["", "./", "pack-1.0/", "./heroku-buildpack-hello-main/"])
@pytest.mark.parametrize("form", ["{}/{}", "file://{}/{}"])
def test_an_archive_file_is_unpacked(
    tmp_path: Path, fetcher: Fetcher, cache: Path, name: str, top: str, form: str
) -> None:
    """A .tgz or .tar.gz gives its tree, less a single top-level directory; its sha256 is the pack's version."""
    path = _tarball(tmp_path / name, HELLO, top)
    pack = fetch(fetcher, form.format(tmp_path, name))

    assert files(pack) == {str(f.relative_to(HELLO)): f.read_bytes() for f in HELLO.rglob("*") if f.is_file()}
    assert (pack.version, pack.name, pack.source) == (f"sha256:{_digest(path)}", name, "archive")
    assert listing(cache) == [_digest(path)]


def test_a_single_bin_is_the_pack_s_own(tmp_path: Path, fetcher: Fetcher) -> None:
    """An archive with only ``bin/`` at the top is a pack, not a directory around one."""
    pack = tmp_path / "pack"
    shutil.copytree(HELLO / "bin", pack / "bin")

    assert set(files(fetch(fetcher, _tarball(tmp_path / "p.tgz", pack)))) == {
        "bin/compile",
        "bin/detect",
        "bin/release",
    }


@pytest.mark.parametrize("path", ["/pack.tgz", "/pack.tar.gz", "/pack.tgz?token=1&x=y"])
def test_an_archive_is_downloaded(tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path, path: str) -> None:
    """An archive URL, with or without a query, is fetched once and known by its content."""
    raw = _tarball(tmp_path / "p.tgz", HELLO).read_bytes()
    asked: list[str] = []
    web.watch = lambda handler: asked.append(handler.path)
    web.serve(path.partition("?")[0], raw)
    pack = fetch(fetcher, web.url + path)

    assert pack.version == f"sha256:{sha256(raw).hexdigest()}"
    assert (pack.name, pack.source) == (web.url + path.partition("?")[0],) * 2
    assert asked == [path]
    assert listing(cache) == [sha256(raw).hexdigest()]


def test_a_changed_archive_is_noticed(tmp_path: Path, web: Web, fetcher: Fetcher) -> None:
    """The archive behind a URL is what it is today."""
    url = web.serve("/p.tgz", _tarball(tmp_path / "1.tgz", HELLO).read_bytes())
    first = fetch(fetcher, url)
    web.serve("/p.tgz", _tarball(tmp_path / "2.tgz", HELLO, extra=_member("new")).read_bytes())

    assert "new" not in files(first)
    assert "new" in files(fetch(fetcher, url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(tmp_path: Path, web: Web, other_web: Web, fetcher: Fetcher, status: int) -> None:
    """A server may send us to another one."""
    target = other_web.serve("/elsewhere", _tarball(tmp_path / "p.tgz", HELLO).read_bytes())
    url = web.on("/p.tgz", lambda handler: handler.reply(status, Location=target))

    assert fetch(fetcher, url).source == url


@pytest.mark.parametrize(
    "target", ["file://{}/p.tgz", "ftp://127.0.0.1:1/p.tgz", "data:,x", "/p.tgz", "http://[", "//"]
)
def test_a_redirect_to_something_else_is_refused(
    tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path, target: str
) -> None:
    """No redirect leads to a file of this machine, to another protocol, in a circle or to nowhere."""
    _tarball(tmp_path / "p.tgz", HELLO)
    url = web.on("/p.tgz", lambda handler: handler.reply(302, Location=target.format(tmp_path)))

    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, url)
    assert listing(cache) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_not_asked_again(web: Web, fetcher: Fetcher, status: int) -> None:
    """A server that says that the fault is ours is believed, and what it says is told."""
    url = web.on("/p.tgz", lambda handler: handler.reply(status))

    with pytest.raises(BuildpackFetchError, match=f"HTTP {status} "):
        fetch(fetcher, url)
    assert web.asked == ["/p.tgz"]


def test_a_refusal_leaves_no_connection_open(web: Web, fetcher: Fetcher) -> None:
    """A host that builds for months does not lose a descriptor with each pack that is not there."""

    def fail() -> None:
        errors: list[BaseException] = []  # a caller that keeps what was raised, as one that reports it later does
        for _ in range(3):
            with pytest.raises(BuildpackFetchError) as raised:
                fetch(fetcher, web.url + "/missing.tgz")
            errors.append(raised.value)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fail()
        gc.collect()
    assert [str(warning.message) for warning in caught if warning.category is ResourceWarning] == []


def _hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _unavailable(handler: Handler) -> None:
    handler.reply(503)


def _cut_short(raw: bytes) -> Answer:
    return lambda handler: handler.reply(200, raw[: len(raw) // 2], Content_Length=str(len(raw)))


@pytest.mark.parametrize("fault", ["unavailable", "hang up", "cut short"])
def test_a_failure_of_the_server_is_tried_three_times(
    tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path, fault: str
) -> None:
    """What a server fails to do twice, it may do the third time; after that it is an error (contract.md 2.5)."""
    raw = _tarball(tmp_path / "p.tgz", HELLO).read_bytes()
    bad = {"unavailable": _unavailable, "hang up": _hang_up, "cut short": _cut_short(raw)}[fault]
    url = web.on("/p.tgz", bad, bad, lambda handler: handler.reply(200, raw))
    assert "bin/compile" in files(fetch(fetcher, url))
    assert len(web.asked) == 3

    url = web.on("/q.tgz", bad)
    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, url)
    assert web.asked.count("/q.tgz") == 3
    assert listing(cache) == [sha256(raw).hexdigest()]


def test_half_an_archive_is_never_used(tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path) -> None:
    """A download that always ends early is an error and leaves nothing."""
    raw = _tarball(tmp_path / "p.tgz", HELLO).read_bytes()

    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, web.on("/p.tgz", _cut_short(raw)))
    assert listing(cache) == []


def _drip(where: str, heard: list[str]) -> Answer:
    """Return an answer of one byte at a time, six seconds long; somebody who listens to the end joins *heard*."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: " + (b"\r\n\r\n" if where == "body" else b""))
        for _ in range(300):
            handler.wfile.write(b"x")
            if handler.server.over.wait(0.02):
                return
        heard.append(where)

    return answer


@pytest.mark.parametrize("where", ["body", "headers"])
def test_a_server_that_drips_is_ended(
    web: Web, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A server that sends a byte now and then costs the time limit, and not more."""
    monkeypatch.setattr(_fetch, "_TIMEOUT", 0.5)
    fetcher = Fetcher(fetcher.env, fetcher.cache)
    heard: list[str] = []
    url = web.on("/p.tgz", _drip(where, heard))

    with pytest.raises(BuildpackFetchError, match=r"it took longer than 0\.5 seconds"):
        fetch(fetcher, url)
    assert heard == []
    assert listing(cache) == []


@pytest.mark.parametrize("where", ["before the headers", "in the body"])
def test_a_server_that_is_silent_is_ended(
    web: Web, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A server that says nothing for a while is given up: the pack cannot be had."""
    monkeypatch.setattr(_download, "_SILENCE", 0.2)

    def answer(handler: Handler) -> None:
        if where == "in the body":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nx")
        handler.gone()

    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, web.on("/p.tgz", answer))
    assert listing(cache) == []


@pytest.mark.parametrize("told", [True, False])
def test_too_large_an_archive(
    web: Web,
    fetcher: Fetcher,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A download ends where it is too large, whether or not the server tells its size."""
    monkeypatch.setattr(_download, "_LARGEST", 100_000)
    whole: list[bool] = []

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(2**30))
        handler.end_headers()
        for _ in range(2**14):
            handler.wfile.write(bytes(2**16))
        whole.append(True)

    with pytest.raises(BuildpackFetchError, match="larger than 100000 bytes"):
        fetch(fetcher, web.on("/p.tgz", answer))
    assert whole == []
    assert listing(cache) == []
    assert len(web.asked) == 1


def test_a_pin_is_checked(tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path) -> None:
    """An archive with another sha256 than the pinned one is refused, and the error says which it has."""
    path = _tarball(tmp_path / "p.tgz", HELLO)
    url = web.serve("/p.tgz", path.read_bytes())
    for place in (url, str(path), f"file://{path}"):
        with pytest.raises(BuildpackFetchError, match=f"its sha256 is {_digest(path)}"):
            fetch(fetcher, f"{place}#sha256={'0' * 64}")
        assert listing(cache) == []

    for pin in (f"sha256={_digest(path)}", f"sha256:{_digest(path)}"):
        assert fetch(fetcher, f"{url}#{pin}").version == f"sha256:{_digest(path)}"


def test_a_pinned_archive_is_fetched_once(tmp_path: Path, web: Web, fetcher: Fetcher) -> None:
    """What is pinned and here needs no server."""
    path = _tarball(tmp_path / "p.tgz", HELLO)
    url = web.serve("/p.tgz", path.read_bytes()) + f"#sha256={_digest(path)}"
    first = fetch(fetcher, url)
    web.on("/p.tgz", lambda handler: handler.reply(404))

    assert fetch(fetcher, url) == first
    assert len(web.asked) == 1


@pytest.mark.parametrize("ref", ["main", "sha256=", "sha256=abc", "sha1=" + "0" * 40, "0" * 64, "sha256=" + "g" * 64])
def test_an_archive_has_no_branches(tmp_path: Path, fetcher: Fetcher, ref: str) -> None:
    """What follows ``#`` of an archive is a pin; anything else is an error, not ignored."""
    path = _tarball(tmp_path / "p.tgz", HELLO)

    with pytest.raises(BuildpackFetchError, match="sha256=<64 hex digits>"):
        fetch(fetcher, f"{path}#{ref}")


@pytest.mark.parametrize(
    "extra",
    [
        _member("../canary", size=1),
        _member("/tmp/slugkit-canary", size=1),
        _member("bin/../../canary", size=1),
        _member("out", type=tarfile.SYMTYPE, linkname="../../../canary"),
        _member("out", type=tarfile.SYMTYPE, linkname="/proc/self/environ"),
        _member("out", type=tarfile.LNKTYPE, linkname="../canary"),
        _member("out", type=tarfile.CHRTYPE),
        _member("bin/detect", size=1),
    ],
    ids=["climbs", "absolute", "climbs later", "link out", "link to proc", "hard link out", "device", "twice"],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, fetcher: Fetcher, cache: Path, extra: Callable[[tarfile.TarFile], None]
) -> None:
    """An archive that reaches out of its directory is refused whole; nothing is written anywhere."""
    path = _tarball(tmp_path / "p.tgz", HELLO, extra=extra)

    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, path)
    assert listing(cache) == []
    assert not list(tmp_path.rglob("canary"))
    assert not Path("/tmp/slugkit-canary").exists()


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", gzip.compress(b"text"), b"PK\x03\x04" + bytes(99), b"\x1f\x8b\x08"],
    ids=["nothing", "html", "text", "zip", "cut"],
)
@pytest.mark.parametrize("kind", ["file", "url"])
def test_what_is_no_tarball_is_refused(
    tmp_path: Path, web: Web, fetcher: Fetcher, cache: Path, raw: bytes, kind: str
) -> None:
    """A file or an answer that is no tarball is an error that names the place as it was given."""
    (tmp_path / "p.tgz").write_bytes(raw)
    text = web.serve("/p.tgz", raw) if kind == "url" else str(tmp_path / "p.tgz")

    with pytest.raises(BuildpackFetchError, match="no whole tarball") as caught:
        fetch(fetcher, text)
    assert caught.value.buildpack == text
    assert listing(cache) == []


def test_an_archive_that_is_not_there(tmp_path: Path, fetcher: Fetcher) -> None:
    """A file that does not exist, or is a directory, is an error."""
    (tmp_path / "d.tgz").mkdir()
    for text in (f"{tmp_path}/p.tgz", f"file://{tmp_path}/p.tgz", f"{tmp_path}/d.tgz"):
        with pytest.raises(BuildpackFetchError, match="there is no such file"):
            fetch(fetcher, text)


@pytest.mark.parametrize(
    "text",
    [
        "http://[/pack.git",
        "http://[/pack.tgz",
        "https://[::1/pack.git",
        "http://127.0.0.1:port/pack.tgz",
        "http://127.0.0.1:99999/pack.git",
        "http://127.0.0.1:{}/é.tgz",
        "http://127.0.0.1:{}/a b.tgz",
        "http://127.0.0.1:{}/a\0b.tgz",
        "http://127.0.0.1:{}/a\0b.git",
        "http://127.0.0.1:{}/pack.git#a\0b",
        "http://\uff03/pack.tgz",
        "http://a..b/pack.tgz",
        "http://.a/pack.tgz",
        "http:///pack.tgz",
        "http:///pack.git",
        "http://-x/pack.git",
        "http://127.0.0.1:{}/" + "x" * 200_000,
        "/a\0b/c",
        "./a\0b#main",
        "./a\0b.tgz",
        "./" + "x" * 300,
        "./" + "x/" * 3000,
        "./" + "x" * 300 + ".tgz",
        "./" + "x" * 300 + "#main",
        "file://" + "x" * 300 + ".tgz",
        "./\udcff",
        "./\ud800#main",
        "file://",
        "file://#main",
    ],
    ids=lambda text: repr(text[:36]),
)
def test_a_place_that_makes_no_sense_is_one_of_our_errors(fetcher: Fetcher, cache: Path, text: str) -> None:
    """Whatever is written as a place, a caller has one root of errors to catch: an app's file may hold it."""
    with pytest.raises(SlugkitError):
        find(text.replace("{}", str(nobodys_port())), "vendored", fetcher)
    assert listing(cache) == []


# -- the cache under load and under faults -----------------------------------------------------------------------


def _together(fetch_one: Callable[[int], ClassicBuildpack], count: int = 8) -> list[ClassicBuildpack]:
    """Return what *count* calls of *fetch_one* give that start at the same moment."""
    barrier = threading.Barrier(count)

    def go(number: int) -> ClassicBuildpack:
        barrier.wait()
        return fetch_one(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(go, range(count)))


@pytest.mark.parametrize("ref", ["main", "v1", ""])
def test_many_builds_fetch_the_same_repository(repository: Path, cache: Path, ref: str) -> None:
    """Builds that fetch the same commit at once all get it, and it is there once."""
    origin = f"{repository}#{ref or sha(repository, 'main')}"
    packs = _together(lambda _: fetch(Fetcher({}, cache), origin))

    assert len({(pack.directory, pack.version) for pack in packs}) == 1
    assert files(packs[0]).keys() >= {"bin/detect", "bin/compile", "edition"}
    assert listing(cache) == [packs[0].version]


def test_many_builds_fetch_archives(tmp_path: Path, cache: Path) -> None:
    """Builds that come and go in one cache never trip over each other's unfinished work."""
    paths = [_tarball(tmp_path / f"{n}.tgz", HELLO, extra=_member(f"extra{n % 4}")) for n in range(8)]
    for round_ in range(15):
        packs = _together(lambda number: fetch(Fetcher({}, cache / str(round_)), paths[number]))  # noqa: B023 - used now
        assert [f"extra{n % 4}" in files(pack) for n, pack in enumerate(packs)] == [True] * 8


def test_a_leftover_that_vanishes_is_fine(
    tmp_path: Path, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another build is done with between being seen and being looked at is no failure of this one."""
    path = _tarball(tmp_path / "p.tgz", HELLO)
    (cache / "new-12345678").mkdir(parents=True)
    stat = Path.stat

    def vanishing(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.name == "new-12345678":
            shutil.rmtree(self, ignore_errors=True)
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", vanishing)

    assert "bin/compile" in files(fetch(fetcher, path))


def test_many_builds_collect_the_same_leftover(tmp_path: Path, cache: Path) -> None:
    """Builds that start together beside what a killed one left all succeed, and it is gone."""
    path = _tarball(tmp_path / "p.tgz", HELLO)
    for round_ in range(5):
        here = cache / str(round_)
        stale = here / "new-0badcafe"
        for number in range(300):
            (stale / f"tree/{number % 20}").mkdir(parents=True, exist_ok=True)
            (stale / f"tree/{number % 20}/{number}").write_text("x")
        os.utime(stale, (time.time() - 2 * HOUR,) * 2)
        packs = _together(lambda _: fetch(Fetcher({}, here), path))  # noqa: B023 - used now

        assert len({pack.version for pack in packs}) == 1
        assert listing(here) == [_digest(path)]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("kind", ["git", "archive"])
def test_a_killed_fetch_leaves_no_half_tree(web: Web, fetcher: Fetcher, cache: Path, tmp_path: Path, kind: str) -> None:
    """A fetch killed halfway leaves a ``new-*`` directory, which is collected after an hour and not before."""
    raw = _tarball(tmp_path / "p.tgz", HELLO).read_bytes()
    halfway = threading.Event()
    release = threading.Event()

    def stall(handler: Handler) -> None:
        if kind == "git" and b"want " not in gunzipped(handler):
            return
        if kind == "archive":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw[:100])
        halfway.set()
        while not release.wait(0.02) and not web.over.is_set():
            pass

    path = "/git/pack/.git#main" if kind == "git" else "/p.tgz"
    web.serve("/p.tgz", raw)
    web.watch = stall
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    script = (
        "import sys\nfrom pathlib import Path\nfrom slugkit.buildpacks import Fetcher, parse_origin\n"
        "Fetcher({}, Path(sys.argv[1])).fetch(parse_origin(sys.argv[2]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(cache), web.url + path], env=env)
    assert halfway.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = listing(cache)
    release.set()
    web.watch = lambda _: None
    _until(lambda: pids_with(str(cache)) == [])

    assert len(left) == 1
    assert left[0].startswith("new-")
    pack = fetch(fetcher, web.url + path)
    assert "bin/compile" in files(pack)
    assert left[0] in listing(cache)

    os.utime(cache / left[0], (time.time() - HOUR - 60,) * 2)
    fetch(fetcher, _tarball(tmp_path / "another.tgz", HELLO, extra=_member("another")))
    assert left[0] not in listing(cache)
    assert len(listing(cache)) == 2


def test_a_cache_that_cannot_be_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """A cache where a file is in the way is OutputError and names the cache, not the pack."""
    (tmp_path / "cache").write_text("in the way")

    with pytest.raises(SlugkitError) as caught:
        fetch(Fetcher({}, tmp_path / "cache"), _tarball(tmp_path / "p.tgz", HELLO))
    assert caught.value.code == "output.failed"


def test_the_cache_is_the_user_s(tmp_path: Path, own_cache: Path) -> None:
    """Without a cache of its own a fetcher uses ``buildpacks`` below the user's cache directory."""
    path = _tarball(tmp_path / "p.tgz", HELLO)

    tree = fetch(Fetcher({}), path).directory
    assert tree is not None
    assert (tree.parent, version_of(tree)) == (own_cache / "buildpacks", _digest(path))


if os.geteuid() == 0:  # who alone can give files away

    def test_a_repository_of_another_user_is_refused(repository: Path, fetcher: Fetcher) -> None:
        """A repository on this machine that is somebody else's is not trusted: git says so, the error repeats it."""
        for path in [repository, *repository.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

        with pytest.raises(BuildpackFetchError, match="dubious ownership"):
            fetch(fetcher, f"{repository}#v1")


# -- what a slug records -----------------------------------------------------------------------------------------


def _built(tmp_path: Path, pack: str, output: str = "o.tgz") -> Slug:
    app = tmp_path / "app"
    app.mkdir(exist_ok=True)
    (app / "hello.txt").write_text("hello\n")
    builder = SlugBuilder(buildpacks=[pack], cache_dir=tmp_path / "build-cache", host_env=())
    return builder.build(app, tmp_path / output)


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    "kind", ["directory", "path#ref", "file://", "archive", "archive file://", "http git", "http archive"]
)
def test_a_manifest_holds_nothing_of_this_machine(repository: Path, web: Web, tmp_path: Path, kind: str) -> None:
    """A slug says which packs made it; no path of the machine and no secret is in it."""
    archive = _tarball(tmp_path / "pack.tgz", HELLO)
    commit, pin = sha(repository, "v1"), f"sha256:{_digest(archive)}"
    web.serve("/pack.tgz", archive.read_bytes())
    web.require(f"me:{SECRET}")
    private = web.with_credentials(f"me:{SECRET}")
    text, name, version, source = {
        "directory": (str(repository), "pack", "sha256:", "directory"),
        "path#ref": (f"{repository}#v1", "pack#v1", commit, "git"),
        "file://": (f"file://{repository}#v1", "pack#v1", commit, "git"),
        "archive": (str(archive), "pack.tgz", pin, "archive"),
        "archive file://": (f"file://{archive}", "pack.tgz", pin, "archive"),
        "http git": (f"{private}/git/pack/.git#v1", f"{web.url}/git/pack/.git#v1", commit, f"{web.url}/git/pack/.git"),
        "http archive": (f"{private}/pack.tgz?token={SECRET}", *(f"{web.url}/pack.tgz", pin, f"{web.url}/pack.tgz")),
    }[kind]
    slug = _built(tmp_path, text)
    (record,) = slug.manifest.buildpacks
    told = encode_manifest(slug.manifest).decode()

    assert (record.name, record.source, record.detected) == (name, source, "Hello")
    assert record.version.startswith(version)
    assert str(tmp_path) not in told
    assert SECRET not in told


@pytest.mark.usefixtures("sandboxed")
def test_the_same_pack_from_two_directories_makes_the_same_slug(tmp_path: Path) -> None:
    """Where a pack lies does not reach the slug: same version, same bytes."""
    one, two = (shutil.copytree(HELLO, tmp_path / where / "hello") for where in ("one", "two/deeper"))
    first, second = _built(tmp_path, str(one)), _built(tmp_path, str(two), "p.tgz")

    assert first.manifest.buildpacks == second.manifest.buildpacks
    assert first.diff_id == second.diff_id


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("kind", ["directory", "git", "archive"])
def test_scripts_without_run_bits_are_run(tmp_path: Path, kind: str) -> None:
    """A pack whose scripts are not executable, as 13 of 79 real ones, works; where it lies it stays as it is."""
    pack = shutil.copytree(HELLO, tmp_path / "pack")
    for script in (pack / "bin").iterdir():
        script.chmod(0o644)
    text = str(pack)
    if kind == "git":
        _git("init", "-q", "-b", "main", pack)
        _commit(pack, "m")
        text += "#main"
    elif kind == "archive":
        text = str(_tarball(tmp_path / "pack.tgz", pack))

    assert _built(tmp_path, text).manifest.process_types.keys() == {"greet", "web"}
    assert (pack / "bin/detect").stat().st_mode & 0o111 == 0


# -- what a server or an app must not get by asking ---------------------------------------------------------------


def test_a_full_commit_is_never_a_name(repository: Path, fetcher: Fetcher) -> None:
    """A server whose branch is called like the commit that was pinned does not get its own code run."""
    good, evil = sha(repository, "v1"), sha(repository, "main")
    assert good != evil
    _git("-C", repository, "update-ref", f"refs/heads/{good}", evil)

    assert fetch(fetcher, f"{repository}#{good}").version == good


def test_a_tree_is_of_its_place_alone(repository: Path, fetcher: Fetcher, tmp_path: Path) -> None:
    """Who knows a commit's number has not fetched it: a cached tree of another place is not handed out."""
    commit = sha(repository, "v1")
    fetch(fetcher, f"{repository}#{commit}")

    with pytest.raises(BuildpackFetchError):
        fetch(fetcher, f"{tmp_path}/elsewhere.git#{commit}")


@pytest.mark.parametrize(
    "key", ["/etc", "../x", "0" * 40, "a" * 16 + "-" + "b" * 39, "a" * 16 + "-" + "b" * 40 + "/.."]
)
def test_a_key_is_no_path(tmp_path: Path, key: str) -> None:
    """What stands for a fetched tree is digits, whatever a server answers."""
    with pytest.raises(ValueError, match="no key"):
        Trees(tmp_path).path(key)


def test_a_tree_of_too_many_files_is_refused(
    repository: Path, fetcher: Fetcher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small repository can stand for a million files: it is refused before they are written."""
    monkeypatch.setattr(_repository, "_MOST_FILES", 2)
    with pytest.raises(BuildpackFetchError, match="more than 2 files"):
        fetch(fetcher, f"{repository}#v1")

    assert listing(cache) == []
