"""Ruby gems: what RubyGems and Bundler leave in ``specifications``; no Ruby is run to read it."""

import re
from collections.abc import Iterator

from ._package import Contents, Package, licenses_in

_GEMSPEC = re.compile(r"(?P<base>(?:.*/)?)specifications/(?:default/)?(?P<full>[^/]+)\.gemspec", re.DOTALL)
# A platform may end like a version (arm64-darwin-22), a name may too (foo-2): nearly all versions have a dot.
_DOTTED = re.compile(r"(?P<name>[\w.-]+?)-(?P<version>\d+(?:\.\w+)+)(?:-[\w.-]+)?", re.ASCII)
_PLAIN = re.compile(r"(?P<name>[\w.-]+)-(?P<version>\d+)", re.ASCII)
# How RubyGems writes the specification of an installed gem: one statement a line, no expressions.
_LICENSES = re.compile(r"^ *s\.licenses? = (.{0,1000})$", re.MULTILINE)
_STRING = re.compile(r'"([^"\\]*)"')
_NEEDS = re.compile(r"^ *s\.add_(?:runtime_)?dependency\(%q<([\w.-]+)>", re.MULTILINE | re.ASCII)


def is_metadata(path: str) -> bool:
    """Return whether the file *path* tells of a gem."""
    return _GEMSPEC.fullmatch(path) is not None


def packages(contents: Contents) -> Iterator[Package]:
    """Yield the gems in *contents*: named by their specification's file name, with the files of their directory."""
    for path in contents.paths:
        match = _GEMSPEC.fullmatch(path)
        named = match and (_DOTTED.fullmatch(match["full"]) or _PLAIN.fullmatch(match["full"]))
        if match and named:
            paths = {path, *contents.below(f"{match['base']}gems/{match['full']}")}
            text = contents.text(path)
            licenses = licenses_in(name for line in _LICENSES.findall(text) for name in _STRING.findall(line))
            needs = tuple(sorted(set(_NEEDS.findall(text))))
            yield Package("gem", named["name"], named["version"], path, tuple(sorted(paths)), licenses, needs)
