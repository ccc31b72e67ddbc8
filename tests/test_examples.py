"""Every example app is built for real, booted and asked over HTTP, as its expect.toml says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from expectations import check, read
from slugkit.build import SlugBuilder
from slugkit.dyno import DynoRunner
from slugkit.events import BuildpackDetected

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/expect.toml"))


def test_there_are_examples() -> None:
    """The examples that the docs name are here, so that the test below cannot pass by finding none."""
    assert set(NAMES) >= {"django", "express", "flask", "procfile-only", "sinatra", "static"}


@pytest.mark.network
@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize("name", NAMES)
def test_example(name: str, tmp_path: Path) -> None:
    """The example builds from the real package index, boots in a read-only dyno and answers as expected."""
    expect = read(EXAMPLES / name)
    detected = []
    builder = SlugBuilder(
        cache_dir=tmp_path / "cache",
        on_event=lambda e: detected.append(e.name) if isinstance(e, BuildpackDetected) else None,
    )
    source = EXAMPLES / name
    if "prepare" in expect:
        source = Path(shutil.copytree(source, tmp_path / name))
        subprocess.run(expect["prepare"], cwd=source, check=True, capture_output=True)
    slug = builder.build(source, tmp_path / "app.slug.tgz")

    assert detected == [expect["buildpack"]]
    assert list(slug.process_types) == expect["process_types"]
    with DynoRunner(store=tmp_path / "store", boot_timeout=120) as runner:
        check(runner, slug, expect)
