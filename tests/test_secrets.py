"""Values of config vars do not get into slugs unseen."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from slugkit.build import SlugBuilder, heroku_text, leaked
from slugkit.buildpacks import BuildContext, ReleaseDefaults
from slugkit.errors import SecretInSlugError
from slugkit.events import BuildEvent, ConfigVarFound
from slugkit.testing import FakeBuildpack, write_tree

TOKEN = "s3cret-t0ken"
CHUNK = 2**20
needs_sandbox = pytest.mark.usefixtures("sandboxed")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"token = 's3cret-t0ken'\n", True),
        (b"\0\xff" * 1000 + TOKEN.encode() + b"\0", True),
        (b"x" * (CHUNK - 5) + TOKEN.encode(), True),
        (b"x" * (2 * CHUNK - 1) + TOKEN.encode() + b"x" * CHUNK, True),
        (b"s3cret-t0ke", False),
        (b"", False),
    ],
)
def test_a_value_is_found_wherever_it_is_in_a_file(tmp_path: Path, content: bytes, *, found: bool) -> None:
    """Text or not, at the start, at the end or across what is read at a time: the bytes of a value are found."""
    root = write_tree(tmp_path, {"a/file": content})

    assert leaked(root, {"TOKEN": TOKEN}) == ({"TOKEN": ("a/file",)} if found else {})


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("-----BEGIN KEY-----\nabc\n-----END KEY-----\n", b"# -----BEGIN KEY-----\nabc\n-----END KEY-----\n\n"),
        ("gr\u00fc\u00dfe-geheim", "gr\u00fc\u00dfe-geheim".encode()),
        ("bytes\udcff\udcfe\udcfd", b"bytes\xff\xfe\xfd"),
        ("x" * 130_000, b"y" * (CHUNK - 65_000) + b"x" * 130_000),
    ],
    ids=("lines", "utf-8", "bytes", "long"),
)
def test_any_value_is_found(tmp_path: Path, value: str, content: bytes) -> None:
    """Values of several lines, of other than ASCII, of bytes that are no text, and the longest ones are found."""
    assert leaked(write_tree(tmp_path, {"file": content}), {"A": value}) == {"A": ("file",)}


def test_names_and_links_are_searched_too(tmp_path: Path) -> None:
    """A value in a file's name, a directory's or a link's target is found once, not for everything below."""
    root = write_tree(tmp_path, {f"dir-{TOKEN}/below/file": "", f"a/{TOKEN}.txt": ""})
    (root / "link").symlink_to(f"nowhere/{TOKEN}")

    assert leaked(root, {"TOKEN": TOKEN}) == {"TOKEN": (f"a/{TOKEN}.txt", f"dir-{TOKEN}", "link")}


def test_values_that_are_found_by_chance_are_not_looked_for(tmp_path: Path) -> None:
    """A value of less than 8 bytes is no secret; each of the others is told with its files."""
    root = write_tree(tmp_path, {"a": "true short 12345678", "b": "12345678 abcdefgh"})

    found = leaked(root, {"DEBUG": "true", "SHORT": "short", "B": "abcdefgh", "A": "12345678"})

    assert found == {"A": ("a", "b"), "B": ("b",)}


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A link out of the app is not followed."""
    outside = tmp_path / "outside"
    outside.write_text(TOKEN)
    root = write_tree(tmp_path / "app", {"file": ""})
    (root / "link").symlink_to(outside)
    (root / "directory").symlink_to(tmp_path)

    assert leaked(root, {"TOKEN": TOKEN}) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.integers(0, 3 * CHUNK), st.binary(min_size=8, max_size=40))
@example(CHUNK - 7, b"\0" * 8)
def test_no_place_in_a_file_is_missed(tmp_path_factory: pytest.TempPathFactory, place: int, value: bytes) -> None:
    """Wherever in a file a value begins, it is found."""
    root = write_tree(tmp_path_factory.mktemp("app"), {"file": b"-" * place + value + b"-" * 10})

    assert leaked(root, {"A": value.decode("utf-8", "surrogateescape")}) == {"A": ("file",)}


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """A file is read a piece at a time."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**27)
    tracemalloc.start()
    try:
        assert leaked(tmp_path, {"TOKEN": TOKEN}) == {}
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def leaking(context: BuildContext) -> None:
    for name in (".env", "b", "c", "d", "e", "f\n"):
        (context.build_dir / name).write_text(f"TOKEN={context.config_vars.get('TOKEN')}\n")


def builder(
    tmp_path: Path,
    events: list[BuildEvent],
    pack: FakeBuildpack,
    *,
    forbidden: bool = True,
    not_secret: Sequence[str] = (),
) -> SlugBuilder:
    return SlugBuilder(
        buildpacks=[pack],
        config_vars={"TOKEN": TOKEN, "OTHER": "not in there"},
        cache_dir=tmp_path / "cache",
        on_event=events.append,
        forbid_secrets=forbidden,
        not_secret=not_secret,
    )


@needs_sandbox
def test_a_build_tells_what_leaks(tmp_path: Path) -> None:
    """The slug is made, and the build's text warns with the config var's name and the files, never the value."""
    events: list[BuildEvent] = []
    app = write_tree(tmp_path / "app", {"Procfile": "web: run\n"})

    slug = builder(tmp_path, events, FakeBuildpack(on_compile=leaking), forbidden=False).build(app, tmp_path / "o.tgz")

    (found,) = (event for event in events if isinstance(event, ConfigVarFound))
    assert found == ConfigVarFound("TOKEN", (".env", "b", "c", "d", "e", "f\n"))
    assert heroku_text(found) == (
        " !     Warning: the value of config var TOKEN is in the slug: .env, b, c, d, e and 1 more",
    )
    assert slug.path.exists()
    assert TOKEN not in repr(events)


@needs_sandbox
def test_secrets_can_be_forbidden(tmp_path: Path) -> None:
    """With forbid_secrets a build that leaks fails, names the config var and files, and leaves an older slug alone."""
    events: list[BuildEvent] = []
    app = write_tree(tmp_path / "app", {"Procfile": "web: run\n"})
    (tmp_path / "o.tgz").write_bytes(b"older")

    with pytest.raises(SecretInSlugError) as caught:
        builder(tmp_path, events, FakeBuildpack(on_compile=leaking)).build(app, tmp_path / "o.tgz")

    assert (caught.value.config_vars, caught.value.paths[:2]) == (("TOKEN",), (".env", "b"))
    assert str(caught.value) == "the slug would hold the value of TOKEN, in '.env', 'b', 'c' and 3 more"
    assert (tmp_path / "o.tgz").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "cache", "o.tgz"]


@needs_sandbox
def test_what_is_no_secret_may_be_in_a_slug(tmp_path: Path) -> None:
    """A config var that is said to be no secret is neither told nor refused; every other one still is."""
    events: list[BuildEvent] = []
    app = write_tree(tmp_path / "app", {"Procfile": "web: run\n"})
    pack = FakeBuildpack(on_compile=leaking)

    builder(tmp_path, events, pack, not_secret=["TOKEN"]).build(app, tmp_path / "o.tgz")

    assert not [event for event in events if isinstance(event, ConfigVarFound)]
    for others in (["OTHER"], "A TOKEN or two"):  # a text in place of a list names nothing
        with pytest.raises(SecretInSlugError):
            builder(tmp_path, events, pack, not_secret=others).build(app, tmp_path / "o.tgz")


@needs_sandbox
def test_the_manifest_is_part_of_a_slug(tmp_path: Path) -> None:
    """A buildpack that makes a config var's value a default of the slug has leaked it as well."""
    pack = FakeBuildpack(defaults=ReleaseDefaults(config_vars={"DEFAULT": f"key={TOKEN}"}))
    app = write_tree(tmp_path / "app", {"Procfile": "web: run\n"})

    with pytest.raises(SecretInSlugError) as caught:
        builder(tmp_path, [], pack).build(app, tmp_path / "o.tgz")

    assert caught.value.paths == (".slugkit/manifest.json",)


@needs_sandbox
def test_a_build_that_leaks_nothing_says_nothing(tmp_path: Path) -> None:
    """An app that reads its config vars from the environment builds with secrets forbidden."""
    events: list[BuildEvent] = []
    app = write_tree(tmp_path / "app", {"Procfile": "web: run $TOKEN\n"})

    builder(tmp_path, events, FakeBuildpack()).build(app, tmp_path / "o.tgz")

    assert not [event for event in events if isinstance(event, ConfigVarFound)]
