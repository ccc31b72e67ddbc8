"""A squarified treemap (Bruls, Huizing, van Wijk 2000): areas in proportion to weights, as square as they can be."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from ._report import SlugReport
from ._weights import NOTHING, ROOT, Weight, parent, weight

WIDTH, HEIGHT = 1200.0, 640.0
_HEADER = 17.0  # of a directory that is shown with what is in it
_GAP = 2.0
_LEAST_WIDE, _LEAST_HIGH = 70.0, 46.0  # of a directory that is
_LEAST_AREA = 90.0  # what would be smaller is drawn together
_DEEPEST = 12


@frozen
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    def inside(self) -> "Box":
        """Return what is left of it under a header and within a margin."""
        return Box(self.x + _GAP, self.y + _HEADER, max(self.width - 2 * _GAP, 0), max(self.height - _HEADER - _GAP, 0))


@frozen
class Tile:
    """A file or directory in its place; one that is ``open`` is drawn below what is in it.

    The many small ones of a directory are one tile with the directory's path and their number as ``others``.
    """

    path: str
    label: str
    weight: Weight
    box: Box
    open: bool = False
    others: int = 0


@frozen
class _Node:
    path: str
    weight: Weight
    is_directory: bool


def squarify(sizes: Sequence[float], box: Box) -> list[Box]:
    """Return a rectangle in *box* for each of *sizes*, which are positive and fall.

    >>> [(box.x, box.width, box.height) for box in squarify([3.0, 1.0], Box(0.0, 0.0, 4.0, 2.0))]
    [(0.0, 3.0, 2.0), (3.0, 1.0, 2.0)]
    """
    scale = box.width * box.height / (sum(sizes) or 1)
    areas = [size * scale for size in sizes]
    found: list[Box] = []
    while len(found) < len(areas):
        short = min(box.width, box.height)
        row = _row(areas, len(found), short)
        laid, box = _lay(row, box)
        found += laid
    return found


def _row(areas: Sequence[float], start: int, short: float) -> Sequence[float]:
    """Return the areas from *start* that, side by side along *short*, are squarest."""
    end, total, best = start, 0.0, float("inf")
    while end < len(areas):
        total += areas[end]
        worst = max(short * short * areas[start] / (total * total), total * total / (short * short * areas[end] or 1))
        if worst > best:
            break
        best, end = worst, end + 1
    return areas[start : max(end, start + 1)]


def _lay(row: Sequence[float], box: Box) -> tuple[list[Box], Box]:
    """Return the boxes of *row* along the shorter side of *box*, and what of it is left."""
    total = sum(row)
    wide = box.width >= box.height
    thick = total / ((box.height if wide else box.width) or 1)
    boxes, along = [], 0.0
    for area in row:
        long = area / (thick or 1)
        if wide:
            boxes.append(Box(box.x, box.y + along, thick, long))
        else:
            boxes.append(Box(box.x + along, box.y, long, thick))
        along += long
    if wide:
        return boxes, Box(box.x + thick, box.y, max(box.width - thick, 0), box.height)
    return boxes, Box(box.x, box.y + thick, box.width, max(box.height - thick, 0))


def treemap(report: SlugReport) -> tuple[Tile, ...]:
    """Return the slug of *report* as tiles on a sheet of `WIDTH` by `HEIGHT`, what lies below others first."""
    below = _children(report)
    tiles: list[Tile] = []
    todo = [(ROOT, Box(0, 0, WIDTH, HEIGHT), 0)]
    while todo:
        path, box, level = todo.pop()
        for tile, node in _laid(path, below[path], box):
            opened = node is not None and node.is_directory and level < _DEEPEST and _has_room(tile.box)
            way = _way(tile.path, below) if opened else ""
            if way and below[way]:
                todo.append((way, tile.box.inside(), level + 1))
                tile = evolve(tile, path=way, label=way.removeprefix(f"{path}/"), open=True)  # noqa: PLW2901
            tiles.append(tile)
    return tuple(tiles)


def _children(report: SlugReport) -> defaultdict[str, list[_Node]]:
    below = defaultdict[str, list[_Node]](list)
    for place in report.directories:
        if place.path != ROOT:
            below[parent(place.path)].append(_Node(place.path, place.weight, is_directory=True))
    for file in report.files:
        if file.kind != "dir":
            below[parent(file.path)].append(_Node(file.path, weight(file), is_directory=False))
    for nodes in below.values():
        nodes.sort(key=lambda node: (-node.weight.packed, node.path))
    return below


def _way(path: str, below: Mapping[str, Sequence[_Node]]) -> str:
    """Return the first directory from *path* down that holds more than one other."""
    while len(below.get(path, ())) == 1 and below[path][0].is_directory:
        path = below[path][0].path
    return path


def _has_room(box: Box) -> bool:
    return box.width >= _LEAST_WIDE and box.height >= _LEAST_HIGH


def _laid(path: str, nodes: Sequence[_Node], box: Box) -> Iterator[tuple[Tile, _Node | None]]:
    """Yield the tiles of a directory's *nodes* within *box*, the small ones of them as one."""
    total = sum(node.weight.packed for node in nodes)
    least = total * _LEAST_AREA / (box.width * box.height or 1)
    shown: list[_Node | None] = [node for node in nodes if node.weight.packed > 0 and node.weight.packed >= least]
    small = [node.weight for node in nodes[len(shown) :] if node.weight.packed > 0]
    rest = sum(small, start=NOTHING)
    if small:
        insort(shown, None, key=lambda node: -(node.weight if node else rest).packed)
    boxes = squarify([(node.weight if node else rest).packed for node in shown], box)
    for node, place in zip(shown, boxes, strict=True):
        if node:
            yield Tile(node.path, node.path.rpartition("/")[2], node.weight, place), node
        else:
            yield Tile(path, f"{len(small)} more", rest, place, others=len(small)), None
