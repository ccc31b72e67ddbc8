"""What an environment depends on, as one digest: while it is the same, nothing is installed."""

import hashlib
import re
from pathlib import Path

from ..._version import __version__
from ._job import Job
from ._lists import MOST_LISTS, read_list, read_lists
from ._tools import version_of

# A path, a URL, an editable, an archive, a directory of them: what they lead to may change without a word in the file.
_ELSEWHERE = re.compile(
    r"^(?!\s*(?:#|-r|-c|-i|--requirement|--constraint|--index-url|--extra-index-url|--trusted-host))"
    r"(?:\s*(?:-e|-f|--editable|--find-links|\.)|[^#]*/|\s*[^\s#;]+\.(?:whl|zip|tar|tgz|tbz|txz|tlz)\b)"
)
# But a commit of a repository never changes; what follows it may name a part of it, and no other place.
_COMMIT = re.compile(r"^\s*(?:(?:-e|--editable)[\s=]+)?(?:[^\s#@]+\s*@\s*)?git\+[^\s#]+@[0-9a-f]{40}(?![^\s;#])[^/]*$")
# The same of the other managers' lock files: directories, files and archives; a commit of a repository never changes.
_LOCAL = {
    "uv": re.compile(r'source = \{ (?:editable|directory|path) = "'),
    "Poetry": re.compile(r'^type = "(?:directory|file|url)"$', re.MULTILINE),
    "Pipenv": re.compile(r'"(?:path|file)": "|"editable": true'),
}
_BESIDE = {"uv": "pyproject.toml", "Poetry": "pyproject.toml", "Pipenv": "Pipfile"}


def cache_key(job: Job) -> str | None:
    """Return what the environment of *job* depends on, as one digest; None when that includes files of the app."""
    root, name = job.context.build_dir, job.manager.file
    text = read_list(root, name) or ""
    whole = _whole(root, name) if job.manager.name == "pip" else _locked(job, text)
    if whole is None:
        return None
    installer = job.installer if job.manager.name == "pip" else version_of(job.manager.name)
    interpreter = (job.python.version, str(job.python.prefix))
    beside = (str(read_list(root, name)) for name in ("nltk.txt", *(["requirements-test.txt"] if job.tests else [])))
    parts = (__version__, job.runtime, *interpreter, job.manager.name, installer, str(job.tests), whole, *beside)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _locked(job: Job, text: str) -> str | None:
    if _LOCAL[job.manager.name].search(text):
        return None
    return text + "\0" + (read_list(job.context.build_dir, _BESIDE[job.manager.name]) or "")


def _whole(root: Path, name: str) -> str | None:
    """Return the list *name* with every one that it includes; None when it names anything that may change."""
    lists = read_lists(root, name)
    named = {path for _, included in lists.values() for path in included}
    if not named <= lists.keys() or len(lists) == MOST_LISTS:
        return None
    lines = (line for text, _ in lists.values() for line in text.split("\n"))
    if any(_ELSEWHERE.match(line) and not _COMMIT.match(line) for line in lines):
        return None
    return "\0".join(text for text, _ in lists.values())
