"""The page of a report: it needs nothing, says everything without a picture, and no name in it is markup."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.testing import make_slug
from slugkit.xray import SlugReport, compare, diff_page, inspect, report_page
from slugkit.xray._treemap import HEIGHT, WIDTH, Box, Tile, squarify, treemap
from support import HOSTILE, JUNK, npm

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "figure", "figcaption", "div"),
    *("h1", "h2", "p", "ul", "li", "b", "i", "small", "dl", "dt", "dd"),
    *("table", "thead", "tbody", "tr", "th", "td", "svg", "g", "rect", "text", "tspan"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "style", "viewbox", "role", "aria-label"),
    *("x", "y", "width", "height"),
}
VOID = {"meta"}


class Page(HTMLParser):
    """What a browser would make of a page: tags, attributes and text; badly nested ones fail."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: set[str] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:  # noqa: D102
        self.texts.append(data)


def report(directory: Path, files: dict[str, str | bytes]) -> SlugReport:
    return inspect(make_slug(directory, files, web="run <b>it</b>"))


def pages(tmp_path: Path, files: dict[str, str | bytes]) -> tuple[str, str]:
    """Return the page about a slug of *files*, and the one about what it has more than one without them."""
    old, new = report(tmp_path / "old", {"app.py": "x"}), report(tmp_path / "new", files)
    return report_page(new), diff_page(compare(old, new))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_markup(tmp_path: Path, name: str) -> None:
    """Whatever a file, directory or package is called, the page has only tags and attributes of our own."""
    part = name.replace("/", "_")
    files = {f"{part}/{part}": "x" * 3000, "copy": "x" * 3000, part + ".o": "y", **npm(part, part, 100)}
    for page in pages(tmp_path, files):
        seen = Page(page.encode().decode())
        assert seen.tags <= TAGS
        assert seen.attributes <= ATTRIBUTES
        assert all(re.fullmatch(r"--bar:\d+\.\d\d%", style) for style in seen.styles)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", page)


def test_nothing_is_loaded(tmp_path: Path) -> None:
    """The page allows itself nothing but its own style, and names no other resource."""
    for page in pages(tmp_path, JUNK):
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
        assert not re.search(r"https?:|url\(|@import|src=|href=|<script|<link|<iframe", page)


def test_the_numbers_are_text(tmp_path: Path) -> None:
    """Without the picture there is a table for each question, and rows for what the picture shows."""
    page, changes = (" ".join(Page(page).texts) for page in pages(tmp_path, {**JUNK, **npm("left", "1.3.0", 5000)}))

    for title in ("Parts", "Directories", "Packages", "Left behind", "Lines for .slugignore"):
        assert title in page
    assert "left" in page
    assert "1.3.0" in page
    assert "run <b>it</b>" in page
    for title in ("Size", "Packages", "Directories that grew or shrank", "Files"):
        assert title in changes
    assert "docs/manual.md" in changes


def test_a_report_has_one_page(tmp_path: Path) -> None:
    """The same report gives the same page, byte for byte: it can be compared."""
    found = report(tmp_path, JUNK)

    assert report_page(found) == report_page(found)


def test_long_tables_end(tmp_path: Path) -> None:
    """A page shows the first rows of a long table and says how many more there are."""
    files: dict[str, str | bytes] = {f"d/{number}": str(number) for number in range(400)}
    _, changes = pages(tmp_path, files)

    assert changes.count("<td>added</td>") == 300
    assert "101 more are in the JSON" in changes  # 400, and one that is gone


# -- the treemap -----------------------------------------------------------------------------------------------


def overlap(one: Box, other: Box) -> float:
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(wide, 0) * max(high, 0)


def within(inner: Box, outer: Box) -> bool:
    slack = 1e-6
    return (
        inner.x >= outer.x - slack
        and inner.y >= outer.y - slack
        and inner.x + inner.width <= outer.x + outer.width + slack
        and inner.y + inner.height <= outer.y + outer.height + slack
    )


@given(st.lists(st.integers(1, 10**9), max_size=20), st.floats(10, 2000), st.floats(10, 2000))
def test_areas_are_in_proportion(sizes: list[int], width: float, height: float) -> None:
    """Rectangles fill the sheet without overlap, each with its share of the area."""
    sizes = sorted(sizes, reverse=True)
    sheet = Box(0, 0, width, height)
    boxes = squarify(sizes, sheet)

    assert len(boxes) == len(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.width * box.height == pytest.approx(width * height * size / sum(sizes), rel=1e-6, abs=1e-3)
        assert within(box, sheet)
    pairs = [(one, other) for at, one in enumerate(boxes) for other in boxes[:at]]
    assert all(overlap(one, other) < 1e-3 for one, other in pairs)


def test_equal_sizes_are_nearly_square() -> None:
    """Rectangles are readable: sixteen equal ones on a square sheet are squares."""
    assert {(round(box.width), round(box.height)) for box in squarify([1.0] * 16, Box(0, 0, 400, 400))} == {(100, 100)}


def test_tiles_lie_in_their_directory(tmp_path: Path) -> None:
    """What is in a directory is drawn inside of it, after it; small files are drawn together and counted."""
    files: dict[str, str | bytes] = {f"big/{name}": name * 90_000 for name in "abc"}
    files |= {f"big/many/{number}": str(number) for number in range(500)}
    tiles = treemap(report(tmp_path, files))
    opened: dict[str, Tile] = {}
    for tile in tiles:
        above = tile.path if tile.others else tile.path.rpartition("/")[0]
        assert within(tile.box, opened[above].box if above in opened else Box(0, 0, WIDTH, HEIGHT))
        if tile.open:
            opened[tile.path] = tile
    assert opened.keys() >= {"big"}
    assert sum(tile.weight.files for tile in tiles if not tile.open) == 503


def test_a_way_to_one_directory_is_one_tile(tmp_path: Path) -> None:
    """Directories that hold one other only are drawn as one, with the way as its name."""
    tiles = treemap(report(tmp_path, {"a/b/c/x": "x" * 50_000, "a/b/c/y": "y" * 50_000}))

    assert [tile.label for tile in tiles if tile.open] == ["a/b/c"]


def test_the_legend_names_what_is_there(tmp_path: Path) -> None:
    """Each group that has files has its colour; the directory they share has none, and nothing else is promised."""
    page, _ = pages(tmp_path, {"app.py": "x", **npm("left-pad", "1.3.0", 500)})

    legend = re.findall(r"</i>([^<]*)</li>", page)
    assert legend == ["the app", "left-pad"]
    assert "<b>1</b> package<" in page
