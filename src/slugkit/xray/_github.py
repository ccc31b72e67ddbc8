"""Annotations for GitHub Actions: lines that a job prints and its runner shows on the page of the commit."""

from collections.abc import Iterator

from ..errors import BudgetExceededError


def annotations(error: BudgetExceededError) -> Iterator[str]:
    """Yield a line for each limit that *error* names, and one with what is largest or grew most."""
    for line in error.broken:
        yield _annotation("error", f"Slug over budget ({error.path})", line)
    if error.growers:
        yield _annotation("notice", "Where the slug's bytes are", "\n".join(error.growers))


def _annotation(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
