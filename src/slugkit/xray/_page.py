"""A report as one page that needs nothing else: no network, no script, numbers to read where pictures are not seen."""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape

from ..logline import harmless, plain_text
from ..units import human_growth, human_size
from ._diff import SlugDiff
from ._report import SlugReport
from ._style import STYLE
from ._tables import Table, diff_tables, facts, report_tables
from ._treemap import HEIGHT, WIDTH, Tile, treemap
from ._weights import ROOT, Weight, group_of, heaviest, weigh

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_ROWS = 300  # of a table; JSON has the rest
_COLOURS, _OTHER = 7, "c7"
_CHARACTER = 7.0  # units of the treemap a letter of a label takes

Colour = Callable[[Tile], str]


def text(value: str) -> str:
    """Return *value* as text of a page: nothing in it is markup, a control character, or no character at all."""
    return escape(plain_text(value), quote=True)


def report_page(report: SlugReport, depth: int | None = None) -> str:
    """Return the page about the slug of *report*."""
    colours = _colours(report)
    cards = [
        (human_size(report.size), "compressed"),
        (human_size(report.weight.size), "unpacked"),
        _count(report.weight.files, "file"),
        _count(len(report.packages), "package"),
    ]
    if report.savings.suggestions:
        cards.append((human_size(report.savings.weight.packed), "a .slugignore would save"))
    legend = [(colour, _called(group)) for group, colour in colours.items()]
    if len(colours) == _COLOURS:
        legend.append((_OTHER, "everything else"))
    figure = _figure(treemap(report), lambda tile: colours.get(group_of(tile.path + "/"), _OTHER), legend)
    return _page(report.path, "What is in", cards, figure, facts(report), report_tables(report, depth))


def diff_page(diff: SlugDiff, depth: int | None = None) -> str:
    """Return the page about what has changed from the one slug of *diff* to the other."""
    percent = 100 * diff.growth / (diff.old.size or 1)
    cards = [
        (human_growth(diff.growth), f"compressed, {percent:+.1f}%"),
        (human_size(diff.new.size), "compressed now"),
        (human_growth(diff.new.weight.size - diff.old.weight.size), "unpacked"),
        (f"{diff.new.weight.files - diff.old.weight.files:+,}", "files"),
        (str(len(diff.packages)), "packages changed" if len(diff.packages) != 1 else "package changed"),
    ]
    legend = [("new", "new"), ("grew", "grew"), ("shrank", "shrank"), ("changed", "changed"), ("same", "as before")]
    figure = _figure(treemap(diff.new), _growth_colour(diff), legend)
    facts = [("old", diff.old.path), ("", diff.old.digest), ("new", diff.new.path), ("", diff.new.digest)]
    return _page(diff.new.path, "What has changed in", cards, figure, facts, diff_tables(diff, depth))


def _colours(report: SlugReport) -> Mapping[str, str]:
    """Return a colour for each of what weighs most: the app's own files first, then parts and packages."""
    sums = weigh(report.files, lambda file: group_of(file.path) if file.kind != "dir" else None)
    sums.pop(ROOT, None)
    groups = [ROOT, *heaviest(sums, lambda group: sums[group], str)]
    return {group: f"c{number}" for number, group in enumerate(groups[:_COLOURS])}


def _count(number: int, noun: str) -> tuple[str, str]:
    return f"{number:,}", noun if number == 1 else f"{noun}s"


def _called(group: str) -> str:
    if group == ROOT:
        return "the app"
    return re.sub(r"^(?:.*/)?(?:node_modules|site-packages)/", "", group, flags=re.DOTALL) or group


def _growth_colour(diff: SlugDiff) -> Colour:
    old: dict[str, int] = {file.path: file.size for file in diff.old.files if file.kind != "dir"}
    old |= {place.path: place.weight.size for place in diff.old.directories}
    changed = {one.path for one in diff.files}

    def colour(tile: Tile) -> str:
        if tile.path not in old:
            return "new"
        if tile.others:
            return "same"
        grown = tile.weight.size - old[tile.path]
        return "grew" if grown > 0 else "shrank" if grown < 0 else "changed" if tile.path in changed else "same"

    return colour


def _page(
    path: str,
    kicker: str,
    cards: Sequence[tuple[str, str]],
    figure: str,
    facts: Sequence[tuple[str, str]],
    tables: Sequence[Table],
) -> str:
    name = text(path.rpartition("/")[2])
    shown = "".join(f"<li><b>{text(number)}</b> {text(what)}</li>" for number, what in cards)
    said = "".join(f"<dt>{text(label)}</dt><dd>{text(value)}</dd>" for label, value in facts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(kicker)} {name}</title>
<style>{STYLE}</style>
</head>
<body>
<header><p>{text(kicker)}</p><h1>{name}</h1><ul class="cards">{shown}</ul></header>
<main>
{figure}
{"".join(_section(table) for table in tables)}
<section><h2>The slug</h2><dl>{said}</dl></section>
</main>
</body>
</html>
"""


def _figure(tiles: Sequence[Tile], colour: Colour, legend: Sequence[tuple[str, str]]) -> str:
    drawn = "\n".join(_drawn(tile, colour(tile)) for tile in tiles)
    keys = "".join(f'<li><i class="{colour}"></i>{text(name)}</li>' for colour, name in legend)
    return f"""<figure>
<div class="sheet"><svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="The slug's files by compressed size">
{drawn}
</svg></div>
<figcaption><ul class="legend">{keys}</ul>Area: compressed bytes. Point at a rectangle for its path.</figcaption>
</figure>"""


def _drawn(tile: Tile, colour: str) -> str:
    box = tile.box
    title = f"{tile.path}/ {tile.label}" if tile.others else tile.path
    weight = _weight(tile.weight)
    style = f"{colour} open" if tile.open else colour
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{max(box.width - 1, 0):.1f}" height="{max(box.height - 1, 0):.1f}"'
    return f'<g class="{style}"><title>{text(title)}\n{weight}</title><rect {shape}/>{_label(tile)}</g>'


def _weight(weight: Weight) -> str:
    files = f", {weight.files:,} files" if weight.files != 1 else ""
    return f"{human_size(weight.packed)} compressed, {human_size(weight.size)} unpacked{files}"


def _label(tile: Tile) -> str:
    """Return as much of a tile's name as there is room for, and its size if there is more room."""
    box, room = tile.box, int((tile.box.width - 8) / _CHARACTER)
    if room < min(len(tile.label), 5) or box.height < 15:  # noqa: PLR2004 - nothing could be read
        return ""
    size = human_size(tile.weight.packed)
    name = _cut(tile.label, room)
    lines = f'<text x="{box.x + 4:.1f}" y="{box.y + 12.5:.1f}">{text(name)}'
    if tile.open:
        aside = f' <tspan class="size">{size}</tspan>' if room > len(name) + len(size) + 1 else ""
        return f"{lines}{aside}</text>"
    beneath = f'<text class="size" x="{box.x + 4:.1f}" y="{box.y + 26:.1f}">{size}</text>'
    return f"{lines}</text>{beneath if box.height >= 30 and room > len(size) else ''}"  # noqa: PLR2004 - two lines


def _cut(name: str, room: int) -> str:
    plain = harmless(name)
    return plain if len(plain) <= room else plain[: room - 1] + "…"


def _section(table: Table) -> str:
    heads = "".join(f"<th{_right(table, at)}>{text(column)}</th>" for at, column in enumerate(table.columns))
    rows = "\n".join(_row(table, at) for at in range(min(len(table.rows), _MOST_ROWS)))
    more = len(table.rows) - _MOST_ROWS
    notes = [table.note, f"{more:,} more are in the JSON" if more > 0 else ""]
    note = text("; ".join(one for one in notes if one))
    return (
        f"<section><h2>{text(table.title)} <small>{len(table.rows):,}</small></h2>{f'<p>{note}</p>' if note else ''}"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div></section>\n'
    )


def _row(table: Table, at: int) -> str:
    cells = "".join(f"<td{_right(table, column)}>{text(cell)}</td>" for column, cell in enumerate(table.rows[at]))
    bar = f' style="--bar:{min(table.bars[at], 1):.2%}"' if table.bars else ""
    return f"<tr{bar}>{cells}</tr>"


def _right(table: Table, column: int) -> str:
    return ' class="number"' if column < table.numbers else ""
