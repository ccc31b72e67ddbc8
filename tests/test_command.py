import os
import pickle
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slugkit.command import Command, Completed, DataFile, HiddenArgs, resolve, shell_line

WORDS = st.lists(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2)


def test_a_single_word_is_a_shell_line_already() -> None:
    """One argument goes to the shell as it is, so that pipes and variables work in it."""
    assert shell_line(["echo $HOME | wc -l > 'x y'"]) == "echo $HOME | wc -l > 'x y'"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bash", "-c", "exit 3"], "bash -c 'exit 3'"),
        (["rake", "db:migrate"], "rake db:migrate"),
        (["echo", 'say "hi"'], "echo 'say \"hi\"'"),
        (["echo", ""], "echo ''"),
        ([], ""),
    ],
)
def test_several_words_stay_apart(words: list[str], line: str) -> None:
    """Words are quoted where they need it and left alone where they do not."""
    assert shell_line(words) == line


@given(WORDS)
@example(["a b", "$(touch x)", "`id`", "'\"'", "\n", "*"])
def test_each_word_stays_one_word(words: list[str]) -> None:
    """Whatever stands in the words, splitting the line again gives the same words."""
    assert shlex.split(shell_line(words)) == words


def test_the_shell_agrees() -> None:
    """A real shell hands the words to the program unchanged: nothing is expanded."""
    words = ["printf", "%s|", "a b", "$HOME", "$(id)", "*", "it's", '"', "\\", "new\nline"]
    done = subprocess.run(["sh", "-c", shell_line(words)], capture_output=True, check=True, text=True)

    assert done.stdout == "a b|$HOME|$(id)|*|it's|\"|\\|new\nline|"


@pytest.mark.parametrize(
    ("line", "resolved"),
    [
        ("myworker", "python dowork.py"),
        ("myworker 42", "python dowork.py 42"),
        ("myworker  a  'b c'", "python dowork.py  a  'b c'"),
        ("myworkers 42", "myworkers 42"),
        ("echo myworker", "echo myworker"),
        ("MyWorker", "MyWorker"),
        ("", ""),
    ],
)
def test_a_process_type_stands_for_its_command(line: str, resolved: str) -> None:
    """A first word that names a process type becomes its command, with the rest of the line behind it."""
    assert resolve({"myworker": "python dowork.py", "web": "serve"}, line) == resolved


def test_a_command_is_replaced_once() -> None:
    """The command of a process type is not looked up again, even when it starts like another type."""
    assert resolve({"web": "worker now", "worker": "celery"}, "web") == "worker now"


def test_commands_are_values() -> None:
    """A command compares by what it says, cannot be changed, and travels between processes."""
    command = Command(("ls", DataFile(b"x"), HiddenArgs(("-l",))), {"A": "1"}, Path("/app"))

    assert command == Command(("ls", DataFile(b"x"), HiddenArgs(("-l",))), {"A": "1"}, Path("/app"))
    assert command != Command(("ls",))
    assert pickle.loads(pickle.dumps(command)) == command
    with pytest.raises(AttributeError):
        command.cwd = None  # type: ignore[misc]


def test_a_command_inherits_nothing() -> None:
    """A command that names no environment has an empty one, and no two share it."""
    first, second = Command(("env",)), Command(("env",))

    assert os.environ
    assert (first.env, first.cwd, first.confinement) == ({}, None, {})
    assert first.env is not second.env


def test_secrets_do_not_show() -> None:
    """What is hidden from a process listing is hidden from a traceback too: environment, data and hidden arguments."""
    command = Command(("ls", DataFile(b"hunter2"), HiddenArgs(("hunter2",))), {"TOKEN": "hunter2"})

    assert "hunter2" not in repr(command)
    assert "'ls'" in repr(command)


def test_what_came_of_a_command() -> None:
    """Its status and its output, compared by value."""
    assert Completed(0, "x") == Completed(status=0, output="x")
    assert Completed(0, "x") != Completed(1, "x")
