"""The static buildpack: what it claims, what it runs, and its server, asked over HTTP."""

import http.client
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.buildpacks import Detection, NotDetected, StaticBuildpack
from slugkit.command import Completed
from slugkit.dyno import Dyno, DynoRunner
from slugkit.errors import BuildpackError
from slugkit.events import BuildEvent
from slugkit.testing import RecordingRunner, fake_context, write_tree
from support import lines
from test_multi_buildpack import check_golden

SITE: dict[str, str | bytes] = {
    "index.html": "<h1>home</h1>\n",
    "404.html": "<h1>not here</h1>\n",
    "style.css": "body {}\n",
    "data.bin": bytes(range(256)),
    "app.mjs": "export {}\n",
    "font.woff2": "x",
    "docs/index.html": "docs\n",
    ".env": "SECRET\n",
    ".well-known/security.txt": "Contact: us\n",
}
TOLD = {
    "node": "20.1.0",
    "abi": "115",
    "path": "/usr/bin/node",
    "prefix": "/usr",
    "headers": False,
    "npm": "10.5.0",
    "best": None,
}


def answer(argv: tuple[str | Path, ...], *, fits: bool = True) -> Completed:
    if "_ask.cjs" in {argument.name for argument in argv if isinstance(argument, Path)}:
        return Completed(0, json.dumps({**TOLD, "satisfied": {"node": fits}}))
    return Completed(3 if "restore" in argv else 0, "/usr\n")


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"index.html": ""}, Detection("Static", "index.html")),
        ({"index.html/": ""}, NotDetected("no index.html")),
        ({"public/index.html": ""}, NotDetected("no index.html")),
    ],
)
def test_detect(tmp_path: Path, files: dict[str, str | bytes], answer: Detection | NotDetected) -> None:
    """An app is static when index.html is a file in its root."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, files)

    assert StaticBuildpack().detect(context) == answer


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("other", "name"), [("package.json", "Node.js"), ("requirements.txt", "Python"), ("Procfile", "Procfile")]
)
def test_no_app_of_another_pack_is_taken(tmp_path: Path, other: str, name: str) -> None:
    """An index.html decides only where no other buildpack claims the app, Procfile-only included."""
    source = write_tree(tmp_path / "app", {"index.html": "", other: "web: x\n"})

    assert SlugBuilder(cache_dir=tmp_path / "cache").detect(source).name == name


def test_the_server_is_installed_from_its_lockfile(tmp_path: Path) -> None:
    """It installs what slugkit's own lockfile pins, runs none of its scripts, and starts as web."""
    run = RecordingRunner(answer)
    context = fake_context(tmp_path, run=run)
    write_tree(context.build_dir, {"index.html": ""})
    StaticBuildpack().compile(context)
    release = StaticBuildpack().release(context)

    assert ("npm", "ci", "--omit=dev", "--ignore-scripts") in run.calls
    assert release.process_types == {"web": "node .heroku/static/server.cjs"}


def test_an_old_node_is_refused(tmp_path: Path) -> None:
    """A Node.js that the server does not run on is an error that names both versions."""
    context = fake_context(tmp_path, run=RecordingRunner(lambda argv: answer(argv, fits=False)))
    write_tree(context.build_dir, {"index.html": ""})
    with pytest.raises(
        BuildpackError, match=r"the static pack needs Node\.js >=18, this machine has 20\.1\.0"
    ) as caught:
        StaticBuildpack().compile(context)

    assert "apt-get install nodejs npm" in caught.value.fix


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("name", [".heroku", ".heroku/static"])
def test_what_is_in_its_place_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    """A source that has something where the pack would write is refused by name."""
    context = fake_context(tmp_path, run=RecordingRunner(answer))
    write_tree(context.build_dir, {"index.html": ""})
    (context.build_dir / name).parent.mkdir(exist_ok=True)
    path = context.build_dir / name
    path.symlink_to("/tmp") if kind == "link" else path.write_text("x")
    with pytest.raises(BuildpackError, match=f"the source has its own {name}"):
        StaticBuildpack().compile(context)


# -- for real --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Slug, list[BuildEvent]]]:
    """Build the site twice, the second time with a warm cache."""
    root = tmp_path_factory.mktemp("static")
    source = write_tree(root / "app", SITE)
    made = []
    for number in range(2):
        events: list[BuildEvent] = []
        builder = SlugBuilder(cache_dir=root / "cache", on_event=events.append)
        made.append((builder.build(source, root / f"{number}.tgz"), events))
    return made


@pytest.fixture(scope="module")
def web(built: list[tuple[Slug, list[BuildEvent]]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dyno]:
    """Boot the site."""
    with DynoRunner(store=tmp_path_factory.mktemp("store")) as runner:
        dyno = runner.start(built[1][0], "web")
        dyno.wait_up()
        yield dyno


def ask(web: Dyno, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.mark.network
@pytest.mark.usefixtures("sandboxed")
def test_a_build_and_its_slug(built: list[tuple[Slug, list[BuildEvent]]]) -> None:
    """A build prints what it does; a warm one installs nothing and gives the same slug, which names its Node.js."""
    (first, cold), (second, warm) = built
    text = "".join(f"{line}\n" for event in cold for line in heroku_text(event))
    for pattern, shown in ((r"Node\.js [\d.]+", "Node.js N.N.N"), (r"in \d+m?s", "in Ns"), (r"Done: .*", "Done: 112K")):
        text = re.sub(pattern, shown, text)

    check_golden("static.txt", text)
    assert "-----> Restoring the web server from the cache" in lines(warm)
    assert not any("Installing" in line for line in lines(warm))
    assert first.diff_id == second.diff_id
    assert second.manifest.platform is not None
    assert second.manifest.platform.interpreter == os.path.realpath(shutil.which("node") or "")


@pytest.mark.network
@pytest.mark.usefixtures("sandboxed")
class TestServer:
    """What the site's web dyno answers."""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/", "text/html; charset=utf-8"),
            ("/docs/", "text/html; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/app.mjs", "text/javascript; charset=utf-8"),
            ("/font.woff2", "font/woff2"),
            ("/data.bin", "application/octet-stream"),
            ("/.well-known/security.txt", "text/plain; charset=utf-8"),
        ],
    )
    def test_files_have_their_type(self, web: Dyno, path: str, kind: str) -> None:
        """A file is served as what it is; a directory by its index.html; .well-known is the one public dot name."""
        response, body = ask(web, path)
        source = SITE[path.lstrip("/") + ("index.html" if path.endswith("/") else "")]

        assert (response.status, response.headers["Content-Type"]) == (200, kind)
        assert body == (source.encode() if isinstance(source, str) else source)

    @pytest.mark.parametrize(
        "path",
        [
            *("/nowhere", "/.env", "/%2e%65nv", "/docs/..%2f.env", "/docs/../.env", "/.heroku/static/server.cjs"),
            *("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%", "/%00", "//etc/passwd", "http://x/.env", "/.ENV/"),
        ],
    )
    def test_nothing_else_is_served(self, web: Dyno, path: str) -> None:
        """What is not there, dot files and what lies outside are all the same: 404, with the site's own page."""
        response, body = ask(web, path)

        assert (response.status, body) == (404, b"<h1>not here</h1>\n")

    def test_a_cached_file_is_validated_by_its_content(self, web: Dyno) -> None:
        """An ETag made of the content answers 304; the time, which unpacked files may share, is not told."""
        response, _ = ask(web, "/style.css")
        other, _ = ask(web, "/")
        tag = response.headers["ETag"]
        same, body = ask(web, "/style.css", If_None_Match=tag)

        assert tag.startswith('"')
        assert tag != other.headers["ETag"]
        assert (same.status, body) == (304, b"")
        assert "Last-Modified" not in response.headers
        assert response.headers["Cache-Control"] == "public, max-age=0"

    def test_ranges(self, web: Dyno) -> None:
        """A part of a file can be asked for; one that is not there is refused."""
        part, body = ask(web, "/data.bin", Range="bytes=16-19")
        beyond, _ = ask(web, "/data.bin", Range="bytes=999-")

        assert (part.status, body) == (206, bytes([16, 17, 18, 19]))
        assert beyond.status == 416

    def test_methods(self, web: Dyno) -> None:
        """HEAD has no body; what is neither GET nor HEAD is refused."""
        head, body = ask(web, "/", "HEAD")
        post, _ = ask(web, "/", "POST")

        assert (head.status, head.headers["Content-Length"], body) == (200, "14", b"")
        assert (post.status, post.headers["Allow"]) == (405, "GET, HEAD")

    def test_it_stops_at_once_and_in_peace(self, web: Dyno) -> None:
        """SIGTERM ends it with status 0, though a connection is kept alive; last, as the dyno is gone then."""
        with socket.create_connection(("127.0.0.1", web.port), timeout=20) as kept:
            kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(12) == b"HTTP/1.1 200"
            web.stop()

        assert any("Process exited with status 0" in line.message for line in web.logs())
