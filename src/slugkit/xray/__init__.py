"""The X-ray: what is in a slug, what has changed since another one, and whether it keeps to a budget."""

from ._budget import Breach, Budget, breaches, check_budget, read_budget
from ._diff import Change, FileChange, Growth, PackageChange, SlugDiff, compare, diff
from ._github import annotations
from ._page import diff_page, report_page
from ._report import SlugReport, inspect
from ._savings import Savings, Suggestion
from ._tables import Table, diff_tables, facts, report_tables
from ._waste import Duplicate, Leftover
from ._weights import PackageWeight, Place, Weight

__all__ = [
    "Breach",
    "Budget",
    "Change",
    "Duplicate",
    "FileChange",
    "Growth",
    "Leftover",
    "PackageChange",
    "PackageWeight",
    "Place",
    "Savings",
    "SlugDiff",
    "SlugReport",
    "Suggestion",
    "Table",
    "Weight",
    "annotations",
    "breaches",
    "check_budget",
    "compare",
    "diff",
    "diff_page",
    "diff_tables",
    "facts",
    "inspect",
    "read_budget",
    "report_page",
    "report_tables",
]
