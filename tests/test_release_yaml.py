"""What bin/release prints: the YAML that real packs print, and what a hostile one might."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.buildpacks import ReleaseDefaults
from slugkit.buildpacks._release import parse_release
from slugkit.errors import BuildpackError

HEADER = "default_process_types:\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "---",
        "---\n",
        "--- {}",
        "--- {}\n",
        "---{}",
        "---{}\n",
        "{}",
        "~",
        "null",
        "# nothing\n",
        "---\n...\n",
    ],
)
def test_nothing_is_parse_release(text: str) -> None:
    """Packs that have nothing to say print nothing, ``---``, ``--- {}`` or ``---{}``, and all of it is legal."""
    assert parse_release(text) == ReleaseDefaults()


@pytest.mark.parametrize(
    "text", ["hello", "--- hello", "'default_process_types'", "no process types here", "|\n  a: 1\n"]
)
def test_a_bare_word_declares_nothing(text: str) -> None:
    """Text that is one string has no keys, and declares nothing; it is told from silence."""
    assert parse_release(text) == ReleaseDefaults(unread="text, no YAML mapping")


def test_everything_a_release_may_declare() -> None:
    """Process types, config vars and add-ons are read in the order they are declared; other keys mean nothing here."""
    defaults = parse_release(
        "---\n"
        "addons:\n- heroku-postgresql:mini\n- redis\n"
        "config_vars:\n  LANG: en_US.UTF-8\n"
        "default_process_types:\n  worker: ./work\n  web: bin/serve -p $PORT\n"
        "unknown: [1, {a: b}]\n"
    )

    assert list(defaults.process_types.items()) == [("worker", "./work"), ("web", "bin/serve -p $PORT")]
    assert defaults.config_vars == {"LANG": "en_US.UTF-8"}
    assert defaults.addons == ("heroku-postgresql:mini", "redis")
    assert defaults.interpreter is None


@pytest.mark.parametrize("key", ["default_process_types", "config_vars", "addons"])
@pytest.mark.parametrize("value", ["", "~", "null"])
def test_a_key_without_a_value_declares_nothing(key: str, value: str) -> None:
    """A heading with nothing below it is as good as none."""
    assert parse_release(f"{key}: {value}\n") == ReleaseDefaults()


def test_empty_collections_declare_nothing() -> None:
    """Empty mappings and lists are as good as none."""
    assert parse_release("default_process_types: {}\nconfig_vars: {}\naddons: []\n") == ReleaseDefaults()


@pytest.mark.parametrize("value", ["", "~", "null", "Null"])
def test_a_process_type_without_a_command_is_none(value: str) -> None:
    """``web: null``, as real packs print it, declares no web."""
    assert parse_release(f"{HEADER}  web: {value}\n  worker: ./work\n").process_types == {"worker": "./work"}


@pytest.mark.parametrize(
    ("value", "command"),
    [
        ("bin/serve", "bin/serve"),
        ('"bin/serve $PORT"', "bin/serve $PORT"),
        ("'a: b'", "a: b"),
        ("yes", "true"),
        ("no", "false"),
        ("on", "true"),
        ("True", "true"),
        ("1", "1"),
        ("-7", "-7"),
        ("1.5", "1.5"),
        ("1_000", "1000"),
        ("017", "15"),
        ("0x1F", "31"),
        ("1:30", "90"),
        ('"yes"', "yes"),
        ('"017"', "017"),
        ('""', ""),
        ("|\n    a\n    b", "a\nb\n"),
        (">\n    a\n    b", "a b\n"),
        ("bin/serve # a comment", "bin/serve"),
        ("!!str 1", "1"),
        ("é ☃", "é ☃"),
    ],
)
def test_values_are_what_yaml_1_1_means_by_them(value: str, command: str) -> None:
    """A value is read as YAML 1.1, as Heroku's Ruby does: ``yes`` is true, ``017`` is octal, quotes keep text."""
    assert parse_release(f"{HEADER}  web: {value}\n").process_types == {"web": command}


def test_names_are_text_too() -> None:
    """A name that YAML takes for a boolean or a number is text again."""
    assert parse_release(f"{HEADER}  yes: a\n  7: b\n").process_types == {"true": "a", "7": "b"}


def test_the_last_of_two_equal_keys_counts() -> None:
    """A key that is there twice has its last value, as in Ruby."""
    text = f"{HEADER}  web: first\n  web: last\n"

    assert parse_release(text).process_types == {"web": "last"}
    assert parse_release(f"{text}{HEADER}  web: other\n").process_types == {"web": "other"}


def test_anchors_and_merges_work() -> None:
    """What YAML can say once it may refer to, as hand-written files do."""
    text = "base: &base {web: ./web}\ndefault_process_types:\n  <<: *base\n  worker: ./work\n"

    assert parse_release(text).process_types == {"web": "./web", "worker": "./work"}


@pytest.mark.parametrize(
    "text", ["- a\n", "[]", "[a, b]", "1", "true", "1.5", "2001-01-01", "!!set {a}", "!!binary YQ=="]
)
def test_what_is_no_mapping_is_refused(text: str) -> None:
    """Lists, numbers and the like at the top are an error that says what to print."""
    with pytest.raises(BuildpackError, match="mapping") as caught:
        parse_release(text)
    assert "default_process_types" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("default_process_types: [web]", "default_process_types"),
        ("default_process_types: web", "default_process_types"),
        ("default_process_types: 1", "default_process_types"),
        ("config_vars: [A]", "config_vars"),
        ("config_vars: A=1", "config_vars"),
        ("addons: redis", "addons"),
        ("addons: {a: b}", "addons"),
        ("addons: [[a]]", "addons"),
        ("addons: [{a: b}]", "addons"),
        (f"{HEADER}  web: [a, b]", "default_process_types"),
        (f"{HEADER}  web: {{a: b}}", "default_process_types"),
        (f"{HEADER}  web: !!binary YQ==", "default_process_types"),
        (f"{HEADER}  ? [a]\n  : b", ""),
        ("config_vars:\n  A: {b: c}", "config_vars"),
        (f"{HEADER}  web: &a [*a]", "default_process_types"),
        ("&a\ndefault_process_types: *a", "default_process_types"),
    ],
)
def test_what_has_another_shape_is_refused(text: str, key: str) -> None:
    """A value of the wrong kind is an error that names the key it stands under, never a command ``['a', 'b']``."""
    with pytest.raises(BuildpackError) as caught:
        parse_release(text)
    assert key in caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "a: b: c",
        "{",
        "[",
        '"',
        "\t- a",
        "a: *missing",
        "%YAML 9.9\n---\n",
        "a: 1\n b: 2",
        "@",
        "a: !unknown b",
        "\0",
        "\x07",
    ],
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    """Text that is no YAML is an error on one line, with YAML's own reason."""
    with pytest.raises(BuildpackError, match=r"bin/release printed no YAML: .") as caught:
        parse_release(text)
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize(
    "value",
    [
        "!!bool maybe",
        "!!int ''",
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "2001-99-99",
        "!!binary é",
        "!!omap [1]",
        "!!set [a]",
        "!!map a",
        "!!null x",
        "9" * 5000,
        "0x" + "f" * 5000,
        "0b" + "1" * 20000,
        "1" + ":10" * 3000,
    ],
    ids=lambda value: value[:14],
)
def test_values_that_do_not_fit_their_tag_are_refused(value: str) -> None:
    """A number that is none, or one of thousands of digits, is an error of the buildpack, never a crash."""
    try:
        defaults = parse_release(f"{HEADER}  web: {value}\n")
    except BuildpackError:
        return
    assert defaults.process_types.keys() <= {"web"}


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch canary']",
        "!!python/object/new:os.system ['touch canary']",
        "!!python/object/apply:subprocess.check_output [['touch', 'canary']]",
        "!!python/name:os.system",
        "!!python/module:canary",
        "!!python/object:os.system {}",
        "!!python/tuple [a]",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch canary']",
        "!ruby/object:Gem::Installer {}",
    ],
)
@pytest.mark.parametrize("form", ["{}", "default_process_types:\n  web: {}\n", "other: {}\n"])
def test_no_tag_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str, form: str) -> None:
    """YAML that asks for Python objects is refused, and nothing of it happens on the host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "canary.py").write_text("import pathlib\npathlib.Path('canary').touch()\n")

    with pytest.raises(BuildpackError):
        parse_release(form.replace("{}", tag, 1))
    assert not (tmp_path / "canary").exists()
    assert "canary" not in sys.modules


@pytest.mark.parametrize("text", ["[" * 20_000, "{a: " * 20_000, "- " * 20_000, "? " * 5000, "&a [" * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    """Thousands of nested brackets are an error of the buildpack, not the end of the host's stack."""
    with pytest.raises(BuildpackError):
        parse_release(text)


def _bomb(template: str, first: str, last: str) -> str:
    levels = [f"a{level}: &a{level} " + template % ", ".join([f"*a{level - 1}"] * 10) for level in range(1, 10)]
    return "\n".join([f"a0: &a0 {first}", *levels, last])


@pytest.mark.parametrize(
    "text",
    [
        _bomb("[%s]", "[x]", "default_process_types: {web: *a9}"),
        _bomb("[%s]", "[x]", "addons: *a9"),
        _bomb("{<<: [%s]}", "{x: y}", "default_process_types: *a9"),
    ],
    ids=["a command", "addons", "merges"],
)
def test_a_few_lines_do_not_take_the_memory(text: str) -> None:
    """A thousand characters that stand for a thousand million are refused or read at the size they have."""
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (5, 5))\n"
        "from slugkit.buildpacks._release import parse_release\n"
        "from slugkit.errors import BuildpackError\n"
        "try:\n    parse_release(sys.stdin.read())\n"
        "except BuildpackError:\n    pass\n"
        "except MemoryError:\n    sys.exit('out of memory')\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", script], input=text, text=True, capture_output=True, check=False, env=env
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_bytes_that_are_no_utf8_have_been_replaced() -> None:
    """Output that was not UTF-8 reaches here with replacement characters, and is read as any other text."""
    text = b"default_process_types:\n  web: ./caf\xe9\n".decode("utf-8", "replace")

    assert parse_release(text).process_types == {"web": "./caf\ufffd"}


def test_a_byte_order_mark_and_crlf_are_read() -> None:
    """A file written on Windows is as good as another."""
    assert parse_release("\ufeff---\r\ndefault_process_types:\r\n  web: a\r\n").process_types == {"web": "a"}


pieces = [
    "default_process_types",
    "config_vars",
    "addons",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<",
]
pieces += [
    "---",
    "...",
    "~",
    "yes",
    "1",
    "0x",
    "1:2",
    "web",
    "'",
    '"',
    "|",
    ">",
    "#",
    "? ",
    ",",
    "%",
    "@",
    "\t",
    "\x85",
]
pieces += [
    "!!bool ",
    "!!int ",
    "!!float ",
    "!!timestamp ",
    "!!set ",
    "!!omap ",
    "!!pairs ",
    "!!binary ",
    "!!python/name:os",
]
pieces += ["2001-01-01", "2001-13-01", ".inf", "-.nan", "=", "!!merge ", "!!value ", "!!str ", "!!seq ", "!!map ", "! "]


@given(st.text() | st.lists(st.sampled_from(pieces), max_size=30).map("".join))
@example("default_process_types: {web: !!bool x}")
@example("!!int ''")
@example("= : a")
@example("{=: 1}")
@example("\udcff")
@example("default_process_types: {1: a, '1': b, 1.0: c}")
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever bin/release prints gives defaults made of text, or an error of the buildpack; nothing else."""
    try:
        defaults = parse_release(text)
    except BuildpackError:
        return
    assert isinstance(defaults, ReleaseDefaults)
    for mapping in (defaults.process_types, defaults.config_vars):
        assert all(isinstance(part, str) for pair in mapping.items() for part in pair)
    assert all(isinstance(addon, str) for addon in defaults.addons)
