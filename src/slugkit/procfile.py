r"""Procfiles: parsed as Heroku's own compiler does, with a warning for every line that is not what it seems.

The grammar is contract.md 1.2: ``\r\n?`` ends a line, and a line counts when it matches
``^[[:space:]]*([a-zA-Z0-9_-]+):?\s+(.*)``. The colon is optional, the blank after it is not, everything else
is silently dropped - which is why the warnings are half of this module.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from attrs import evolve, field, frozen

from .errors import ProcfileSyntaxError

# POSIX [[:space:]] is Unicode's White_Space in Heroku's (Ruby) regex, while its \s is ASCII only.
_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LINE = re.compile(rf"{_SPACE}*([a-zA-Z0-9_-]+)(:?)[\t-\r ]+(.*)", re.DOTALL)
_NO_BLANK = re.compile(rf"{_SPACE}*([a-zA-Z0-9_-]+):(.*\S.*)", re.DOTALL)
_NO_COMMAND = re.compile(rf"{_SPACE}*([a-zA-Z0-9_-]+):{_SPACE}*\Z")
_BAD_NAME = re.compile(rf"{_SPACE}*([^\s:#]+)({_SPACE}*:)")
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_BOM = "\ufeff"
_LONGEST_NAME = 128  # the platform's API: formation.type is ^[-\w]{1,128}$


@frozen
class ProcfileWarning:
    """A line that Heroku drops or reads differently than its author meant.

    ``line`` and ``column`` count from 1, in characters; ``fix`` is one sentence.
    """

    code: str
    line: int
    column: int
    message: str
    fix: str
    source: str

    def __str__(self) -> str:
        """Render it as one line: place, message, fix."""
        return f"Procfile:{self.line}:{self.column}: {self.message} ({self.fix})"


@frozen(eq=False)
class Procfile(Mapping[str, str]):
    """The process types an app declares: an immutable mapping from type to command, in the file's order.

    Equal to any mapping with the same items; hashable; ``warnings`` take no part in either.
    """

    processes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[ProcfileWarning, ...] = field(default=(), repr=False)

    def __getitem__(self, process_type: str) -> str:
        return self._commands[process_type]

    @cached_property
    def _commands(self) -> dict[str, str]:
        return dict(self.processes)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.processes)

    def __len__(self) -> int:
        return len(self.processes)

    def __hash__(self) -> int:
        return hash(frozenset(self.processes))


def parse_procfile(text: str, *, strict: bool = False) -> Procfile:
    r"""Return the process types of *text* and a warning for every line Heroku would drop or misread.

    Any text parses. The rules are contract.md 1.2; a duplicate type keeps its first place and its last command.

    Args:
        text: The whole file.
        strict: Raise for the first warning instead of collecting them.

    Raises:
        ProcfileSyntaxError: ``strict`` and a line earned a warning.

    >>> parse_procfile("web: gunicorn app:app\nworker:celery")["web"]
    'gunicorn app:app'
    >>> print(*parse_procfile("worker:celery").warnings)
    Procfile:1:8: no blank after the colon, Heroku ignores the line (write 'worker: celery')
    """
    processes: dict[str, str] = {}
    warnings: list[ProcfileWarning] = []
    for number, line in enumerate(_lines(text), start=1):
        match = _LINE.match(line)
        if match:
            warnings += _doubts(match, number, line, seen=match[1] in processes)
            processes[match[1]] = match[3]
        else:
            warnings += _dropped(number, line)
    if strict and warnings:
        first = warnings[0]
        raise ProcfileSyntaxError(first.message, first.line, first.column, first.source, first.fix)
    return Procfile(tuple(processes.items()), tuple(warnings))


def format_procfile(process_types: Mapping[str, str]) -> str:
    r"""Return the text of a Procfile that declares *process_types*, in their order.

    ``parse_procfile(format_procfile(p)) == p`` for whatever this accepts.

    Raises:
        ProcfileSyntaxError: A type or command that no Procfile can express.

    >>> format_procfile({"web": "run a"})
    'web: run a\n'
    """
    lines = [f"{name}: {command}" for name, command in process_types.items()]
    for number, (name, command) in enumerate(process_types.items(), start=1):
        source = lines[number - 1]
        if not _NAME.fullmatch(name):
            raise ProcfileSyntaxError("not a process type", number, 1, source, _NAME_RULE)
        if re.search(r"[\r\n]|^[\t-\r ]", command):
            fix = "a command is one line and starts with something else than a blank"
            raise ProcfileSyntaxError("not a command", number, len(name) + 3, source, fix)
    return "".join(line + "\n" for line in lines)


_NAME_RULE = "types are made of a-z A-Z 0-9 _ -"


def _lines(text: str) -> list[str]:
    # Not splitlines(): a form feed or U+2028 inside a command must not split it.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _doubts(match: re.Match[str], number: int, line: str, *, seen: bool) -> list[ProcfileWarning]:
    """Warn about a line that counts, but perhaps not as meant."""
    name, colon, command = match.groups()
    start = match.start(1) + 1
    warn = ProcfileWarning("", number, start, "", "", line)
    found = []
    if seen:
        fix = "remove one of the two"
        found.append(
            evolve(
                warn,
                code="procfile.duplicate",
                message=f"{name!r} again, the last one counts",
                fix=fix,
            )
        )
    if not colon:
        text = command.removeprefix(":").strip()
        message = f"no colon after the type, Heroku reads {name!r} = {command!r}"
        found.append(evolve(warn, code="procfile.no-colon", message=message, fix=f"write '{name}: {text}'"))
    if not command.strip():
        found.append(_empty(evolve(warn, column=match.end(2)), name))
    if command.endswith("\\"):
        message = "a backslash at the end does not continue the line"
        found.append(
            evolve(
                warn,
                code="procfile.continuation",
                column=len(line),
                message=message,
                fix="write the command on one line",
            )
        )
    if len(name) > _LONGEST_NAME:
        message = f"the type has {len(name)} characters, the platform allows {_LONGEST_NAME}"
        found.append(evolve(warn, code="procfile.long-name", message=message, fix="shorten it"))
    return found


def _dropped(number: int, line: str) -> list[ProcfileWarning]:
    """Warn about a line that Heroku ignores, unless it is blank or a comment."""
    if not line.strip() or line.lstrip().startswith("#"):
        return []
    warn = ProcfileWarning("", number, len(line) - len(line.lstrip()) + 1, "", "", line)
    if line.startswith(_BOM):
        message = "a byte-order mark starts the file, Heroku ignores the line"
        return [
            evolve(
                warn,
                code="procfile.bom",
                column=1,
                message=message,
                fix="save it as UTF-8 without BOM",
            )
        ]
    if match := _NO_COMMAND.match(line):
        return [_empty(evolve(warn, column=match.end(1) + 1), match[1])]
    if match := _NO_BLANK.match(line):
        message = "no blank after the colon, Heroku ignores the line"
        fix = f"write '{match[1]}: {match[2].strip()}'"
        column = match.start(2) + 1
        return [evolve(warn, code="procfile.no-blank", column=column, message=message, fix=fix)]
    if match := _BAD_NAME.match(line):
        message = f"{match[1]!r} is not a process type, Heroku ignores the line"
        return [evolve(warn, code="procfile.bad-name", message=message, fix=_NAME_RULE)]
    message = "not 'type: command', Heroku ignores the line"
    fix = "write 'type: command', or start it with # as a comment"
    return [evolve(warn, code="procfile.ignored", message=message, fix=fix)]


def _empty(warn: ProcfileWarning, name: str) -> ProcfileWarning:
    message = f"{name!r} has no command"
    return evolve(warn, code="procfile.empty-command", message=message, fix="give it one or remove the line")
