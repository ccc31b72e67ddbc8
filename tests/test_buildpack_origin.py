"""What text means as the place of a buildpack, and what of it may be shown."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.buildpacks._origin import Origin, parse_origin
from slugkit.errors import SlugkitError

SHA = "0123456789abcdef0123456789abcdef01234567"
PIN = "sha256=" + "ab" * 32


def origin_of(text: str) -> Origin:
    """Return the place that *text* names; the test fails when it names none."""
    origin = parse_origin(text)
    assert origin is not None
    return origin


def visible(origin: Origin) -> str:
    """Return everything of *origin* that people, logs, manifests or process listings may see."""
    return f"{origin.shown}\n{origin.name}\n{origin.source}\n{origin.url}"


@pytest.mark.parametrize("text", ["python", "nodejs", "inline", "my-pack", "my_pack2", "Python", "", "pack.git"])
def test_a_plain_word_is_a_name(text: str) -> None:
    """Text without a slash, a leading dot, a scheme or a ``#ref`` can only be a name."""
    assert parse_origin(text) is None


@pytest.mark.parametrize("text", [".", "..", "./pack", "../pack", "packs/hello", "/opt/packs/hello", "/", "./pack/"])
def test_a_path_is_a_directory(text: str) -> None:
    """Text with a slash or a leading dot is a directory of this machine."""
    assert origin_of(text) == Origin("path", "", text, None)


@pytest.mark.parametrize(
    ("text", "scheme", "location", "ref"),
    [
        ("https://example.com/pack.git", "https", "https://example.com/pack.git", None),
        ("https://example.com/pack.git#", "https", "https://example.com/pack.git", None),
        ("https://example.com/pack.git#v2", "https", "https://example.com/pack.git", "v2"),
        ("https://example.com/pack#feature/x", "https", "https://example.com/pack", "feature/x"),
        (f"http://127.0.0.1:8080/pack.git#{SHA}", "http", "http://127.0.0.1:8080/pack.git", SHA),
        ("https://example.com/pack.git#a#b", "https", "https://example.com/pack.git", "a#b"),
        ("ssh://git@example.com:2222/pack.git#v2", "ssh", "ssh://git@example.com:2222/pack.git", "v2"),
        ("file:///srv/pack.git#v2", "file", "file:///srv/pack.git", "v2"),
        ("git@example.com:me/pack.git", "ssh", "git@example.com:me/pack.git", None),
        ("git@example.com:me/pack.git#v2", "ssh", "git@example.com:me/pack.git", "v2"),
        ("me.you-1@my-host:pack", "ssh", "me.you-1@my-host:pack", None),
        ("./pack#main", "", "./pack", "main"),
        ("/srv/pack.git#feature/x", "", "/srv/pack.git", "feature/x"),
        ("pack#main", "", "pack", "main"),
    ],
)
def test_a_git_repository_with_its_ref(text: str, scheme: str, location: str, ref: str | None) -> None:
    """A URL that is no archive, git's scp form and a path with ``#ref`` are git repositories."""
    assert origin_of(text) == Origin("git", scheme, location, ref)


@pytest.mark.parametrize(
    ("text", "scheme", "location", "ref"),
    [
        ("https://example.com/pack.tgz", "https", "https://example.com/pack.tgz", None),
        ("https://example.com/pack.tar.gz", "https", "https://example.com/pack.tar.gz", None),
        ("https://example.com/pack.tgz?a=b", "https", "https://example.com/pack.tgz?a=b", None),
        (f"https://example.com/pack.tgz?a=b#{PIN}", "https", "https://example.com/pack.tgz?a=b", PIN),
        ("file:///srv/pack.tgz", "file", "file:///srv/pack.tgz", None),
        ("./pack.tgz", "", "./pack.tgz", None),
        ("pack.tgz", "", "pack.tgz", None),
        (f"/srv/pack.tar.gz#{PIN}", "", "/srv/pack.tar.gz", PIN),
    ],
)
def test_an_archive_by_its_ending(text: str, scheme: str, location: str, ref: str | None) -> None:
    """What ends in ``.tgz`` or ``.tar.gz``, before a query, is an archive; a pin may follow it."""
    assert origin_of(text) == Origin("archive", scheme, location, ref)


@pytest.mark.parametrize(
    "text",
    ["https://example.com/pack.git?x=pack.tgz", "https://example.com/pack.tgz/", "https://example.com/a.tgz.git"],
)
def test_an_archive_is_told_by_the_end_of_the_path_only(text: str) -> None:
    """``.tgz`` in a query or in the middle of a path does not make an archive of a repository."""
    assert origin_of(text).kind == "git"


@pytest.mark.parametrize(
    "text", ["ftp://example.com/pack.tgz", "git://example.com/pack", "ext::sh://x", "://", "x://y"]
)
def test_other_schemes_are_no_places(text: str) -> None:
    """Only https, http, ssh and file URLs are places: nothing else is ever fetched."""
    assert parse_origin(text) is None


def test_git_transports_that_run_commands_are_paths() -> None:
    """``ext::sh -c ...``, which git would run, is at most a file name."""
    assert origin_of("ext::sh -c evil#main").scheme == ""
    assert origin_of("ext::sh -c ./evil") == Origin("path", "", "ext::sh -c ./evil", None)


@pytest.mark.parametrize("userinfo", ["me:hunter2", "hunter2", ":hunter2", "hunter2:", "a@b:hunter2", "me:hunter%402"])
@pytest.mark.parametrize("rest", ["@example.com/pack.git#v2", "@example.com:8080/pack.tgz?q=1#" + PIN])
def test_credentials_are_masked(userinfo: str, rest: str) -> None:
    """User and password of a URL show nowhere; the place itself still does."""
    origin = origin_of(f"https://{userinfo}{rest}")

    assert "hunter" not in visible(origin)
    assert origin.name == origin.shown == "https://" + rest.removeprefix("@").replace("?q=1", "")
    assert origin.source == origin.shown.partition("#")[0]


def test_a_password_in_an_ssh_url_is_masked() -> None:
    """Nobody sees a password in an ssh URL; the user is needed and no secret."""
    origin = origin_of("ssh://git:hunter2@example.com/pack.git#v2")

    assert "hunter2" not in visible(origin)
    assert origin.url == "ssh://git@example.com/pack.git"


def test_a_query_is_masked() -> None:
    """A query, which may hold a token, is asked for and not shown."""
    origin = origin_of("https://example.com/pack.tgz?token=hunter2")

    assert origin.url == "https://example.com/pack.tgz?token=hunter2"
    assert "hunter2" not in f"{origin.shown}\n{origin.name}\n{origin.source}"


@pytest.mark.parametrize(
    ("userinfo", "pair"),
    [
        ("me:hunter2", "me:hunter2"),
        ("me:p%40ss%3Aword", "me:p@ss:word"),
        ("me:a:b", "me:a:b"),
        ("token", "token:"),
        ("token:", "token:"),
        (":token", ":token"),
    ],
)
def test_credentials_become_basic_authentication(userinfo: str, pair: str) -> None:
    """Credentials are sent as HTTP says: decoded, user and password with a colon between, also without a password."""
    scheme, _, value = origin_of(f"https://{userinfo}@example.com/pack.git").authorization.partition(" ")

    assert (scheme, base64.b64decode(value).decode()) == ("Basic", pair)


@pytest.mark.parametrize(
    "text", ["https://example.com/pack.git", "git@example.com:pack", "ssh://git@example.com/pack", "./pack@home/x"]
)
def test_without_credentials_there_is_no_authentication(text: str) -> None:
    """A place without a user, or one that is not asked by HTTP, gets no Authorization header."""
    assert origin_of(text).authorization == ""


@pytest.mark.parametrize(
    ("text", "name", "source"),
    [
        ("https://example.com/pack.git#v2", "https://example.com/pack.git#v2", "https://example.com/pack.git"),
        ("git@example.com:me/pack.git#v2", "git@example.com:me/pack.git#v2", "git@example.com:me/pack.git"),
        ("/home/me/packs/hello#v2", "hello#v2", "git"),
        ("/home/me/packs/hello#feature/x", "hello#feature/x", "git"),
        ("/home/me/packs/hello/#v2", "hello#v2", "git"),
        ("file:///home/me/packs/hello.git#feature/x", "hello.git#feature/x", "git"),
        ("file:///home/me/packs/hello.git", "hello.git", "git"),
        ("/home/me/packs/hello.tgz", "hello.tgz", "archive"),
        ("../hello.tgz#" + PIN, "hello.tgz#" + PIN, "archive"),
        ("hello#v2", "hello#v2", "git"),
    ],
)
def test_a_place_of_this_machine_is_named_without_its_path(text: str, name: str, source: str) -> None:
    """A pack is called by its URL; one of this machine by the end of its path and its whole ref."""
    origin = origin_of(text)

    assert (origin.name, origin.source) == (name, source)


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("https://example.com/pack.git", True),
        ("http://example.com/pack.tgz", True),
        ("ssh://git@example.com/pack.git", False),
        ("git@example.com:pack.git", False),
        ("file:///srv/pack.git", False),
        ("./pack", False),
        ("./pack#main", False),
        ("pack.tgz", False),
    ],
)
def test_only_http_is_remote(text: str, remote: bool) -> None:  # noqa: FBT001 - a table's column
    """What an app may name is what anybody could ask for: nothing of this machine's files or ssh keys."""
    assert origin_of(text).is_remote is remote


places = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["https://", "http://", "ssh://", "file://", "ftp://", "git@", "@", ":", "[", "]", "h", "1", "#"]
        )
        | st.sampled_from(
            ["/", "?", "pack", ".tgz", ".tar.gz", ".git", "%", "\0", "\n", " ", "\uff03", "\\", "..", "é"]
        )
    ).map("".join),
)


@given(places)
@example("http://[")
@example("https://[::1")
@example("https://[x]y/pack.tgz")
@example("http://\uff03/")
@example("ssh://[/pack.git")
@example("https://h:99999/pack.git")
@example("#")
@example("a\0b/c")
def test_any_text_is_a_place_or_none(text: str) -> None:
    """Whatever is written where a buildpack is named either means a place that can be told, or no place.

    A caller may hear of it by an error of ours, never by anything else: an app's ``.buildpacks`` holds any text.
    """
    try:
        origin = parse_origin(text)
    except SlugkitError:
        return
    if origin is not None:
        assert isinstance(visible(origin), str)
        assert isinstance(origin.authorization, str)


@given(
    scheme=st.sampled_from(["https", "http", "ssh"]),
    user=st.sampled_from(["", "me", "me@example.com", "%40"]),
    secret=st.text(st.sampled_from("SECRET0123456789%-._~!$&'()*+,;=:@"), min_size=1).map(lambda text: f"SeCrEt{text}"),
    host=st.sampled_from(["example.com", "127.0.0.1:8080", "[::1]", "[::1]:80"]),
    rest=st.sampled_from(["/pack.git", "/pack.git#v2", "/pack.tgz", "/pack.tgz?x=1", "/a@b/pack#c@d", "", "/"]),
)
@example("https", "", "SeCrEt", "example.com", "/pack.git")
def test_credentials_never_show(scheme: str, user: str, secret: str, host: str, rest: str) -> None:
    """No password shows in what is displayed, recorded or put on a command line, whatever stands around it."""
    origin = origin_of(f"{scheme}://{user}:{secret}@{host}{rest}")

    assert "SeCrEt" not in visible(origin)
    assert host in origin.url
