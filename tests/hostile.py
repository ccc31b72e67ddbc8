"""The corpus of hostile slugs: each with the rule it attacks (1 to 9), and what must come of it.

The rules of unpacking: 1 one well-formed tar; 2 names; 3 nothing through links; 4 targets of links; 5 kinds, modes and
owners; 6 limits; 7 gzip, digests and the index; 8 one rename, nothing left; 9 nothing lost when packing. CVE numbers
name the reader that once fell for an archive of that shape.
"""

import gzip
import hashlib
import os
import random
import socket
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from slugkit.archive._gzip import compress
from slugkit.archive._tar import BLOCK, END, Kind, Member, header, padding
from tars import (
    APP,
    MANIFEST,
    Indexed,
    base256,
    by_tarfile,
    dir_,
    extension,
    file_,
    hard,
    honest,
    info,
    link,
    patched,
    pax,
    record,
    slug,
    typed,
)

CORRUPT, UNSAFE = "slug.corrupt", "slug.unsafe-member"
Made = bytes | Callable[[], bytes]


@frozen
class Hostile:
    """An archive that attacks *rule*: it must end in the error *code*, whose sentence has *reason*; or be *tree*.

    *tree* has a content (bytes), ``-> target`` or ``directory`` by path; a path with ``*`` at its end can be run. An
    archive whose index lies is, to a reader without one, *streamed*. A *bomb* may take longer than others.
    """

    name: str
    rule: int
    made: Made = field(repr=False)
    code: str = ""
    reason: str = ""
    tree: Mapping[str, bytes | str] | None = None
    streamed: Mapping[str, bytes | str] | None = None
    bomb: bool = False

    def archive(self) -> bytes:
        """Return its bytes."""
        return self.made if isinstance(self.made, bytes) else self.made()


def _refused(rule: int, code: str, reason: str, archives: Mapping[str, Made], *, bomb: bool = False) -> list[Hostile]:
    return [Hostile(name, rule, made, code, reason, bomb=bomb) for name, made in archives.items()]


def _normal(rule: int, archives: Mapping[str, tuple[Made, Mapping[str, bytes | str]]]) -> list[Hostile]:
    return [Hostile(name, rule, made, tree=tree) for name, (made, tree) in archives.items()]


def slugs() -> tuple[Hostile, ...]:
    """Return the corpus; big archives are made when they are asked for."""
    makers = (_tars, _names, _through_links, _hard_links, _links, _kinds, _limits, _gzips, _indexes, _bombs, _late)
    found = tuple(one for make in makers for one in make())
    assert len({one.name for one in found}) == len(found), "two of one name"
    return found


F = file_("./app/a", b"content")
BLOCK_A = header(Member("./app/a", "file", 0))
LINK_A = header(Member("./app/a", "link", 0, 0o777, 0, "b"))
NOISE = random.Random(1).randbytes(2**20)


# --- 1: one well-formed tar -------------------------------------------------------------------------------------


def _tars() -> Iterator[Hostile]:
    types = b"3467ADEIMNSVXZa\x01\x7f\xff"
    yield from _refused(
        1, CORRUPT, "unknown type", {f"type {bytes([one])!r}": slug(APP, typed(bytes([one]))) for one in types}
    )
    yield from _refused(
        1, CORRUPT, "", {"empty": b"", "letters": b"hello, world\n" * 99, "zip": b"PK\3\4" + bytes(600)}
    )
    yield from _refused(1, CORRUPT, "not gzip", {"a tar without gzip": APP + F + END})
    yield from _refused(
        1,
        CORRUPT,
        "ends without its end marker",
        {
            "gzip of nothing": gzip.compress(b""),
            "gzip of a byte": gzip.compress(b"x"),
            "no end": slug(APP, F, end=b""),
            "half an end": slug(APP, F, end=bytes(BLOCK)),
            "one byte short of the end": slug(APP, F, end=bytes(2 * BLOCK - 1)),
            "cut in a header": slug(APP, F, BLOCK_A[:300], end=b""),
            "cut in padding": slug(APP, F[:-1], end=b""),
            "PAX cut short": slug(APP, patched(header(Member("x", "file", 900)), 156, b"x") + b"30 path", end=b""),
            "GNU name cut short": slug(APP, patched(header(Member("x", "file", 900)), 156, b"L") + b"./app", end=b""),
        },
    )
    yield from _refused(1, CORRUPT, "lone zero block", {"lone zero block": slug(APP, bytes(BLOCK), F)})
    yield from _refused(
        1,
        CORRUPT,
        "behind the end",
        {
            "letters after the end": slug(APP, F, END, b"x" * BLOCK),
            "an archive after the end": slug(APP, F, END, APP, file_("./app/b")),
            "one byte after the end": slug(APP, F, END, b"\1"),
            "a byte far after the end": slug(APP, F, bytes(2**20), b"x"),
        },
    )
    yield from _refused(
        1,
        CORRUPT,
        "wrong checksum",
        {
            "a name changed": slug(APP, b"X" + BLOCK_A[1:]),
            "no checksum": slug(APP, BLOCK_A[:148] + bytes(8) + BLOCK_A[156:]),
            "a damaged header in the middle": slug(APP, F, b"\xff" + BLOCK_A[1:], F),
            "a checksum of signed bytes": slug(
                APP,
                (block := patched(BLOCK_A, 0, b"./app/\xe9\0"))[:148] + b"%06o\0 " % (sum(block) - 256) + block[156:],
            ),
        },
    )
    numbers = {
        "checksum of letters": BLOCK_A[:148] + b"abcdefgh" + BLOCK_A[156:],
        "size of letters": patched(BLOCK_A, 124, b"zzzzzzzzzzz\0"),
        "size with a sign": patched(BLOCK_A, 124, b"-0000000010\0"),
        "size in decimal": patched(BLOCK_A, 124, b"00000000009\0"),
        "size in hexadecimal": patched(BLOCK_A, 124, b"0x000000010\0"),
        "size with digits behind a NUL": patched(BLOCK_A, 124, b"0000000000\x000"),
        "size with a line": patched(BLOCK_A, 124, b"00000000000\n"),
        "size of full-width digits": patched(BLOCK_A, 124, "\uff11".encode() + b"00000000\0"),
        "mode of letters": patched(BLOCK_A, 100, b"rwxr-xr\0"),
        "time of letters": patched(BLOCK_A, 136, b"yesterday!!\0"),
        "size in base 256 of another first byte": patched(BLOCK_A, 124, b"\xc0" + bytes(11)),
    }
    yield from _refused(1, CORRUPT, "with the number", {name: slug(APP, block) for name, block in numbers.items()})
    negatives = {
        "CVE-2025-8194: a file of -1 bytes": (124, BLOCK_A, -1),
        "CVE-2025-8194: a file of -512 bytes": (124, BLOCK_A, -512),
        "a file of -2**80 bytes": (124, BLOCK_A, -(2**80)),
        "a link of -1 bytes": (124, LINK_A, -1),
        "a PAX header of -512 bytes": (124, typed(b"x"), -512),
        "a PAX header of -1 bytes": (124, typed(b"x"), -1),
        "a GNU name of -1 bytes": (124, typed(b"L"), -1),
        "a global header of -1024 bytes": (124, typed(b"g"), -1024),
    }
    yield from _refused(
        1, CORRUPT, "negative", {n: slug(APP, F, patched(b, at, base256(v)), F) for n, (at, b, v) in negatives.items()}
    )
    yield from _pax_headers()
    yield from _disagreements()
    yield from _normal(
        1,
        {
            "CVE-2022-48303: a time of blanks": (slug(APP, patched(BLOCK_A, 136, b" " * 12)), {"a": b""}),
            "a global comment": (slug(extension(b"g", record("comment", b"a" * 40)), APP, F), {"a": b"content"}),
            "two global comments": (
                slug(extension(b"g", record("comment", b"a")) * 2, APP, F, extension(b"g", record("comment", b"z"))),
                {"a": b"content"},
            ),
            "an unknown PAX key": (slug(APP, pax(("evil\0key", b"\0\xff")), F), {"a": b"content"}),
            "CVE-2023-39804: an attribute with no name": (slug(APP, pax(("SCHILY.xattr.", b"")), F), {"a": b"content"}),
            "a PAX value with equals and lines": (
                slug(APP, pax(("path", b"./app/a=b\nc=d")), F),
                {"a=b\nc=d": b"content"},
            ),
            "a PAX size that agrees": (slug(APP, pax(("size", b"7")), F), {"a": b"content"}),
            "a PAX name over a ustar prefix": (
                slug(APP, pax(("path", b"./app/b")), patched(BLOCK_A, 345, b"../..")),
                {"b": b""},
            ),
            "a long name whose cut ends in a slash": (
                slug(
                    APP, pax(("path", b"./app/" + b"n" * 99)), header(Member("./app/n/", "file", 1)), b"x" + bytes(511)
                ),
                {"n" * 99: b"x"},
            ),
            "a GNU name whose cut ends in a slash": (
                slug(
                    APP,
                    extension(b"L", b"./app/" + b"n" * 120 + b"\0"),
                    header(Member("n/", "file", 1)),
                    b"x" + bytes(511),
                ),
                {"n" * 120: b"x"},
            ),
            "a directory of 1979 by a PAX name": (
                slug(APP, pax(("path", b"./app/" + b"n" * 99 + b"/")), typed(b"\0", "nn")),
                {"n" * 99: "directory"},
            ),
            "base 256 in every number": (
                slug(
                    APP,
                    patched(
                        patched(patched(BLOCK_A, 124, base256(7)), 136, base256(2**33)), 100, b"\x80" + bytes(6) + b"\7"
                    ),
                    b"content" + bytes(505),
                ),
                {"a*": b"content"},
            ),
        },
    )


def _pax_headers() -> Iterator[Hostile]:
    damaged = {
        "PAX without a length": b"path=./app/x\n",
        "CVE-2019-20907: PAX length 0": b"0 path=x\n",
        "PAX length too small": b"3 path=x\n",
        "PAX length too large": b"99 path=x\n",
        "PAX length negative": b"-9 path=x\n",
        "PAX length with a sign": b"+9 path=x\n",
        "PAX length with an underscore": b"1_0 path=x\n",
        "PAX length in another script": "\u0669 path=x\n".encode(),
        "PAX length of 5 000 digits": b"9" * 5000 + b" path=x\n",
        "PAX length with 5 000 zeros": b"0" * 5000 + b"5008 a=b\n",
        "CVE-2024-6232: PAX of a million digits": b"1" * 1_000_000,
        "PAX without equals": b"8 pathx\n",
        "PAX without newline": b"9 path=xx",
        "PAX that ends in the next record": b"12 path=x\n9 path=y\n",
        "PAX of nothing but letters": b"garbage",
        "PAX of NULs": bytes(100),
        "PAX with a NUL behind it": record("comment", b"x") + b"\0",
        "PAX size of letters": record("size", b"ten"),
        "PAX size negative": record("size", b"-1"),
        "PAX size empty": record("size", b""),
        "PAX size fraction": record("size", b"7.0"),
        "PAX size with a sign": record("size", b"+7"),
        "PAX size with blanks": record("size", b" 7"),
        "PAX size of 5 000 digits": record("size", b"7" * 5000),
        "PAX size of 5 000 zeros": record("size", b"0" * 5000 + b"7"),
    }
    yield from _refused(
        1, CORRUPT, "damaged PAX", {name: slug(APP, extension(b"x", raw), F) for name, raw in damaged.items()}
    )
    globals_ = {f"a global {key}": record(key, b"7") for key in ("path", "linkpath", "size")}
    yield from _refused(
        1, CORRUPT, "for all members", {n: slug(extension(b"g", raw), APP, F) for n, raw in globals_.items()}
    )
    yield from _refused(
        1, CORRUPT, "damaged PAX", {"a damaged global header": slug(extension(b"g", b"9 path=xx"), APP, F)}
    )
    yield from _refused(
        1,
        CORRUPT,
        "member with two",
        {
            "two names in one PAX header": slug(APP, pax(("path", b"./app/x"), ("path", b"./app/y")), F),
            "two PAX headers": slug(APP, pax(("path", b"./app/x")), pax(("path", b"./app/y")), F),
            "two GNU names": slug(APP, extension(b"L", b"./app/x\0") * 2, F),
            "a GNU name and a PAX name": slug(APP, extension(b"L", b"./app/x\0"), pax(("path", b"./app/y")), F),
            "two targets": slug(APP, extension(b"K", b"x\0"), pax(("linkpath", b"y")), link("./app/l", "z")),
            "two sizes in one PAX header": slug(APP, pax(("size", b"7"), ("size", b"7")), F),
        },
    )
    yield from _refused(
        1,
        CORRUPT,
        "no member behind",
        {
            "a PAX name for nothing": slug(APP, F, pax(("path", b"x"))),
            "a GNU name for nothing": slug(APP, F, extension(b"L", b"x")),
        },
    )
    yield from _refused(
        1,
        CORRUPT,
        "NUL",
        {
            "PAX path with a NUL": slug(APP, pax(("path", b"./app/a\0/../../canary")), F),
            "PAX target with a NUL": slug(APP, pax(("linkpath", b"a\0b")), link("./app/l", "a")),
            "an empty PAX path": slug(APP, pax(("path", b"")), F),
            "an empty name": slug(APP, header(Member("", "file"))),
            "an empty directory name": slug(APP, patched(dir_("./app/d"), 0, bytes(8))),
            "a GNU name with a NUL": slug(APP, extension(b"L", b"./app/a\0/../../canary"), F),
            "a GNU target with a NUL": slug(APP, extension(b"K", b"a\0/etc"), link("./app/l", "a")),
            "a name with a NUL": slug(APP, patched(BLOCK_A, 0, b"./app/a\0b")),
            "a target with a NUL": slug(APP, patched(LINK_A, 157, b"b\0/etc/passwd")),
        },
    )


def _disagreements() -> Iterator[Hostile]:
    """Yield archives in which one reader sees a member where another sees content."""
    inner = file_("./app/evil", b"")
    yield from _refused(
        1,
        CORRUPT,
        "two sizes",
        {
            "PAX size smaller": slug(APP, pax(("size", b"0")), F),
            "PAX size smaller, hiding a member": slug(
                APP, pax(("size", b"0")), header(Member("./app/a", "file", 512)), inner
            ),
            "PAX size larger, swallowing a member": slug(APP, pax(("size", b"512")), BLOCK_A, inner),
            "CVE-2025-62518: PAX says 1024, ustar 0": slug(
                APP, pax(("size", b"1024")), BLOCK_A, file_("./app/inner", b""), file_("./app/inner2", b"")
            ),
            "CVE-2025-62518: a tar in a tar": slug(APP, pax(("size", b"2048")), BLOCK_A, inner + END, bytes(BLOCK)),
            "PAX size for a directory": slug(APP, pax(("size", b"512")), dir_("./app/d"), inner),
            "PAX size for a link": slug(APP, pax(("size", b"512")), link("./app/l", "a"), inner),
        },
    )
    sized = {"directory": dir_("./app/d"), "link": LINK_A, "hard link": hard("./app/h", "./app/a")}
    yield from _refused(
        1,
        CORRUPT,
        "size of what is no file",
        {
            **{
                f"a {name} with a size": slug(APP, F, patched(b, 124, b"00000001000\0"), inner)
                for name, b in sized.items()
            },
            "a directory of 1979 with a size": slug(APP, header(Member("./app/d/", "file", 512)), inner),
            "a PAX name that makes a directory of a file": slug(APP, pax(("path", b"./app/d/")), F),
            "CVE-2016-5418: a hard link with content": slug(
                APP, F, patched(hard("./app/h", "./app/a"), 124, b"00000000004\0"), b"evil" + bytes(508)
            ),
        },
    )
    yield from _refused(
        1,
        CORRUPT,
        "ends",
        {
            "size beyond the archive": slug(APP, header(Member("./app/a", "file", 2**29))),
            "cut in content": slug(APP, header(Member("./app/a", "file", 5000)), b"x" * 1000, end=b""),
        },
    )


# --- 2: names ---------------------------------------------------------------------------------------------------

_OUT = {
    "climbs out": [
        "./app/..",
        "./app/../canary",
        "./app/../../canary",
        "./app/a/../../canary",
        "./app/a/..",
        "./app/./../canary",
        "..",
        "../canary",
        "a/../../canary",
        "./../canary",
        "./app/x/../etc/shadow",
    ],
    "an empty part": ["./app//etc/passwd", "./app/a//b", "./app//x", "././/etc/passwd"],
    "absolute path": ["/etc/passwd", "//etc/passwd", ".//etc/passwd", "////tmp/slugkit-canary"],
    "too long or too deep": [
        "./app/" + "p" * 256,
        "./app/" + "d/" * 201 + "f",
        "./app/" + ("p" * 250 + "/") * 13 + "f",
        "./app/" + "\u00e9" * 128,
    ],
}


def _names() -> Iterator[Hostile]:
    for reason, names in _OUT.items():
        for name in names:
            for kind in ("file", "dir", "link"):
                target = "app.py" if kind == "link" else ""
                made = slug(header(Member(name, _kind(kind), 0, target=target)))
                yield Hostile(f"{kind} {name[:30]}{len(name)}", 2, made, UNSAFE, reason)
    beside = {
        "beside the app: ./../canary": ("./../canary", "climbs"),
        "beside the app: /etc/passwd": ("/etc/passwd", "absolute"),
        "beside the app: ./app2/../../canary": ("./app2/../../canary", "climbs"),
        "beside the app: .//etc/passwd": (".//etc/passwd", "absolute"),
        "beside the app: 300 letters": ("./" + "p" * 300, "too long"),
    }
    for title, (name, reason) in beside.items():
        yield Hostile(title, 2, slug(APP, file_("./app/Procfile"), file_(name)), UNSAFE, reason)
    yield from _refused(
        2,
        UNSAFE,
        "climbs",
        {
            "a GNU name that climbs": slug(APP, extension(b"L", b"./app/../canary\0"), F),
            "a PAX name that climbs": slug(APP, pax(("path", b"../canary")), F),
            "a ustar prefix that climbs": slug(APP, patched(BLOCK_A, 345, b"..")),
            "CVE-2007-4559: ../../../../tmp": slug(file_("../" * 8 + "tmp/slugkit-canary")),
            "zip slip": slug(APP, file_("./app/good"), file_("./app/../../../../etc/cron.d/x")),
        },
    )
    yield from _refused(
        2,
        UNSAFE,
        "twice",
        {
            "file twice": slug(APP, file_("./app/a", b"1"), file_("./app/a", b"2")),
            "file twice, spelled otherwise": slug(APP, file_("./app/a"), file_("./app/./a")),
            "file twice, with and without ./": slug(APP, file_("./app/a"), file_("app/a")),
            "file twice, with two ./": slug(APP, file_("./app/a"), file_("././app/a")),
            "file, then directory": slug(APP, file_("./app/a"), dir_("./app/a/")),
            "directory, then file": slug(APP, dir_("./app/a/"), file_("./app/a")),
            "implied directory, then file": slug(APP, file_("./app/a/b"), file_("./app/a")),
            "implied directory, then link": slug(APP, file_("./app/a/b"), link("./app/a", "c")),
            "link, then file": slug(APP, link("./app/a", "b"), file_("./app/a")),
            "link, then directory": slug(APP, link("./app/a", "."), dir_("./app/a")),
            "directory, then link": slug(APP, dir_("./app/a"), link("./app/a", ".")),
            "link twice": slug(APP, link("./app/a", "b"), link("./app/a", "c")),
            "hard link over its file": slug(APP, file_("./app/a"), hard("./app/a", "./app/a")),
            "hard link over a link": slug(APP, file_("./app/a"), link("./app/l", "a"), hard("./app/l", "./app/a")),
            "manifest twice": slug(*(file_("./.slugkit/manifest.json", MANIFEST),) * 2, APP),
            "manifest behind the app": slug(APP, F, file_("./.slugkit/manifest.json", MANIFEST)),
            "manifest twice, spelled otherwise": slug(
                file_("./.slugkit/manifest.json", MANIFEST), APP, file_("././.slugkit/./manifest.json", MANIFEST)
            ),
        },
    )
    yield from _refused(
        2,
        UNSAFE,
        "no directory",
        {
            "file as a parent": slug(APP, file_("./app/a"), file_("./app/a/b")),
            "file as a grandparent": slug(APP, file_("./app/a"), file_("./app/a/b/c")),
            "hard link as a parent": slug(APP, F, hard("./app/h", "./app/a"), file_("./app/h/b")),
            "the app is a file": slug(file_("./app", b"x"), file_("./app/a")),
            "CVE-2021-29136: the app is a link up": slug(link("./app", ".."), file_("./app/a")),
            "the app is a link with a slash": slug(link("./app/", "beside"), file_("./app/a")),
            "the app is a link as a dot": slug(link("./app/.", "/etc"), file_("./app/a")),
            "the root is a link": slug(link("./", "/tmp"), file_("./slugkit-canary")),
            "the root is a file": slug(file_(".", b"x"), file_("./app/a")),
        },
    )
    yield from _normal(
        2,
        {
            "a name that is no UTF-8": (slug(APP, file_("./app/caf\udce9")), {"caf\udce9": b"x"}),
            "a PAX name that is no UTF-8": (
                slug(APP, pax(("path", b"./app/\xff\xfe")), F),
                {"\udcff\udcfe": b"content"},
            ),
            "a name of terminal escapes": (slug(APP, file_("./app/\x1b]0;owned\x07\n")), {"\x1b]0;owned\x07\n": b"x"}),
            "CVE-2021-37701: backslashes": (
                slug(APP, dir_("./app/a\\"), file_("./app/a\\../b")),
                {"a\\": "directory", "a\\..": "directory", "a\\../b": b"x"},
            ),
            "CVE-2021-37712: two spellings of one letter": (
                slug(APP, dir_("./app/caf\u00e9"), link("./app/cafe\u0301", "/usr"), file_("./app/caf\u00e9/x")),
                {"caf\u00e9": "directory", "caf\u00e9/x": b"x", "cafe\u0301": "-> /usr"},
            ),
            "CVE-2021-37713: a drive letter": (slug(APP, file_("./app/C:../x")), {"C:..": "directory", "C:../x": b"x"}),
            "dots that do not climb": (slug(APP, file_("./app/./.../..a")), {"...": "directory", ".../..a": b"x"}),
            "two ./ in front": (slug(file_("././app/a"), dir_("././app/")), {"a": b"x"}),
            "slashes behind a directory": (slug(APP, dir_("./app/d///")), {"d": "directory"}),
            "a directory twice": (slug(APP, dir_("./app/d"), dir_("./app/d"), APP), {"d": "directory"}),
            "an index beside the app of a stream": (slug(APP, file_("./.slugkit/index.json", b"{")), {}),
            "a name of 100 bytes": (slug(APP, file_("./app/" + "n" * 94)), {"n" * 94: b"x"}),
            "a whiteout of a layer": (slug(APP, file_("./app/.wh..wh..opq", b"")), {".wh..wh..opq": b""}),
        },
    )


def _kind(text: str) -> Kind:
    return {"file": "file", "dir": "dir", "link": "link"}[text]  # type: ignore[return-value]


# --- 3: nothing through links, hard links -----------------------------------------------------------------------


def _deep_links() -> bytes:
    """Return what made realpath() give up: more than PATH_MAX of links to directories, then a way up."""
    part, names, pieces, path = "d" * 247, "abcdefghijklmnop", [], "./app/"
    for name in names:
        pieces += [dir_(path + part), link(path + name, part)]
        path += f"{part}/"
    way = "./app/" + "/".join(names)
    pieces += [link(f"{way}/{'l' * 254}", "../" * len(names)), link("./app/escape", f"{way}/{'l' * 254}/../../home")]
    return slug(APP, *pieces, hard("./app/flag", "./app/escape/canary"), file_("./app/flag", b"owned"))


def _through_links() -> Iterator[Hostile]:
    yield from _refused(
        3,
        UNSAFE,
        "no directory",
        {
            "through a link within": slug(APP, dir_("./app/d"), link("./app/l", "d"), file_("./app/l/x")),
            "through an absolute link": slug(APP, link("./app/l", "/tmp"), file_("./app/l/slugkit-canary")),
            "through a chain": slug(
                APP, link("./app/a", "b"), link("./app/b", "/tmp"), file_("./app/a/slugkit-canary")
            ),
            "through a link to itself": slug(APP, link("./app/l", "l"), file_("./app/l/x")),
            "CVE-2021-32803: a directory below a link": slug(
                APP, link("./app/l", "/tmp"), dir_("./app/l/slugkit-canary")
            ),
            "CVE-2021-38511: a deep directory below a link": slug(APP, link("./app/l", "/tmp"), dir_("./app/l/x/y/z")),
            "a link below a link": slug(APP, link("./app/l", "/tmp"), link("./app/l/slugkit-canary", "y")),
            "a hard link below a link": slug(
                APP, F, link("./app/l", "/tmp"), hard("./app/l/slugkit-canary", "./app/a")
            ),
            "CVE-2019-14271: a library through a link": slug(
                APP, link("./app/lib", "/lib"), file_("./app/lib/x86_64-linux-gnu/libnss_files.so.2", b"evil", 0o755)
            ),
        },
    )
    yield from _refused(
        3,
        UNSAFE,
        "twice",
        {
            "CVE-2021-32803: a directory becomes a link": slug(
                APP, dir_("./app/d"), link("./app/d", "/tmp"), file_("./app/d/slugkit-canary")
            ),
            "a link for a directory that is needed": slug(APP, file_("./app/l/x"), link("./app/l", "/tmp")),
            "CVE-2020-36327: a file over a link": slug(
                APP, link("./app/l", "/tmp/slugkit-canary"), file_("./app/l", b"evil")
            ),
            "CVE-2018-20834: a link, then a file of its name": slug(
                APP, link("./app/x", "/etc/passwd"), file_("./app/x")
            ),
        },
    )
    yield from _refused(3, UNSAFE, "too long", {"CVE-2025-4517: past PATH_MAX": _deep_links})
    yield from _refused(
        3,
        UNSAFE,
        "outside",
        {
            "CVE-2024-12718: a link to the directory above": slug(APP, link("./app/l", ".."), dir_("./app/l/../..")),
            "CVE-2025-4330: a chain of links up": slug(
                APP, dir_("./app/a/b"), link("./app/a/b/up", "../.."), link("./app/out", "a/b/up/../../home/canary")
            ),
            "CVE-2025-4138: a target through a link": slug(
                APP,
                link("./app/d/here", "."),
                link("./app/out", "d/here/../../../home/canary"),
                file_("./app/out", b"evil"),
            ),
            "CVE-2025-4435: what a filter leaves out": slug(
                APP, link("./app/s", "../home/canary"), hard("./app/h", "./app/s"), file_("./app/h", b"evil")
            ),
        },
    )


def _hard_links() -> Iterator[Hostile]:
    yield from _refused(
        3,
        UNSAFE,
        "not an earlier file",
        {
            "hard link to nothing": slug(APP, hard("./app/h", "./app/missing")),
            "hard link to a later file": slug(APP, hard("./app/h", "./app/f"), file_("./app/f")),
            "hard link to itself": slug(APP, hard("./app/h", "./app/h")),
            "CVE-2018-20834: a hard link to the host": slug(APP, hard("./app/h", "/etc/passwd"), file_("./app/h")),
            "a hard link to the canary": slug(APP, hard("./app/h", "../home/canary")),
            "hard link to a directory": slug(APP, dir_("./app/d"), hard("./app/h", "./app/d")),
            "hard link to the root": slug(APP, hard("./app/h", "./app/")),
            "hard link to what lies beside the app": slug(APP, file_("./beside"), hard("./app/h", "./beside")),
            "hard link to the manifest": slug(
                file_("./.slugkit/manifest.json", MANIFEST), APP, hard("./app/h", "./.slugkit/manifest.json")
            ),
            "hard link to the empty name": slug(APP, hard("./app/h", "")),
            "hard link to a link": slug(APP, link("./app/l", "/etc/passwd"), hard("./app/h", "./app/l")),
            "hard link through a link": slug(
                APP, file_("./app/d/f"), link("./app/l", "d"), hard("./app/h", "./app/l/f")
            ),
        },
    )
    yield from _refused(
        3, UNSAFE, "climbs", {"hard link that climbs": slug(APP, hard("./app/h", "./app/../../home/canary"))}
    )
    many = (hard(f"./app/h{number}", "./app/f") for number in range(1001))
    chain = (hard(f"./app/h{number + 1}", f"./app/h{number}") for number in range(1001))
    yield from _refused(
        6,
        UNSAFE,
        "hard links",
        {
            "1 001 hard links": slug(APP, file_("./app/f"), *many),
            "1 001 hard links in a chain": slug(APP, file_("./app/h0"), *chain),
        },
    )
    yield from _normal(
        3,
        {
            "hard links to hard links": (
                slug(APP, file_("./app/f", b"same", 0o755), hard("./app/h", "./app/f"), hard("./app/d/i", "app/h")),
                {"f*": b"same", "h*": b"same", "d": "directory", "d/i*": b"same"},
            ),
            "a Procfile at the end of a chain": (
                slug(
                    APP,
                    file_("./app/p0", b"web: x"),
                    *(hard(f"./app/p{n + 1}", f"./app/p{n}") for n in range(900)),
                    hard("./app/Procfile", "./app/p900"),
                ),
                {f"p{n}": b"web: x" for n in range(901)} | {"Procfile": b"web: x"},
            ),
            "a dangling link": (slug(APP, link("./app/l", "missing")), {"l": "-> missing"}),
            "a link to itself": (slug(APP, link("./app/l", "l")), {"l": "-> l"}),
            "a loop of links": (slug(APP, link("./app/a", "b"), link("./app/b", "a")), {"a": "-> b", "b": "-> a"}),
        },
    )


# --- 4: targets of links ----------------------------------------------------------------------------------------


def _links() -> Iterator[Hostile]:
    spellings = (
        "/{}",
        "/{}/",
        "/{}/self/root",
        "//{}/self",
        "/./{}/self",
        "/.//{}/self",
        "///{}",
        "/usr/../{}/self",
        "/../{}",
    )
    kernel = [spelling.format(name) for name in ("proc", "sys", "run", "dev") for spelling in spellings]
    for target in [*kernel, "/", "/.", "//", "/var/run/docker.sock", "/var//run", "/usr/..", "/usr/lib/../../etc"]:
        yield Hostile(f"link to {target}", 4, slug(APP, link("./app/a/l", target)), UNSAFE, "a link to")
    out = {
        "..": ("l", ".."),
        "../canary": ("l", "../canary"),
        "../app": ("l", "../app"),
        "from below": ("a/b/l", "../../../canary"),
        "down and out": ("l", "a/../../canary"),
        "dots": ("l", "./.././canary"),
        "empty parts": ("l", ".//..//canary"),
        "trailing": ("a/l", "../.."),
        "to the kernel": ("a/l", "../../../../../../proc/self/environ"),
    }
    for title, (name, target) in out.items():
        yield Hostile(f"link out: {title}", 4, slug(APP, link(f"./app/{name}", target)), UNSAFE, "outside")
    chains = {
        "up through a link to the root": [("d/up", ".."), ("out", "d/up/../canary")],
        "the other order": [("out", "d/up/../canary"), ("d/up", "..")],
        "two links down": [("a/b/root", "../.."), ("out", "a/b/root/../../etc")],
        "through an absolute link": [("usr", "/usr"), ("out", "usr/../proc/self/environ")],
        "links to links": [("a", "b"), ("b", "c/d"), ("c/d", ".."), ("out", "a/../canary")],
    }
    for title, links in chains.items():
        made = slug(APP, *(link(f"./app/{name}", target) for name, target in links))
        yield Hostile(f"chain of links: {title}", 4, made, UNSAFE, "outside")
    yield Hostile(
        "chain of links: over /", 4, slug(APP, link("./app/r", "/"), link("./app/l", "r/proc/1")), UNSAFE, "a link to"
    )
    for name in ("tmp", "log", "Procfile"):
        for spelling in ("./app/{}", "app/{}", "./app/./{}", "./{}", "{}", "././app/{}"):
            place = spelling.format(name)
            yield Hostile(f"link at {place}", 4, slug(link(place, "/var/tmp")), UNSAFE, "must not be a link")
    yield from _refused(4, UNSAFE, "nothing", {"link to nothing": slug(APP, link("./app/l", ""))})
    yield from _refused(4, UNSAFE, "too long", {"link to 4 096 letters": slug(APP, link("./app/l", "t" * 4096))})
    yield from _normal(
        4,
        {
            "links that apps need": (
                slug(
                    APP,
                    link("./app/bin/python", "/usr/bin/python3"),
                    link("./app/a/l", ".."),
                    link("./app/l", "/developer"),
                ),
                {
                    "bin": "directory",
                    "bin/python": "-> /usr/bin/python3",
                    "a": "directory",
                    "a/l": "-> ..",
                    "l": "-> /developer",
                },
            ),
            "a link of 4 095 letters": (slug(APP, link("./app/l", "t" * 4095)), {"l": "-> " + "t" * 4095}),
            "a link to no UTF-8": (slug(APP, link("./app/l", "\udcff")), {"l": "-> \udcff"}),
            "tmp as a directory": (slug(APP, file_("./app/tmp/x")), {"tmp": "directory", "tmp/x": b"x"}),
        },
    )


# --- 5: kinds, modes, owners ------------------------------------------------------------------------------------


def _kinds() -> Iterator[Hostile]:
    special = {
        "character device": info("./app/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        "block device": info("./app/sda", tarfile.BLKTYPE, devmajor=8),
        "FIFO": info("./app/pipe", tarfile.FIFOTYPE),
        "contiguous file": info("./app/contiguous", tarfile.CONTTYPE),
    }
    for title, one in special.items():
        for form in ("ustar", "gnu", "pax"):
            number = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}[form]
            made = by_tarfile(lambda archive, one=one: archive.addfile(one), format=number)  # type: ignore[misc]
            yield Hostile(f"{title} ({form})", 5, made, CORRUPT, "unknown type")
    sparse = patched(patched(typed(b"S", size=512), 386, b"00000000000\x0000000001000\0"), 483, b"00100000000\0")
    yield from _refused(
        5, CORRUPT, "unknown type", {"CVE-2018-20482: a sparse file of GNU tar": slug(APP, sparse, bytes(512))}
    )
    yield from _refused(
        5,
        CORRUPT,
        "sparse",
        {
            "sparse by PAX 1.0": slug(APP, pax(("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")), F),
            "sparse by PAX 0.1": slug(APP, pax(("GNU.sparse.map", b"0,1")), F),
            "CVE-2019-9923: sparse by PAX 0.0": slug(APP, pax(("GNU.sparse.size", b"99")), F),
            "sparse by a name of its own": slug(APP, pax(("GNU.sparse.name", b"../canary")), F),
            "sparse for all members": slug(extension(b"g", record("GNU.sparse.major", b"1")), APP, F),
        },
    )
    owned = info("./app/x", tarfile.REGTYPE, uid=12345, gid=23456, mode=0o7777)
    yield from _normal(
        5,
        {
            "setuid, setgid, sticky": (slug(APP, file_("./app/su", b"x", 0o7777)), {"su*": b"x"}),
            "a mode of all bits": (slug(APP, patched(BLOCK_A, 100, b"7777777\0")), {"a*": b""}),
            "a mode of nothing": (slug(APP, file_("./app/a", b"x", 0)), {"a": b"x"}),
            "writable by all": (slug(APP, file_("./app/w", b"x", 0o666)), {"w": b"x"}),
            "a directory nobody may enter": (
                slug(APP, patched(dir_("./app/d"), 100, b"0000000\0"), file_("./app/d/x")),
                {"d": "directory", "d/x": b"x"},
            ),
            "extended attributes": (slug(APP, pax(("SCHILY.xattr.security.capability", b"\1")), F), {"a": b"content"}),
            "CVE-2021-23177: access lists": (
                slug(APP, pax(("SCHILY.acl.access", b"user:0:rwx")), F),
                {"a": b"content"},
            ),
            "an owner": (by_tarfile(lambda archive: archive.addfile(owned)), {"x*": b""}),
            "a time before 1970": (slug(APP, patched(BLOCK_A, 136, base256(-1))), {"a": b""}),
            "a time beyond all calendars": (slug(APP, patched(BLOCK_A, 136, base256(2**87))), {"a": b""}),
        },
    )


# --- 6: limits --------------------------------------------------------------------------------------------------


def _deflated(*pieces: tuple[bytes, int]) -> bytes:
    """Return the *pieces*, each repeated, as one gzip member; they are never in memory together."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(deflate.compress(piece) for piece, times in pieces for _ in range(times)) + deflate.flush()


def _limits() -> Iterator[Hostile]:
    huge = {
        "a file of 1 GiB and a byte": header(Member("./app/a", "file", 2**30 + 1)),
        "a file of 2**40 bytes": patched(BLOCK_A, 124, base256(2**40)),
        "a file of 2**87 bytes": patched(BLOCK_A, 124, base256(2**87)),
        "a file of 1 GiB beside the app": header(Member("./beside", "file", 2**30 + 1)),
    }
    yield from _refused(6, UNSAFE, "1 GiB", {name: slug(APP, block) for name, block in huge.items()})
    yield from _refused(
        6,
        CORRUPT,
        "1 MiB",
        {
            "header bomb: PAX": slug(APP, extension(b"x", record("comment", bytes(2**20))), F),
            "header bomb: global PAX": slug(APP, extension(b"g", record("comment", bytes(2**20))), F),
            "CVE-2022-2879: many PAX headers": slug(APP, pax(("comment", bytes(2**18))) * 5, F),
            "header bomb: many global headers": slug(APP, extension(b"g", record("comment", b"x")) * 2000, F),
            "header bomb: GNU name": slug(APP, extension(b"L", b"./app/" + b"n" * 2**20), F),
            "header bomb: GNU target": slug(APP, extension(b"K", b"n" * (2**20 + 1)), link("./app/l", "x")),
            "header bomb: size only": slug(APP, patched(header(Member("x", "file", 8**11 - 1)), 156, b"x")),
            "header bomb: 2**80 bytes": slug(APP, patched(typed(b"L"), 124, base256(2**80))),
        },
    )
    manifests = {
        "manifest of letters": (b"hello", "cannot be read"),
        "manifest a list": (b"[1]", "cannot be read"),
        "manifest of the future": (b'{"schema": 99}', "schema 99"),
        "manifest nested": (b"[" * 100_000, "cannot be read"),
        "manifest of a huge number": (b'{"schema": ' + b"9" * 5000 + b"}", "cannot be read"),
        "manifest in UTF-16": (MANIFEST.decode().encode("utf-16"), "cannot be read"),
        "manifest with a process type that is no name": (b'{"schema":1,"process_types":{"a b":"x"}}', "cannot be read"),
        "manifest with a variable that is no name": (b'{"schema":1,"config_vars":{"A=B":"x"}}', "not a name"),
        "manifest with a NUL": (b'{"schema":1,"process_types":{"web":"a\\u0000b"}}', "cannot be read"),
        "manifest of a mebibyte": (MANIFEST + b" " * 2**20, "1 MiB"),
        "manifest deep and wide": (b'{"schema":1,"x":' + b"[" * 900 + b"0," * 300_000 + b"0" + b"]" * 900 + b"}", ""),
    }
    for title, (raw, reason) in manifests.items():
        yield Hostile(title, 6, slug(file_("./.slugkit/manifest.json", raw), APP, F), CORRUPT, reason)


def _bombs() -> Iterator[Hostile]:
    zeros = header(Member("./app/zeros", "file", 100 * 2**20))
    parts = b"".join(gzip.compress(bytes([one])) for one in NOISE[:60_000])
    yield from _refused(
        6,
        CORRUPT,
        "200 times",
        {
            "zip bomb": lambda: _deflated((APP + zeros, 1), (bytes(2**20), 100)),
            "zip bomb behind the end": lambda: _deflated((APP + F + END, 1), (bytes(2**20), 100)),
            "zip bomb beside the app": lambda: _deflated(
                (APP + header(Member("z", "file", 2**29)), 1), (bytes(2**20), 100)
            ),
            "zip bomb of headers": lambda: _deflated((APP, 1), (pax(("comment", bytes(2**19))) + dir_("./app/d"), 200)),
        },
        bomb=True,
    )
    yield from _refused(
        6,
        UNSAFE,
        "150 000 members",
        {
            "150 001 members beside the app": lambda: gzip.compress(APP + dir_("./d") * 150_001 + END, 1),
            "150 001 times a directory": lambda: gzip.compress(APP + dir_("./app/d") * 150_002 + END, 1),
            "150 001 times the app": lambda: gzip.compress(APP * 150_001 + END, 1),
        },
        bomb=True,
    )
    yield from _refused(
        6,
        UNSAFE,
        "32 MiB of names",
        {
            "32 MiB of targets": lambda: slug(APP, *(link(f"./app/{n}", "t" * 4095) for n in range(8300))),
            "32 MiB of names and parents": lambda: slug(APP, *(_deep(n) for n in range(140))),
        },
        bomb=True,
    )
    yield from _refused(
        6, CORRUPT, "gzip members", {"131 073 empty gzip members": gzip.compress(b"") * (2**17 + 1)}, bomb=True
    )
    lists = file_("./.slugkit/manifest.json", b'{"schema":1,"x":[' + b"[]," * 300_000 + b"[]]}")
    yield Hostile("a manifest of 300 000 lists", 6, slug(lists, APP, F), tree={"a": b"content"})
    names = _changed(lambda one: one.files.extend(f'["app/{n:06}{"n" * 195}","d"]' for n in range(149_000)))
    yield Hostile("index: 149 000 names", 6, names, CORRUPT, "more or less", streamed=BOTH, bomb=True)
    for records in (255, 256, 2**17):
        made = slug(APP, extension(b"x", b"4 =\n" * records + record("path", b"./app/x")), F)
        if records < 256:
            yield Hostile(f"{records + 1} PAX records", 6, made, tree={"x": b"content"})
        else:
            yield Hostile(f"{records + 1} PAX records", 6, made, CORRUPT, "PAX records")
    yield Hostile(
        "a gzip member for every byte",
        6,
        lambda: (
            gzip.compress(APP + header(Member("./app/noise", "file", 60_000)))
            + parts
            + gzip.compress(padding(60_000) + END)
        ),
        tree={"noise": NOISE[:60_000]},
        bomb=True,
    )


def _deep(number: int) -> bytes:
    """Return a file below 190 directories of its own, their names as long as may be."""
    name = f"./app/{number:04}/" + "p" * 13 + ("/" + "p" * 14) * 188 + "/f"
    return file_(name, b"")


# --- 7: gzip, digests, the index --------------------------------------------------------------------------------


def _gzips() -> Iterator[Hostile]:
    good = slug(APP, F)
    whole = {"a": b"content"}
    parts = [gzip.compress(one) for one in (APP, F, END)]
    yield from _refused(
        7,
        CORRUPT,
        "damaged (",
        {
            "wrong CRC": good[:-8] + bytes([good[-8] ^ 1]) + good[-7:],
            "wrong length": good[:-4] + bytes([good[-4] ^ 1]) + good[-3:],
            "wrong CRC of the first member": parts[0][:-8] + bytes(4) + parts[0][-4:] + parts[1] + parts[2],
            "wrong length of the last member": parts[0] + parts[1] + parts[2][:-1] + b"\1",
            "a method that is not deflate": good[:2] + b"\x07" + good[3:],
            "letters between the members": b"xx".join(parts),
            "a block of a reserved type": good[:10] + b"\x07" + good[11:],
            "a zip behind": good + b"PK\3\4" + bytes(20),
        },
    )
    yield from _refused(
        7,
        CORRUPT,
        "ends in the middle",
        {
            "no trailer": good[:-8],
            "half a trailer": good[:-4],
            "a letter behind": good + b"x",
            "half a magic behind": good + b"\x1f",
            "a magic behind": good + b"\x1f\x8b",
            "a header behind": good + gzip.compress(b"")[:10],
            "a magic alone": b"\x1f\x8b",
            "cut in the last member": b"".join(parts)[:-12],
            "a name that never ends": good[:3] + b"\x08" + good[4:10] + b"n" * 10_000,
            "an extra field that never ends": good[:3] + b"\x04" + good[4:10] + b"\xff\xff" + b"n" * 10_000,
        },
    )
    yield from _refused(
        7,
        CORRUPT,
        "behind the end",
        {
            "twice": good + good,
            "another archive behind": good + slug(APP, file_("./app/b")),
            "letters in a member behind": good + gzip.compress(b"letters"),
        },
    )
    yield from _refused(
        7,
        CORRUPT,
        "behind the padding",
        {
            "zeros, then a letter": good + bytes(600) + b"x",
            "zeros, then an empty member": good + bytes(8) + gzip.compress(b""),
            "zeros across chunks, then a letter": good + bytes(2**18) + b"x",
            "zeros between the members": bytes(8).join(parts),
        },
    )
    yield from _refused(7, CORRUPT, "", {"a line behind": good + b"garbage\n"})
    yield from _refused(7, CORRUPT, "not gzip", {"zeros in front": bytes(8) + good, "a letter in front": b"x" + good})
    yield from _refused(
        7,
        CORRUPT,
        "",
        {"members swapped": parts[1] + parts[0] + parts[2][:20], "the last member lost": parts[0] + parts[1]},
    )
    yield from _normal(
        7,
        {
            "zeros behind": (good + bytes(600), whole),
            "a mebibyte of zeros behind": (good + bytes(2**20), whole),
            "empty members everywhere": (gzip.compress(b"").join([b"", *parts, b""]), whole),
            "a member for every block": (
                b"".join(gzip.compress(piece) for piece in (APP, F[:512], F[512:], END[:512], END[512:])),
                whole,
            ),
            "an extra field of another program": (
                good[:3] + b"\x04" + good[4:10] + struct.pack("<H2sHI", 8, b"SK", 4, 7) + good[10:],
                whole,
            ),
            "a name in the gzip header": (good[:3] + b"\x08" + good[4:10] + b"../../canary\0" + good[10:], whole),
        },
    )


def _changed(change: Callable[[Indexed], object]) -> Callable[[], bytes]:
    """Return what makes a slug of two files whose index says what *change* makes of it."""

    def make() -> bytes:
        made = honest(("a", b"aaa"), ("b", b"bbb"))
        change(made)
        return made.made()

    return make


BOTH = {"a": b"aaa", "b": b"bbb"}
SHA = hashlib.sha256(b"other").hexdigest()


def _told(made: Indexed, number: int, size: int | None = None, digest: str | None = None) -> object:
    """Let the index lie about the segment *number*."""
    told = [(len(one), hashlib.sha256(one).hexdigest()) for one in made.segments]
    told[number] = (told[number][0] if size is None else size, digest or told[number][1])
    made.told = [f'[{one},"{sha}"]' for one, sha in told]
    return made


def _listed(made: Indexed, number: int, line: str) -> object:
    made.files[number] = line
    return made


def _inside() -> bytes:
    """Return a slug whose index hides a file: to a stream what it calls one file's content is three members."""
    made = honest()
    inner = file_("./app/evil", b"evil") + file_("./app/worse", b"")
    made.add(APP, header(Member("./app/d/", "file", len(inner))), inner)
    made.files.append(f'["app/d/","f",{len(inner)}]')
    return made.made()


def _app_is_a_file() -> bytes:
    made = honest()
    inner = file_("./app/evil", b"evil")
    made.add(header(Member("./app/", "file", len(inner), 0o644, 1_000_000_000)), inner)
    made.files[2] = f'["app/","f",{len(inner)}]'
    return made.made()


def _unlisted(pieces: bytes, *lines: str) -> Callable[[], bytes]:
    """Return what makes a slug of *pieces* that the index lists as *lines*."""

    def make() -> bytes:
        made = honest()
        made.add(APP, pieces)
        made.files += lines
        return made.made()

    return make


def _indexes() -> Iterator[Hostile]:
    yield from _indexes_that_lie()
    yield from _indexes_that_are_none()
    yield from _normal(
        7,
        {
            "an honest index": (_changed(lambda _: None), BOTH),
            "an honest index, zeros behind": (lambda: honest(("a", b"1")).made() + bytes(100), {"a": b"1"}),
            "an honest index, no footer": (lambda: honest(("a", b"1")).made()[:-_FOOTER], {"a": b"1"}),
            "an honest index, another empty member": (
                lambda: honest(("a", b"1")).made() + gzip.compress(b""),
                {"a": b"1"},
            ),
            "an index of no files": (_unlisted(b""), {}),
            "a file across segments": (_across, {"big": NOISE[:5000]}),
            "a directory listed twice": (
                _unlisted(dir_("./app/d/") * 2, '["app/d","d"]', '["app/d","d"]'),
                {"d": "directory"},
            ),
            "an indexed name that is no UTF-8": (
                _unlisted(file_("./app/\udcff"), r'["app/\udcff","f",1]'),
                {"\udcff": b"x"},
            ),
        },
    )


_FOOTER = len(compress(b"", {b"SK": bytes(12)}))


def _across() -> bytes:
    """Return a slug with a file in three segments, cut anywhere."""
    made = honest()
    tar = APP + file_("./app/big", NOISE[:5000])
    made.segments += [tar[:1100], tar[1100:1101], tar[1101:]]
    made.files.append('["app/big","f",5000]')
    return made.made()


def _indexes_that_lie() -> Iterator[Hostile]:
    def refused(rule: int, reason: str, changes: Mapping[str, Callable[[Indexed], object]]) -> Iterator[Hostile]:
        for name, change in changes.items():
            yield Hostile(f"index: {name}", rule, _changed(change), "", reason, streamed=BOTH)

    codes = {
        "is not what its index says": {
            "the digest of another segment": lambda one: _told(one, 2, digest=SHA),
            "the digest of nothing": lambda one: _told(one, 0, digest=hashlib.sha256(b"").hexdigest()),
        },
        "does not list what is in it": {
            "names swapped": lambda one: one.files.__setitem__(slice(3, 5), one.files[4:2:-1]),
            "a file renamed": lambda one: _listed(one, 4, '["app/c","f",3]'),
            "a file that can be run": lambda one: _listed(one, 4, '["app/b","x",3]'),
            "a file that is a directory": lambda one: _listed(one, 4, '["app/b","d"],\n["app/c","d"]'),
            "a file that is a link": lambda one: _listed(one, 4, '["app/b","l","a"],\n["app/c","l","a"]'),
            "a size of one less": lambda one: _listed(one, 4, '["app/b","f",2]'),
            "a size of one more": lambda one: _listed(one, 4, '["app/b","f",4]'),
            "sizes swapped": lambda one: (_listed(one, 3, '["app/a","f",515]'), _listed(one, 4, '["app/b","d"]')),
            "a smaller manifest": lambda one: _listed(one, 1, f'[".slugkit/manifest.json","f",{len(MANIFEST) - 1}]'),
        },
        "more or less": {
            "a file left out": lambda one: one.files.pop(),
            "a file too many": lambda one: one.files.append('["app/c","d"]'),
            "a size of 1 GiB": lambda one: _listed(one, 4, '["app/b","f",1073741824]'),
            "a segment of one more": lambda one: _told(one, 2, size=1025),
        },
    }
    for reason, changes in codes.items():
        yield from (_as(CORRUPT, one) for one in refused(7, reason, changes))
    numbers = {
        "a size of 2**33": '["app/b","f",8589934592]',
        "a negative size": '["app/b","f",-1]',
        "a size of a fraction": '["app/b","f",3.0]',
        "a size of true": '["app/b","f",true]',
        "a size of a text": '["app/b","f","3"]',
        "a size of 1e3": '["app/b","f",1e3]',
        "a size of NaN": '["app/b","f",NaN]',
        "a size of 5 000 digits": f'["app/b","f",{"9" * 5000}]',
        "no size": '["app/b","f"]',
        "two sizes": '["app/b","f",3,3]',
        "a letter that is none": '["app/b","h",3]',
        "a letter of a list": '["app/b",[],3]',
        "a name of a number": '[7,"f",3]',
        "a name of nothing": '[null,"f",3]',
        "a name with a NUL": r'["app/b\u0000","f",3]',
        "a name of half a character": r'["app/\ud800","f",3]',
        "a name in another spelling": r'["app/\udcc3\udca9","f",3]',
        "a name that is no ASCII": '["app/\u00e9","f",3]',
        "a target of a number": '["app/b","l",7]',
        "two members in a line": '["app/b","f",3],["app/c","d"]',
        "a member in two lines": '["app/b",\n"f",3]',
        "an object for a line": '{"app/b":"f"}',
        "a number for a line": "7",
        "a line of nothing": "null",
        "an empty line": "",
        "a line of letters": "hello",
        "a line of 2**18 blanks": " " * 2**18 + '["app/b","f",3]',
        "a line nested 30 000 deep": "[" * 30_000 + "]" * 30_000,
    }
    for name, line in numbers.items():
        made = _changed(lambda one, line=line: _listed(one, 4, line))  # type: ignore[misc]
        yield Hostile(f"index: {name}", 7, made, CORRUPT, "cannot be read", streamed=BOTH)
    wrong: dict[str, Callable[[Indexed], object]] = {
        "another version": lambda one: setattr(one, "start", one.start.replace('"version":1', '"version":2')),
        "a key too many": lambda one: setattr(one, "start", one.start.replace('"mtime"', '"x":1,"mtime"')),
        "a first line that is no object": lambda one: setattr(one, "start", "[["),
        "a first line of 12 million lists": lambda one: setattr(
            one, "start", '{"x":[' + "[]," * 2**20 + '[]],"segments":['
        ),
        "a time before 1970": lambda one: setattr(one, "start", one.start.replace("1000000000", "-1")),
        "a time of 5 000 digits": lambda one: setattr(one, "start", one.start.replace("1000000000", "9" * 5000)),
        "no files": lambda one: setattr(one, "between", '],"dirs":['),
        "a segment of 0": lambda one: _told(one, 2, size=0),
        "a segment of -1": lambda one: _told(one, 2, size=-1),
        "a segment of 8 MiB and a byte": lambda one: _told(one, 2, size=2**23 + 1),
        "a digest in capitals": lambda one: _told(one, 2, digest=SHA.upper()),
        "a digest of letters": lambda one: _told(one, 2, digest="z" * 64),
        "a digest with a line": lambda one: _told(one, 2, digest=SHA + "\\n"),
        "a segment too many": lambda one: setattr(_told(one, 2), "told", [*(one.told or []), '[512,""]']),
        "a segment left out": lambda one: (_told(one, 2), one.told and one.told.pop()),
        "a length too many": lambda one: setattr(one, "table", _table(one, 0)),
        "200 000 lines": lambda one: one.files.extend(["[]"] * 200_000),
        "nothing": lambda one: setattr(one, "data", b""),
        "letters": lambda one: setattr(one, "data", b"hello\n"),
        "only lines": lambda one: setattr(one, "data", b"\n" * 1000),
        "NULs": lambda one: setattr(one, "data", bytes(1000)),
        "UTF-16": lambda one: setattr(one, "data", '{"version":1}'.encode("utf-16")),
    }
    yield from (_as(CORRUPT, one) for one in refused(7, "cannot be read", wrong))
    index, evil, ended = "./.slugkit/index.json", file_("./app/evil"), BOTH | {"evil": b"x"}
    framed: dict[str, tuple[Callable[[bytes], bytes], Mapping[str, bytes | str]]] = {
        "another name in the tar": (lambda raw: file_("./.slugkit/other.json", raw) + END, BOTH),
        "a member behind it": (lambda raw: file_(index, raw) + evil + END, ended),
        "a member before it": (lambda raw: evil + file_(index, raw) + END, ended),
        "no end": (lambda raw: file_(index, raw), {}),
        "a longer end": (lambda raw: file_(index, raw) + END + END, BOTH),
        "a longer content": (lambda raw: file_(index, raw + b" ") + END, BOTH),
        "another owner": (
            lambda raw: patched(file_(index, raw)[:512], 108, b"0000001\0") + file_(index, raw)[512:] + END,
            BOTH,
        ),
    }
    for name, (frame, streamed) in framed.items():
        made = _changed(lambda one, frame=frame: setattr(one, "frame", frame))  # type: ignore[misc]
        yield Hostile(f"index: {name}", 7, made, CORRUPT, "index", streamed=streamed)
    time = _changed(lambda one: setattr(one, "start", one.start.replace("1000000000", "1000000001")))
    large = _changed(lambda one: _listed(one, 4, '["app/b","f",8589934591]'))
    yield Hostile("index: a size of 2**33 - 1", 6, large, UNSAFE, "1 GiB", streamed=BOTH)
    yield Hostile("index: another time", 7, time, CORRUPT, "not framed", streamed=BOTH)
    yield from _index_names()


def _as(code: str, one: Hostile) -> Hostile:
    return Hostile(one.name, one.rule, one.made, code, one.reason, streamed=one.streamed, bomb=one.bomb)


def _table(made: Indexed, extra: int) -> bytes:
    return b"".join(struct.pack("<I", len(compress(one))) for one in made.segments) + struct.pack("<I", extra)


def _index_names() -> Iterator[Hostile]:
    """Yield indexes that list what they should not: a stream of the same bytes is refused too, or is *streamed*."""
    names = {
        "a path that climbs": ("app/../canary", "climbs"),
        "a path with an empty part": ("app//b", ""),
        "an absolute path": ("/etc/b", ""),
        "a path with a dot": ("app/./b", "in other words"),
        "a path beside the app": ("beside", "outside of the app"),
        "the app again": ("app", ""),
        "a path with a slash behind": ("app/b/", ""),
        "an empty path": ("", ""),
        "a path of 300 letters": ("app/" + "p" * 300, "too long"),
    }
    for title, (name, reason) in names.items():
        made = _unlisted(file_(f"./{name}", b"x"), f'["{name}","f",1]')
        dotted: Mapping[str, bytes | str] = {"b": b"x"} if title == "a path with a dot" else {}
        yield Hostile(f"index: {title}", 2, made, "*", reason, streamed=dotted)
    pairs = {
        "a file twice": ('["app/a","f",1]', '["app/a","f",1]', file_("./app/a") * 2, "twice"),
        "a file below a link": (
            '["app/l","l","/tmp"]',
            '["app/l/x","f",1]',
            link("./app/l", "/tmp") + file_("./app/l/x"),
            "no dir",
        ),
        "a link to the kernel": (
            '["app/l","l","/proc/1"]',
            '["app/a","f",1]',
            link("./app/l", "/proc/1") + F,
            "a link to",
        ),
        "a link at tmp": (
            '["app/a","f",1]',
            '["app/tmp","l","/"]',
            file_("./app/a") + link("./app/tmp", "/"),
            "must not",
        ),
    }
    for title, (first, second, pieces, reason) in pairs.items():
        yield Hostile(f"index: {title}", 2, _unlisted(pieces, first, second), "*", reason, streamed={})
    yield Hostile("index: a file that a stream takes apart", 7, _inside, CORRUPT, "", streamed={})
    yield Hostile("index: an app that a stream takes apart", 7, _app_is_a_file, CORRUPT, "", streamed={})
    inner = file_("./app/evil")
    hidden: dict[str, tuple[Mapping[str, bytes | str], bytes, tuple[str, ...]]] = {
        "a file that is in another's content": (
            {"a": inner},
            file_("./app/a", inner),
            ('["app/a","d"]', '["app/evil","f",1]'),
        ),
        "a hard link": (
            {"a": b"x", "h": b"x"},
            file_("./app/a") + hard("./app/h", "./app/a"),
            ('["app/a","f",1]', '["app/h","f",0]'),
        ),
        "a FIFO": ({}, typed(b"6", "./app/p"), ('["app/p","f",0]',)),
        "a PAX header": (
            {"z": b"x"},
            pax(("path", b"./app/z")) + file_("./app/a"),
            ('["app/a","f",512]', '["app/b","f",512]'),
        ),
        "an end in the middle": (
            {},
            file_("./app/a") + END + inner,
            ('["app/a","f",1]', '["app/b","f",1024]', '["app/c","d"]'),
        ),
        "bytes in the padding": ({"a": b"content"}, F[:-1] + b"!", ('["app/a","f",7]',)),
        "an owner": ({"a": b"content"}, patched(F[:512], 108, b"0000001\0") + F[512:], ('["app/a","f",7]',)),
    }
    for title, (streamed, pieces, lines) in hidden.items():
        yield Hostile(f"index: {title}", 7, _unlisted(pieces, *lines), CORRUPT, "", streamed=streamed)


def _indexes_that_are_none() -> Iterator[Hostile]:
    """Yield footers and tables that lead elsewhere."""
    other = honest(("other", b"other")).made()
    changes: dict[str, tuple[Callable[[Indexed], object], str]] = {
        "a start at the file's end": (lambda one: setattr(one, "at", 10**6), "not there"),
        "a start of 2**64 - 1": (lambda one: setattr(one, "at", 2**64 - 1), "not there"),
        "a start of 0": (lambda one: setattr(one, "at", 0), "where the segments are"),
        "a start one too late": (
            lambda one: setattr(one, "at", sum(len(compress(raw)) for raw in one.segments) + 1),
            "",
        ),
        "a start in the footer": (lambda one: setattr(one, "at", len(one.made()) - 10), "not there"),
        "a size of 2**32 - 1": (lambda one: setattr(one, "size", 2**32 - 1), "32 MiB"),
        "a size of one less": (lambda one: setattr(one, "size", len(one.raw()) - 1), "not as long"),
        "a size of one more": (lambda one: setattr(one, "size", len(one.raw()) + 1), "not as long"),
        "a size of 0": (lambda one: setattr(one, "size", 0), "not as long"),
        "an empty table": (lambda one: setattr(one, "table", b""), "does not cover"),
        "a table of three bytes": (lambda one: setattr(one, "table", b"abc"), "where the segments are"),
        "lengths that overlap": (lambda one: setattr(one, "lengths", _shifted(one, 5)), "not as long"),
        "lengths of one segment too many": (
            lambda one: setattr(one, "lengths", [*_shifted(one, 0), 0]),
            "cannot be read",
        ),
        "lengths of 2**32 - 1": (lambda one: setattr(one, "lengths", [2**32 - 1] * 3), "does not cover"),
        "the lengths of two segments swapped": (lambda one: setattr(one, "lengths", _shifted(one, 0)[::-1]), ""),
        "two segments swapped": (lambda one: setattr(one, "packed", [_packed(one)[n] for n in (0, 2, 1)]), "says"),
    }
    for name, (change, reason) in changes.items():
        yield Hostile(f"footer: {name}", 7, _changed(change), CORRUPT, reason, streamed=BOTH)
    swapped = _changed(lambda one: setattr(one, "packed", _packed(one)[::-1]))
    yield Hostile("footer: segments swapped", 7, swapped, UNSAFE, "not first")
    yield Hostile(
        "footer: that of another slug",
        7,
        lambda: honest(("a", b"1")).made()[:-_FOOTER] + other[-_FOOTER:],
        CORRUPT,
        "",
        streamed={"a": b"1"},
    )
    yield Hostile("footer: with the index of another slug", 7, _with_anothers_index, CORRUPT, "", streamed={"a": b"1"})
    yield Hostile("footer: behind two slugs", 7, lambda: honest(("a", b"1")).made() + other, CORRUPT, "", streamed={})
    yield Hostile("footer: behind letters", 7, lambda: b"x" * 100 + other, CORRUPT, "not gzip")
    bomb = gzip.compress(bytes(2**25), 9, mtime=0)
    bomb = bomb[:3] + b"\x04" + bomb[4:8] + b"\0\xff" + struct.pack("<H2sH", 4, b"SK", 0) + bomb[10:]
    for name, packed, size in (
        ("an index of 32 MiB of zeros", bomb, 2**25),
        ("an index of 32 MiB and a byte", bomb, 2**25 + 1),
    ):
        footer = compress(b"", {b"SK": struct.pack("<QI", 0, size)})
        yield Hostile(f"footer: {name}", 6, packed + footer, CORRUPT, "", streamed={}, bomb=True)
    yield Hostile("footer: a segment of two gzip members", 7, _two_in_one, CORRUPT, "not as long", streamed=BOTH)
    yield Hostile("footer: a bomb in segments", 6, _bomb_in_segments, CORRUPT, "200 times", bomb=True)


def _packed(made: Indexed) -> list[bytes]:
    return [compress(one) for one in made.segments]


def _shifted(made: Indexed, by: int) -> list[int]:
    first, *rest, last = [len(one) for one in _packed(made)]
    return [first + by, *rest, last - by]


def _with_anothers_index() -> bytes:
    """Return a slug of one file, and then the index of one of another, of the same sizes."""
    made, other = honest(("a", b"1")), honest(("a", b"2"))
    made.data = other.raw()[BLOCK : -BLOCK * 2].rstrip(b"\0")
    return made.made()


def _two_in_one() -> bytes:
    made = honest(("a", b"aaa"), ("b", b"bbb"))
    last = made.segments[2]
    made.packed = [*_packed(made)[:2], compress(last[:600]) + compress(last[600:])]
    return made.made()


def _bomb_in_segments() -> bytes:
    """Return a slug of ten segments of zeros, each 8 MiB of 1 000 times less."""
    made = honest()
    made.add(APP, header(Member("./app/zeros", "file", 10 * 2**23, 0o644, 1_000_000_000)))
    made.segments += [bytes(2**23)] * 10
    made.files.append(f'["app/zeros","f",{10 * 2**23}]')
    made.packed = [gzip.compress(one, 9, mtime=0) for one in made.segments]
    return made.made()


# --- 8: one rename, nothing left ---------------------------------------------------------------------------------


def _late() -> Iterator[Hostile]:
    """Yield archives that are fine until the last: by then there is much to remove."""
    many = b"".join(file_(f"./app/d{n % 10}/f{n}", b"x") for n in range(300))
    deep = b"".join(dir_("./app/" + "d/" * depth) for depth in range(1, 200))
    good = slug(APP, many, deep)
    yield from _refused(
        8, UNSAFE, "twice", {"300 files, then one of them again": slug(APP, many, file_("./app/d0/f0"))}
    )
    yield from _refused(8, CORRUPT, "damaged", {"300 files and a wrong CRC": good[:-8] + bytes(4) + good[-4:]})
    yield from _refused(
        8, CORRUPT, "behind the end", {"199 directories, then letters": slug(APP, deep, END, b"x" * BLOCK)}
    )
    yield from _refused(
        8,
        CORRUPT,
        "ends without",
        {"a file cut at its end": slug(APP, many, header(Member("./app/z", "file", 9999)), end=b"")},
    )
    last = _changed(lambda one: _told(one, 2, digest=SHA))
    yield Hostile("two segments are fine, the third lies", 8, last, CORRUPT, "not what its index says", streamed=BOTH)


# --- 9: nothing lost when packing --------------------------------------------------------------------------------


@frozen
class HostileTree:
    """A tree that cannot be packed as it is: *make* makes it, for a reader who is not root."""

    name: str
    make: Callable[[Path], object]
    reason: str
    rule: int = 9


def _socket(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(root, os.O_RDONLY)
        try:
            made.bind(f"/proc/self/fd/{here}/socket")
        finally:
            os.close(here)


def _unreadable(root: Path) -> None:
    (root / "dir").mkdir()
    (root / "dir/lost").write_text("x")
    (root / "dir").chmod(0)


def _locked(root: Path) -> None:
    (root / "x").write_text("x")
    (root / "x").chmod(0)


def _deep_tree(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def trees() -> tuple[HostileTree, ...]:
    """Return the trees that packing must refuse rather than lose something of."""
    return (
        HostileTree("a directory nobody may read", _unreadable, "cannot be read"),
        HostileTree("a file nobody may read", _locked, "cannot be read"),
        HostileTree("a FIFO", lambda root: os.mkfifo(root / "x"), "not a file, directory or link"),
        HostileTree("a socket", _socket, "not a file, directory or link"),
        HostileTree("300 directories deep", _deep_tree, "too deep"),
        HostileTree("a link out", lambda root: (root / "x").symlink_to("../canary"), "outside"),
        HostileTree("a link to the kernel", lambda root: (root / "x").symlink_to("/proc/self"), "a link to"),
        HostileTree("a link at tmp", lambda root: (root / "tmp").symlink_to("/var/tmp"), "must not be a link"),
    )
