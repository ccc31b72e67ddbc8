"""Importing slugkit: fast, silent, complete, and possible without what only some of it needs."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import structlog

import slugkit
from slugkit import _log
from slugkit.archive import Slug
from slugkit.testing import make_slug

HEAVY = ("virtualenv", "piptools", "click", "rich", "asyncio", "structlog", "yaml")
OPTIONAL = ("click", "rich", "yaml", "structlog", "isal", "virtualenv", "piptools", "packaging", "python_discovery")
FILES: dict[str, str | bytes] = {
    "Procfile": "web: run\n",
    "data.bin": bytes(range(256)) * 2000,
    "a/b.txt": "text\n" * 1000,
}


def fresh(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run *code* in an interpreter of its own."""
    argv = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def answer(code: str, *arguments: object) -> str:
    """Return what *code* prints in an interpreter of its own, which must be all it says."""
    done = fresh(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def blocked(code: str) -> str:
    """Return *code* with the optional packages made unimportable before it."""
    return f"import sys\nfor name in {OPTIONAL!r}: sys.modules[name] = None\n{code}"


def test_import_says_nothing() -> None:
    """Importing slugkit prints nothing, not even with warnings on."""
    argv = [sys.executable, "-W", "error", "-X", "dev", "-c", "import slugkit"]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_import_loads_nothing_heavy() -> None:
    """Neither the command line's packages nor the buildpacks' nor asyncio come with the import."""
    code = f"import sys, slugkit; print([name for name in {HEAVY!r} if name in sys.modules])"

    assert answer(code) == "[]\n"


def test_the_library_loads_nothing_of_the_command_line() -> None:
    """Building and running slugs needs no click, no rich, no asyncio; they are the command's."""
    code = f"import sys; from slugkit import *; print([name for name in {HEAVY!r} if name in sys.modules])"

    assert answer(code) == "[]\n"


def test_a_runner_without_a_network_drain_loads_no_network() -> None:
    """TLS and HTTP come with the drains that use them, not with every runner."""
    code = "import sys, slugkit; slugkit.DynoRunner, slugkit.FileDrain; print({'ssl', 'http.client'} & {*sys.modules})"

    assert answer(code) == "set()\n"


def test_import_starts_and_changes_nothing() -> None:
    """No thread, no child, no descriptor, no signal handler, no umask, no working directory, no environment."""
    code = """
import os, signal, sys, threading
def world():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = os.umask(0)
    os.umask(mask)
    return (handlers, threading.active_count(), mask, os.getcwd(), dict(os.environ),
            sorted(os.listdir("/proc/self/fd")), os.listdir("/proc/self/task"), sys.excepthook)
before = world()
import slugkit
from slugkit import *
print(world() == before, open(f"/proc/self/task/{os.getpid()}/children").read())
"""
    assert answer(code) == "True \n"


def test_every_public_name_is_there() -> None:
    """Each name of __all__ can be used, dir() lists it, and none is listed twice."""
    for name in slugkit.__all__:
        assert getattr(slugkit, name) is not None, name
    assert set(slugkit.__all__) <= set(dir(slugkit))
    assert len(set(slugkit.__all__)) == len(slugkit.__all__)
    assert dir(slugkit) == sorted(dir(slugkit))


def test_dir_lists_names_before_they_are_used() -> None:
    """A person who explores a fresh import sees every public name."""
    code = "import slugkit; listed = dir(slugkit); print(set(slugkit.__all__) - set(listed))"

    assert answer(code) == "set()\n"


def test_star_import_binds_all() -> None:
    """From slugkit import * binds exactly the public names."""
    code = "import slugkit; names = {}; exec('from slugkit import *', names); print(set(slugkit.__all__) - set(names))"

    assert answer(code) == "set()\n"


def test_unknown_names_are_attribute_errors() -> None:
    """A name that slugkit has not is an AttributeError that says so, and an ImportError in an import."""
    with pytest.raises(AttributeError, match=r"^module 'slugkit' has no attribute 'SlugBilder'$"):
        getattr(slugkit, "SlugBilder")  # noqa: B009 - a type checker would refuse it
    with pytest.raises(ImportError, match="SlugBilder"):
        exec("from slugkit import SlugBilder")
    assert not hasattr(slugkit, "__wrapped__")


def declared() -> Iterator[tuple[str, str]]:
    """Yield (home, name) of what the facade imports where only type checkers look."""
    tree = ast.parse(inspect.getsource(slugkit))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.level == 1
        yield from ((node.module or "", alias.asname or alias.name) for alias in node.names)


def test_type_checkers_see_what_is_there() -> None:
    """The names a type checker finds in the facade come from the homes they are loaded from, and are all of them."""
    seen = set(declared())
    homes = {(home, name) for home, names in slugkit._HOMES.items() for name in names}
    modules = {("", name) for name in ("errors", "events", "xray")}

    assert seen == homes | modules
    assert {name for _, name in seen} | {"__version__"} == set(slugkit.__all__)


def test_names_are_what_their_homes_export() -> None:
    """The facade hands on the very objects of the modules behind it, which list them as theirs."""
    for home, names in slugkit._HOMES.items():
        module = import_module(f"slugkit.{home}")
        for name in names:
            assert getattr(slugkit, name) is getattr(module, name), name
            assert name in getattr(module, "__all__", names), name
    assert slugkit.errors is import_module("slugkit.errors")
    assert slugkit.events is import_module("slugkit.events")
    assert slugkit.xray is import_module("slugkit.xray")


@pytest.mark.usefixtures("sandboxed")
def test_the_library_works_without_optional_packages(tmp_path: Path) -> None:
    """Without click, rich, yaml, structlog, isal and virtualenv: build, open, verify, unpack and run a slug."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "Procfile").write_text("web: run\nsay: echo hello from $HOME\n")
    code = blocked("""
from pathlib import Path
import slugkit
here = Path(sys.argv[1])
slugkit.SlugBuilder(cache_dir=here / "cache").build(here / "app", here / "app.slug.tgz")
slug = slugkit.Slug.open(here / "app.slug.tgz")
slug.verify()
slug.unpack(here / "out")
with slugkit.DynoRunner(store=here / "store") as runner:
    print(runner.run(slug, "say"))
""")

    assert answer(code, tmp_path) == "Completed(status=0, output='hello from /app\\n')\n"
    assert (tmp_path / "out/Procfile").read_text() == (app / "Procfile").read_text()


PACK = """
from pathlib import Path
from slugkit.archive import Slug, _gzip
from slugkit.testing import make_slug
from slugkit.archive import pack
from slugkit.slug import Manifest
slug = pack(Path(sys.argv[1]), Manifest(process_types={"web": "run"}), Path(sys.argv[2]))
other = Slug.open(sys.argv[3])
other.verify()
print(_gzip._codec.__name__, slug.diff_id, other.diff_id)
"""


def test_zlib_stands_in_for_isal(tmp_path: Path) -> None:
    """Where isal has no wheel zlib packs the same identity, and each reads what the other wrote."""
    ours = make_slug(tmp_path, FILES, web="run")
    codec, packed, read = answer(blocked(PACK), tmp_path / "tree", tmp_path / "zlib.tgz", ours.path).split()

    assert codec == "zlib"
    assert packed == read == ours.diff_id
    theirs = Slug.open(tmp_path / "zlib.tgz")
    theirs.verify()
    assert theirs.diff_id == ours.diff_id
    assert [file.path for file in theirs.files()] == [file.path for file in ours.files()]


def test_the_command_needs_its_packages_and_says_which() -> None:
    """Without click the library imports and only the command fails, with the name of what is missing."""
    done = fresh(blocked("import slugkit.testing, slugkit.build, slugkit.dyno\nimport slugkit.cli"))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: import of click halted")


# -- structlog -------------------------------------------------------------------------------------------------


@pytest.fixture
def clean_structlog() -> Iterator[None]:
    """Leave structlog as it was found."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("clean_structlog")
def test_diagnostics_are_silent_until_configured(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that never configured structlog hears nothing, even if something else has imported it."""
    assert not structlog.is_configured()
    _log.debug("quiet", reason="none")

    assert capsys.readouterr() == ("", "")


def test_diagnostics_do_not_import_structlog() -> None:
    """A program without structlog pays nothing for it."""
    assert answer("import sys; from slugkit import _log; _log.debug('x', a=1); print('structlog' in sys.modules)") == (
        "False\n"
    )


@pytest.mark.usefixtures("clean_structlog")
def test_diagnostics_reach_a_configured_structlog() -> None:
    """A program that configured structlog gets slugkit's diagnostics through its own processors."""
    heard: list[structlog.typing.EventDict] = []

    def keep(
        _logger: structlog.typing.WrappedLogger, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        heard.append({"method": method, **event})
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    _log.debug("callback failed", error="boom")

    assert heard == [{"method": "debug", "event": "callback failed", "error": "boom"}]
