import copy
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.errors import ProcfileSyntaxError
from slugkit.procfile import Procfile, format_procfile, parse_procfile

CONFLICT = "<<<<<<< HEAD\nweb: a\n=======\nweb: b\n>>>>>>> theirs\n"
LONG = "n" * 64
# contract.md 1.6: the input, and what the column "codon (Heroku)" says of it.
CODON: list[tuple[str, dict[str, str]]] = [
    ("web: a", {"web": "a"}),
    ("web:a", {}),
    ("web a", {"web": "a"}),
    ("web : a", {"web": ": a"}),
    ("web:\ta", {"web": "a"}),
    ("  web: a", {"web": "a"}),
    ("web: a  ", {"web": "a  "}),
    ("web: a\r\n", {"web": "a"}),
    ("web: a\rw: b", {"web": "a", "w": "b"}),
    ("web: 1\nweb: 2", {"web": "2"}),
    ("# web: x", {}),
    ("#web: x", {}),
    ("  # web: x", {}),
    ("web: a # hi", {"web": "a # hi"}),
    ("this is prose", {"this": "is prose"}),
    ("web:", {}),
    ("web:\n", {}),
    ("web: ", {"web": ""}),
    ("my-worker: a", {"my-worker": "a"}),
    ("my_worker: a", {"my_worker": "a"}),
    ("Web: a", {"Web": "a"}),
    ("web.1: a", {}),
    ("a/b: a", {}),
    ("w\u00e9b: a", {}),
    ("-w: a", {"-w": "a"}),
    ("w-: a", {"w-": "a"}),
    ('web: "run a"', {"web": '"run a"'}),
    ("web: run a:b: c", {"web": "run a:b: c"}),
    ("---", {}),
    ("---\nweb: a\n", {"web": "a"}),
    (CONFLICT, {"web": "b"}),
    ("\ufeffweb: a\nworker: b", {"worker": "b"}),
    ("web: a \\\n  --port 1", {"web": "a \\", "--port": "1"}),
    ("", {}),
    ("\n\n", {}),
    ("# nothing yet\n", {}),
    (f"{LONG}: a", {LONG: "a"}),
    # from the grammar in 1.2, beyond the table
    ("\n\nweb: a\n\n\nworker: b\n\n", {"web": "a", "worker": "b"}),
    ("web", {}),
    ("web:\n  a", {}),
    ("web:: a", {}),
    ("web:   a", {"web": "a"}),
    ("web \t", {"web": ""}),
    ("\u3000web: a", {"web": "a"}),
    ("web:\u00a0a", {}),
]


@pytest.mark.parametrize(("text", "types"), CODON)
def test_reads_what_heroku_reads(text: str, types: dict[str, str]) -> None:
    """A Procfile means what Heroku's own compiler makes of it, oddities included."""
    assert list(parse_procfile(text).items()) == list(types.items())


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "fix"),
    [
        ("web:a", "procfile.no-blank", 1, 5, "write 'web: a'"),
        ("web: a\n  worker:b", "procfile.no-blank", 2, 10, "write 'worker: b'"),
        ("web:\u00a0a", "procfile.no-blank", 1, 5, "write 'web: a'"),
        ("web a", "procfile.no-colon", 1, 1, "write 'web: a'"),
        ("web : a", "procfile.no-colon", 1, 1, "write 'web: a'"),
        ("this is prose", "procfile.no-colon", 1, 1, "write 'this: is prose'"),
        ("web: 1\nweb: 2", "procfile.duplicate", 2, 1, "remove one of the two"),
        ("web:", "procfile.empty-command", 1, 4, "give it one or remove the line"),
        ("web: ", "procfile.empty-command", 1, 4, "give it one or remove the line"),
        ("web.1: a", "procfile.bad-name", 1, 1, "types are made of a-z A-Z 0-9 _ -"),
        ("  a/b: a", "procfile.bad-name", 1, 3, "types are made of a-z A-Z 0-9 _ -"),
        ("w\u00e9b: a", "procfile.bad-name", 1, 1, "types are made of a-z A-Z 0-9 _ -"),
        ("\ufeffweb: a", "procfile.bom", 1, 1, "save it as UTF-8 without BOM"),
        ("web: a \\", "procfile.continuation", 1, 8, "write the command on one line"),
        (f"{'n' * 129}: a", "procfile.long-name", 1, 1, "shorten it"),
        ("---", "procfile.ignored", 1, 1, "write 'type: command', or start it with # as a comment"),
        ("web: a\rweb", "procfile.ignored", 2, 1, "write 'type: command', or start it with # as a comment"),
    ],
)
def test_suspicious_lines_are_named(text: str, code: str, line: int, column: int, fix: str) -> None:
    """A line that Heroku drops or misreads earns one warning: its code, its place and how to write it instead."""
    (warning,) = parse_procfile(text).warnings

    assert (warning.code, warning.line, warning.column, warning.fix) == (code, line, column, fix)
    assert warning.source == re.split(r"\r\n?|\n", text)[line - 1]
    assert str(warning) == f"Procfile:{line}:{column}: {warning.message} ({fix})"


@pytest.mark.parametrize(
    "text",
    [
        "web: a",
        "  web:\ta # hi",
        "# a comment\n\n   \nweb: a\r\n",
        "-w: a",
        "my_worker: a",
        f"{'n' * 128}: a",
        'web: "run a:b: c"',
    ],
)
def test_plain_lines_earn_no_warning(text: str) -> None:
    """A line that does what it says is left in peace, and so are comments and blank lines."""
    assert parse_procfile(text, strict=True).warnings == ()


def test_merge_conflict_is_reported_in_full() -> None:
    """Every line of a forgotten merge conflict is pointed out, in the file's order."""
    found = [(warning.line, warning.code) for warning in parse_procfile(CONFLICT).warnings]

    assert found == [
        (1, "procfile.ignored"),
        (3, "procfile.ignored"),
        (4, "procfile.duplicate"),
        (5, "procfile.ignored"),
    ]


def test_duplicate_keeps_its_first_place() -> None:
    """A type declared twice stays where it was first and takes the last command."""
    assert list(parse_procfile("web: 1\nworker: w\nweb: 2").items()) == [("web", "2"), ("worker", "w")]


def test_strict_points_at_the_first_mistake() -> None:
    """In strict mode the first suspicious line is an error that shows it, with a caret under the column."""
    with pytest.raises(ProcfileSyntaxError) as caught:
        parse_procfile("web: a\nworker:celery\nclock:tick", strict=True)

    assert str(caught.value) == (
        "Procfile:2: no blank after the colon, Heroku ignores the line\n  worker:celery\n         ^"
    )
    assert caught.value.hint == "write 'worker: celery'"
    assert (caught.value.code, caught.value.line, caught.value.column) == ("procfile.syntax", 2, 8)


@pytest.mark.parametrize("types", [{}, {"web": "a"}, {"worker": "b", "web": "a  "}, {"web": ""}, {"-w": "a\u2028\fb"}])
def test_format_writes_what_parse_reads(types: dict[str, str]) -> None:
    """Process types are written one a line, in their order, and read back the same."""
    text = format_procfile(types)

    assert text == "".join(f"{name}: {command}\n" for name, command in types.items())
    assert list(parse_procfile(text).items()) == list(types.items())


@pytest.mark.parametrize(
    ("name", "command", "column"),
    [
        ("", "a", 1),
        ("web.1", "a", 1),
        ("w b", "a", 1),
        ("w\u00e9b", "a", 1),
        ("web\n", "a", 1),
        ("web", "a\nworker: b", 6),
        ("web", "a\r", 6),
        ("web", " a", 6),
        ("web", "\ta", 6),
    ],
)
def test_format_refuses_what_no_procfile_can_say(name: str, command: str, column: int) -> None:
    """A type or a command that would be read back differently is refused, with its place in the mapping."""
    with pytest.raises(ProcfileSyntaxError) as caught:
        format_procfile({"fine": "x", name: command})

    assert (caught.value.line, caught.value.column) == (2, column)
    assert caught.value.hint is not None


TEXTS = st.text() | st.text(alphabet=" \t\r\n\f\v:#-_.ab\\\u00a0\u2028\x85\ufeff\0\x1c")


@given(TEXTS)
@example("\ud800: a")
@example("web:\u2028a")
def test_any_text_parses(text: str) -> None:
    """No Procfile, however odd, makes the parser raise; strict mode refuses exactly those with a warning."""
    procfile = parse_procfile(text)

    if procfile.warnings:
        with pytest.raises(ProcfileSyntaxError) as caught:
            parse_procfile(text, strict=True)
        assert caught.value.code == "procfile.syntax"
        assert caught.value.line == procfile.warnings[0].line
    else:
        assert parse_procfile(text, strict=True) == procfile


@given(st.text(alphabet=" \t\r\n\f\v:#-_.ab19\\/"))
def test_agrees_with_heroku_s_expression(text: str) -> None:
    """On ASCII text the result is that of the regular expression Heroku published, line by line."""
    published = re.compile(r"\s*([a-zA-Z0-9_-]+):?\s+(.*)\s*", re.ASCII | re.DOTALL)
    lines = re.sub(r"\r\n?", "\n", text).split("\n")

    assert parse_procfile(text) == {m[1]: m[2] for line in lines if (m := published.match(line))}


@given(TEXTS)
def test_format_brings_back_whatever_was_parsed(text: str) -> None:
    """What came out of a Procfile can be written as one that means the same, in the same order."""
    procfile = parse_procfile(text)

    assert parse_procfile(format_procfile(procfile)).processes == procfile.processes


@given(TEXTS)
def test_warnings_point_into_the_file(text: str) -> None:
    """Each warning's line and column exist in the text and its source is that line."""
    lines = re.split(r"\r\n?|\n", text)

    for warning in parse_procfile(text).warnings:
        assert warning.source == lines[warning.line - 1]
        assert 1 <= warning.column <= len(warning.source)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\f", "\v", "\x85", "\x1c", "\0"])
def test_only_newlines_end_a_line(odd: str) -> None:
    """A form feed, NEL or U+2028 inside a command stays in it."""
    assert parse_procfile(f"web: a{odd}worker: b") == {"web": f"a{odd}worker: b"}


def test_is_an_ordered_frozen_mapping() -> None:
    """A Procfile is used like a dict in the file's order, and cannot be changed."""
    procfile = parse_procfile("web: a\nclock: c\nworker: b\n")

    assert list(procfile) == ["web", "clock", "worker"]
    assert (len(procfile), procfile["clock"], procfile.get("nope"), "web" in procfile) == (3, "c", None, True)
    assert {**procfile} == procfile == {"worker": "b", "web": "a", "clock": "c"}
    assert procfile != {"web": "a"}
    with pytest.raises(KeyError, match="nope"):
        procfile["nope"]
    with pytest.raises(AttributeError):
        procfile.processes = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        procfile["web"] = "z"  # type: ignore[index]


def test_warnings_take_no_part_in_equality() -> None:
    """Two Procfiles that declare the same are equal and hash alike, whatever was wrong with their text."""
    clean, sloppy = parse_procfile("web: a\nworker: b"), parse_procfile("worker b\nweb: a\nnonsense")

    assert sloppy.warnings
    assert clean == sloppy
    assert hash(clean) == hash(sloppy)
    assert len({clean, sloppy, Procfile()}) == 2


def test_survives_pickle_and_copy() -> None:
    """A Procfile crosses process borders whole: order, commands and warnings."""
    procfile = parse_procfile("web: a\nworker:b\n")

    for twin in (pickle.loads(pickle.dumps(procfile)), copy.deepcopy(procfile)):
        assert twin.processes == procfile.processes
        assert twin.warnings == procfile.warnings
