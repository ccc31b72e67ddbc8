"""The tree that packing and unpacking are measured on: this interpreter's own environment, copied."""

import sys
from pathlib import Path

from slugkit._tree import copy_tree


def make(root: Path) -> Path:
    """Copy the environment that runs the benchmark into *root*/tree and return that."""
    tree = root / "tree"
    tree.mkdir()
    copy_tree(Path(sys.prefix), tree)
    return tree
