"""Python distributions: ``*.dist-info`` as wheels are installed, ``*.egg-info`` as they once were."""

import csv
import io
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name

from ._package import Contents, Package, licenses_in, version_or_none

_METADATA = re.compile(
    r"(?P<directory>(?:.*/)?[^/]+\.(?:dist|egg)-info)/(?:METADATA|RECORD|PKG-INFO|installed-files\.txt)",
    re.DOTALL,
)
_DIRECTORY = re.compile(
    r"(?:.*/)?(?P<name>[^/]+?)(?:-(?P<version>[^/-]+)(?:-py[\d.]+[^/]*)?)?\.(?:dist|egg)-info", re.DOTALL
)
_COMPILED = re.compile(r"(?P<directory>(?:.*/)?)__pycache__/(?P<name>[^/]+?)\.[\w-]+(?:\.opt-\w+)?\.pyc", re.DOTALL)
_LICENSE_CLASSIFIER = "License :: "


def is_metadata(path: str) -> bool:
    """Return whether the file *path* tells of a distribution."""
    return _METADATA.fullmatch(path) is not None


def packages(contents: Contents) -> Iterator[Package]:
    """Yield the distributions in *contents*; a lying RECORD claims only what is there."""
    directories = {match["directory"] for path in contents.paths if (match := _METADATA.fullmatch(path))}
    compiled = _compiled(contents) if directories else {}
    for directory in sorted(directories):
        metadata = _metadata(contents, directory)
        if named := _named(metadata, directory):
            paths = [*_recorded(contents, directory), *contents.below(directory)]
            paths += [path for source in paths for path in compiled.get(source, ())]
            licenses, dependencies = _licenses(metadata), _dependencies(metadata)
            yield Package("pypi", *named, directory, tuple(sorted(set(paths))), licenses, dependencies)


def _metadata(contents: Contents, directory: str) -> "Message[str, str]":
    file = "METADATA" if directory.endswith(".dist-info") else "PKG-INFO"
    return HeaderParser().parsestr(contents.text(f"{directory}/{file}"))


def _named(metadata: "Message[str, str]", directory: str) -> tuple[str, str] | None:
    """Return the name and version that the *metadata* tell, or else the *directory*; None if neither does."""
    match = _DIRECTORY.fullmatch(directory)
    told = match.groupdict() if match else {}
    name = _name(metadata.get("Name")) or _name(told.get("name"))
    version = version_or_none(metadata.get("Version")) or version_or_none(told.get("version"))
    return (name, version or "") if name else None


def _name(text: str | None) -> str | None:
    try:
        return canonicalize_name((text or "").strip(), validate=True)
    except InvalidName:
        return None


def _licenses(metadata: "Message[str, str]") -> tuple[str, ...]:
    if expression := licenses_in(metadata.get_all("License-Expression", [])):
        return expression
    classifiers = [text for text in metadata.get_all("Classifier", []) if text.startswith(_LICENSE_CLASSIFIER)]
    names = (text.rpartition(" :: ")[2] for text in classifiers if text != "License :: OSI Approved")
    return licenses_in(names) or licenses_in(metadata.get_all("License", []))


def _dependencies(metadata: "Message[str, str]") -> tuple[str, ...]:
    """Return what is required without any extra; of what is for other platforms only, nothing will be there."""
    names = set()
    for text in metadata.get_all("Requires-Dist", []):
        try:
            requirement = Requirement(text)
        except (InvalidRequirement, RecursionError):
            continue
        if "extra" not in str(requirement.marker or ""):
            names.add(canonicalize_name(requirement.name))
    return tuple(sorted(names))


def _recorded(contents: Contents, directory: str) -> Iterator[str]:
    """Yield the files that are there of those the distribution says it has installed."""
    if directory.endswith(".dist-info"):
        base, names = posixpath.dirname(directory), _first_column(contents, f"{directory}/RECORD")
    else:
        base, names = directory, iter(contents.text(f"{directory}/installed-files.txt").split("\n"))
    for name in names:
        path = posixpath.normpath(posixpath.join(base, name))  # one that climbs out names nothing in a slug
        if path in contents.known:
            yield path


def _first_column(contents: Contents, path: str) -> Iterator[str]:
    text = contents.texts.get(path, b"").decode("utf-8", "surrogateescape")  # file names, as Slug.files() spells them
    rows = csv.reader(io.StringIO(text, newline=""))
    try:
        yield from (row[0] for row in rows if row)
    except csv.Error:  # what was read so far is as good as any
        return


def _compiled(contents: Contents) -> Mapping[str, list[str]]:
    """Return the compiled files by their source: no RECORD lists those that were compiled after the installation."""
    found = defaultdict(list)
    for path in contents.paths:
        if match := _COMPILED.fullmatch(path):
            found[f"{match['directory']}{match['name']}.py"].append(path)
    return found
