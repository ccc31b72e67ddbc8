"""Budgets: what a slug may weigh, and what a job is told when it weighs more."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.errors import BudgetExceededError, InvalidBudgetError
from slugkit.testing import make_slug
from slugkit.xray import Budget, SlugReport, annotations, breaches, check_budget, compare, inspect, read_budget
from support import HOSTILE, npm


def report(directory: Path, files: dict[str, str | bytes] | None = None) -> SlugReport:
    return inspect(make_slug(directory, files or {"lib/a": "x" * 1000, **npm("left-pad", "1.3.0", 500)}))


def budget(tmp_path: Path, text: str) -> Budget:
    path = tmp_path / "budget.toml"
    path.write_text(text)
    return read_budget(path)


def broken(limits: Budget, found: SlugReport) -> list[str]:
    return [breach.rule for breach in breaches(limits, found)]


def test_a_budget_is_what_its_file_says(tmp_path: Path) -> None:
    """Sizes have units, directories any spelling of their path, and what is left out has no limit."""
    found = budget(
        tmp_path,
        """
        [slug]
        max_size = "120MiB"
        max_unpacked = 5000
        max_files = 12
        [directories]
        "./node_modules/" = "40 MiB"
        "." = "1G"
        [packages]
        numpy = "30MiB"
        [growth]
        max = "2MiB"
        max_percent = 2.5
        """,
    )

    assert found == Budget(
        path=str(tmp_path / "budget.toml"),
        max_size=120 * 2**20,
        max_unpacked=5000,
        max_files=12,
        directories={"node_modules": 40 * 2**20, ".": 2**30},
        packages={"numpy": 30 * 2**20},
        growth=2 * 2**20,
        growth_percent=2.5,
    )
    assert budget(tmp_path, "") == Budget(path=found.path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[slugs]", "slugs"),
        ("slug = 1", "slug"),
        ("[slug]\nmax = 1", "slug.max"),
        ('[slug]\nmax_size = "1MB"', "slug.max_size"),
        ("[slug]\nmax_size = -1", "slug.max_size"),
        ("[slug]\nmax_size = 1.5", "slug.max_size"),
        ("[slug]\nmax_files = true", "slug.max_files"),
        ('[slug]\nmax_files = "many"', "slug.max_files"),
        ("[directories]\na = []", "directories.a"),
        ("[packages.numpy]\nmax_size = 1", "packages.numpy"),
        ("[growth]\nmax_percent = nan", "growth.max_percent"),
        ("[growth]\nmax_percent = inf", "growth.max_percent"),
        ('[growth]\nmax_percent = "5%"', "growth.max_percent"),
        ('"a\\nb" = 1', r"a\x0ab"),
        ("[slug", ""),
        ("a = 1\na = 2", ""),
        ("\0", ""),
    ],
)
def test_what_means_nothing_is_named(tmp_path: Path, text: str, key: str) -> None:
    """An unknown key, a wrong unit or a file that is no TOML is an error with the file and the key."""
    with pytest.raises(InvalidBudgetError) as caught:
        budget(tmp_path, text)

    assert (caught.value.path, caught.value.key) == (str(tmp_path / "budget.toml"), key)
    assert str(caught.value).startswith(f"cannot use the budget {caught.value.path}: {key}")
    assert "\n" not in str(caught.value)


def test_a_budget_has_to_be_a_file(tmp_path: Path) -> None:
    """A budget that is not there, a directory, or not UTF-8 is an error with the file's name: no limit is silent."""
    (tmp_path / "latin").write_bytes(b'"\xff" = 1')
    for name in ("missing", ".", "latin"):
        with pytest.raises(InvalidBudgetError) as caught:
            read_budget(tmp_path / name)
        assert caught.value.path == str(tmp_path / name)


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_budget_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever a budget file holds, the outcome is a budget or one clear error."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, newline="", errors="surrogateescape")
    try:
        found = read_budget(path)
    except InvalidBudgetError:
        return
    assert found.path == str(path)


def test_limits_are_broken_by_what_is_larger(tmp_path: Path) -> None:
    """A slug that is as large as a limit keeps it; one byte or file more breaks it, and only that one."""
    found = report(tmp_path)
    size, unpacked, files = found.size, found.weight.size, found.weight.files
    package = found.packages[0].weight.size

    kept = Budget(
        max_size=size,
        max_unpacked=unpacked,
        max_files=files,
        directories={"lib": 1000, ".": unpacked, "none": 0},
        packages={"left-pad": package, "none": 0},
    )
    assert broken(kept, found) == []
    assert broken(Budget(max_size=size - 1), found) == ["slug.max_size"]
    assert broken(Budget(max_unpacked=unpacked - 1), found) == ["slug.max_unpacked"]
    assert broken(Budget(max_files=files - 1), found) == ["slug.max_files"]
    assert broken(Budget(directories={"lib": 999, "lib/a": 0}), found) == ["directories.lib"]
    assert broken(Budget(packages={"left-pad": package - 1}), found) == ["packages.left-pad"]
    assert broken(Budget(packages={"npm:left-pad": 0, "pypi:left-pad": 0}), found) == ["packages.npm:left-pad"]


@pytest.mark.parametrize("name", ["Flask_SQLAlchemy", "flask-sqlalchemy", "pypi:flask.sqlalchemy"])
def test_python_packages_have_many_spellings(tmp_path: Path, name: str) -> None:
    """A package of PyPI is found by any spelling of its name that PyPI takes for the same."""
    info = ".heroku/python/lib/python3.13/site-packages/flask_sqlalchemy-3.1.0.dist-info"
    found = report(tmp_path, {f"{info}/METADATA": "Metadata-Version: 2.1\nName: Flask-SQLAlchemy\nVersion: 3.1.0\n"})

    assert broken(Budget(packages={name: 1}), found) == [f"packages.{name}"]


def test_growth_is_held_against_the_old_slug(tmp_path: Path) -> None:
    """Growth counts compressed bytes or percent of the old slug; shrinking, or a single slug, breaks no such limit."""
    old = report(tmp_path / "old", {"a": "x"})
    new = report(tmp_path / "new", {"a": "x", "b": bytes(range(256)) * 9})
    grown = new.size - old.size
    percent = 100 * grown / old.size
    rules = [breach.rule for breach in breaches(Budget(growth=0, growth_percent=0.0), compare(old, new))]

    assert rules == ["growth.max", "growth.max_percent"]
    assert breaches(Budget(growth=grown, growth_percent=percent + 0.001), compare(old, new)) == ()
    assert breaches(Budget(growth=0, growth_percent=0.0), compare(new, old)) == ()
    assert breaches(Budget(growth=0, growth_percent=0.0), new) == ()
    assert [breach.rule for breach in breaches(Budget(max_size=old.size), compare(old, new))] == ["slug.max_size"]


def test_the_error_names_limits_and_growers(tmp_path: Path) -> None:
    """A broken budget is one error: each limit with what it is and what was allowed, then what grew most."""
    old, new = report(tmp_path / "old", {"a": "x"}), report(tmp_path / "new")
    with pytest.raises(BudgetExceededError) as caught:
        check_budget(Budget("b.toml", max_files=2, directories={"lib": 10}), compare(old, new))

    assert str(caught.value).splitlines() == [
        "the slug breaks 2 limits of b.toml",
        "  3 files is more than 2: slug.max_files",
        "  1000B is more than 10B: directories.lib",
        "  +540B unpacked: npm:left-pad",
        "  +1000B unpacked: lib",
    ]
    with pytest.raises(BudgetExceededError, match=r"1 limit of b\.toml\n") as caught:
        check_budget(Budget("b.toml", max_files=2), new)
    assert caught.value.growers[0] == "540B unpacked: npm:left-pad 1.3.0"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_an_annotation(tmp_path: Path, name: str) -> None:
    """A broken limit is one annotation, on one line, whatever the directories and packages are called."""
    part = name.replace("/", "_")
    found = report(tmp_path, {f"{part}/{part}": "x" * 9000, **npm(part, "1.0.0", 5000)})
    with pytest.raises(BudgetExceededError) as caught:
        check_budget(Budget("b.toml", directories={part: 1}), found)
    lines = list(annotations(caught.value))

    assert len(lines) == 2
    assert all("\n" not in line and "\r" not in line and "\x1b" not in line for line in lines)
    assert [line.split("::")[1].split(" ")[0] for line in lines] == ["error", "notice"]


def test_annotations_are_escaped_as_github_wants() -> None:
    """Percent signs, line ends, and in a title colons and commas, are what the runner decodes."""
    error = BudgetExceededError("a,b:c%.toml", ("100% of\nit",), ("one", "two"))

    assert list(annotations(error)) == [
        "::error title=Slug over budget (a%2Cb%3Ac%25.toml)::100%25 of%0Ait",
        "::notice title=Where the slug's bytes are::one%0Atwo",
    ]


def test_a_package_is_named_once(tmp_path: Path) -> None:
    """What is largest in a slug are packages, and directories that are none."""
    with pytest.raises(BudgetExceededError) as caught:
        check_budget(Budget(max_files=0), report(tmp_path))

    named = [line.partition(": ")[2] for line in caught.value.growers]
    assert named[:2] == ["npm:left-pad 1.3.0", "lib"]
    assert "node_modules/left-pad" not in named
