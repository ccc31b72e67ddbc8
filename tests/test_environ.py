import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.environ import (
    BUILD_PATH,
    DYNO_PATH,
    HOST_ENV,
    check_config_vars,
    compose_env,
    for_build,
    parse_assignments,
    parse_env_file,
    pick,
    user_cache,
)
from slugkit.errors import InvalidConfigVarError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
VALUES = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
LONGEST_VALUE = 128 * 1024 - len("A=") - 1  # the kernel's limit for NAME=value with its NUL


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=4))
def test_later_layers_win(layers: list[dict[str, str]]) -> None:
    """A variable has the value of the last layer that sets it, and no layer is changed."""
    before = [dict(layer) for layer in layers]
    composed = compose_env(*layers)

    assert set(composed) == {name for layer in layers for name in layer}
    for name, value in composed.items():
        assert value == next(layer[name] for layer in reversed(layers) if name in layer)
    assert layers == before


def test_nothing_of_the_host_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment holds what its layers hold; the one this program runs in is not one of them."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")

    assert compose_env() == {}
    assert compose_env({"A": "1"}) == {"A": "1"}


@given(st.dictionaries(NAMES, VALUES))
def test_good_config_vars_pass_unchanged(config_vars: dict[str, str]) -> None:
    """Names of letters, digits and underscores with any text for a value pass, as a copy."""
    checked = check_config_vars(config_vars)

    assert checked == config_vars
    assert checked is not config_vars


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A.B", "A B", "A\n", "A=B", "\u00c4", "../x", "a/b", "A\0", "BASH_FUNC_x%%"]
)
def test_bad_names_are_refused(name: str) -> None:
    """A name that could not be a shell variable or a file of ENV_DIR is refused, and the value is not told."""
    with pytest.raises(InvalidConfigVarError) as caught:
        check_config_vars({"FINE": "x", name: "hunter2hunter2"})

    assert caught.value.name == name
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.hint}"


@pytest.mark.parametrize(
    "value", ["hunter2\0hunter2", "hunter2" * 20_000, "hunter2\ud800"], ids=["NUL", "too long", "lone surrogate"]
)
def test_bad_values_are_refused_without_telling_them(value: str) -> None:
    """A value no process could be given is refused by its variable's name: config vars are secrets."""
    with pytest.raises(InvalidConfigVarError) as caught:
        check_config_vars({"TOKEN": value})

    assert caught.value.name == "TOKEN"
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.hint}"


def test_the_longest_value_is_the_kernel_s() -> None:
    """A value one byte below what exec takes passes, the next one is refused; bytes count, not letters."""
    assert check_config_vars({"A": "x" * LONGEST_VALUE})
    assert check_config_vars({"A": "\u00e9" * (LONGEST_VALUE // 2)})
    for value in ("x" * (LONGEST_VALUE + 1), "\u00e9" * (LONGEST_VALUE // 2 + 1)):
        with pytest.raises(InvalidConfigVarError):
            check_config_vars({"A": value})


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_", "BASH_ENV", "ENV", "IFS"),
        *("GIT_DIR", "GIT_SSH_COMMAND", "PYTHONHOME", "BASH_FUNC_ls"),
    ],
)
def test_hijackers_stay_out_of_builds(name: str) -> None:
    """Config vars that would change which programs a build runs never enter its environment."""
    assert for_build({name: "x"}) == {}


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "MY_PATH", "PATHS", "OLD_PRELOAD", "ENVIRONMENT", "DIGIT_1", "RAILS_ENV", "PYTHONPATH"]
)
def test_ordinary_config_vars_enter_builds(name: str) -> None:
    """A name that merely resembles a dangerous one is an ordinary one."""
    assert for_build({name: "x"}) == {name: "x"}


def test_pick_takes_what_is_named_and_there() -> None:
    """Only the variables asked for come along, in the order asked, and an absent one is not invented."""
    picked = pick({"b": "2", "a": "1", "SECRET": "s"}, ["a", "b", "c"])

    assert list(picked.items()) == [("a", "1"), ("b", "2")]


def test_builds_learn_only_how_to_reach_registries() -> None:
    """Of the host's environment builds see TLS trust and proxies by default; no search path, no secret."""
    trust = {name for name in HOST_ENV if re.search(r"CERT|_CA_BUNDLE$|_CAINFO$", name)}
    proxies = {f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")}

    assert set(HOST_ENV) - trust == proxies | {name.upper() for name in proxies}
    assert "SSL_CERT_FILE" in trust
    assert pick({"PATH": "/evil", "HOME": "/root", "TOKEN": "t"}, HOST_ENV) == {}


def test_paths_are_heroku_s() -> None:
    """PATH at build time has the sbin directories, a dyno's is shorter (contract.md 2.4 and 4.2)."""
    assert BUILD_PATH == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert DYNO_PATH == "/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\n  \n# A=1\n  # B=2\n  C=3  \n", {"C": "3"}),
        ("A=", {"A": ""}),
        ("A=x=y=z", {"A": "x=y=z"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A='q' \"r\" # not a comment", {"A": "'q' \"r\" # not a comment"}),
        ("A=one\u2028line\fstill", {"A": "one\u2028line\fstill"}),
    ],
)
def test_env_files_are_plain_assignments(text: str, found: dict[str, str]) -> None:
    """Each line is NAME=value split at the first =; blank lines and comments are skipped, quotes are kept."""
    assert parse_env_file(text) == found


@pytest.mark.parametrize("text", ["A=1\nB", "export A=1", "=x", "A B=1", "A-B=1", "\ufeffA=1", "A=x\0"])
def test_other_lines_are_refused(text: str) -> None:
    """A line that is not an assignment to a good name is refused, not guessed at."""
    with pytest.raises(InvalidConfigVarError):
        parse_env_file(text)


@pytest.mark.parametrize("line", ["MIIEhunter2hunter2", "MIIEhunter2/hunter2=="])
def test_a_stray_line_is_not_told(line: str) -> None:
    """The second line of a value with newlines is a secret too: the error does not show it."""
    with pytest.raises(InvalidConfigVarError) as caught:
        parse_env_file(f'KEY="-----BEGIN KEY-----\n{line}\n')

    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.hint}"


@given(st.dictionaries(NAMES, VALUES))
def test_assignments_are_split_at_the_first_equals_sign(config_vars: dict[str, str]) -> None:
    """Whatever the value holds, NAME=value on a command line gives it back."""
    assert parse_assignments(f"{name}={value}" for name, value in config_vars.items()) == config_vars


def test_the_cache_is_where_the_user_says() -> None:
    """An absolute XDG_CACHE_HOME is obeyed; otherwise the cache is ~/.cache/slugkit."""
    default = Path(os.path.expanduser("~"), ".cache", "slugkit")

    assert user_cache({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me/slugkit")
    assert user_cache({}) == user_cache({"XDG_CACHE_HOME": ""}) == user_cache({"XDG_CACHE_HOME": "rel"}) == default
