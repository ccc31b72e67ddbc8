import pickle
from pathlib import Path
from typing import Any

import pytest

from slugkit.errors import SlugkitError, SourceNotFoundError
from slugkit.source import DirectorySource, GitSource, TarballSource, as_source


def test_a_directory_is_a_directory_source(tmp_path: Path) -> None:
    """A path to a directory means that directory, as text or as a path, also when it is a git checkout."""
    (tmp_path / ".git").mkdir()

    assert as_source(tmp_path) == as_source(str(tmp_path)) == DirectorySource(tmp_path)


def test_a_file_is_a_tarball(tmp_path: Path) -> None:
    """A path to a file means a tarball, whatever its name: its bytes are looked at later."""
    file = tmp_path / "app.zip"
    file.write_bytes(b"")

    assert as_source(file) == as_source(str(file)) == TarballSource(file)


def test_links_lead_where_they_point(tmp_path: Path) -> None:
    """The caller's own link to a directory or a file is followed: the caller is trusted, the tree is not."""
    (tmp_path / "app").mkdir()
    (tmp_path / "dir").symlink_to("app")
    (tmp_path / "app.tar").write_bytes(b"")
    (tmp_path / "file").symlink_to("app.tar")

    assert as_source(tmp_path / "dir") == DirectorySource(tmp_path / "dir")
    assert as_source(tmp_path / "file") == TarballSource(tmp_path / "file")


@pytest.mark.parametrize("kind", [DirectorySource, GitSource, TarballSource])
def test_a_source_stays_what_it_is(kind: Any, tmp_path: Path) -> None:  # noqa: ANN401 - any of the three classes
    """A source the caller made is taken as it is when its path is there."""
    source = kind(tmp_path)

    assert as_source(source) is source


@pytest.mark.parametrize("kind", [DirectorySource, GitSource, TarballSource])
def test_text_will_do_for_a_path(kind: Any, tmp_path: Path) -> None:  # noqa: ANN401 - any of the three classes
    """All three kinds of source take their path as text too."""
    assert kind(str(tmp_path)) == kind(tmp_path)
    assert as_source(kind(str(tmp_path))).path == tmp_path


@pytest.mark.parametrize("kind", [DirectorySource, GitSource, TarballSource, Path, str])
def test_nothing_there_is_an_error(kind: Any, tmp_path: Path) -> None:  # noqa: ANN401 - any way to name a source
    """A source that does not exist is refused at once, by its path."""
    with pytest.raises(SourceNotFoundError) as caught:
        as_source(kind(tmp_path / "nope"))

    assert caught.value.path == str(tmp_path / "nope")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("path", ["./no/such/app", "no//such/app", "no/such/app/"])
def test_the_error_names_the_path_as_given(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message shows the path the caller typed, not a tidied one."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SourceNotFoundError) as caught:
        as_source(path)

    assert caught.value.path == path


def test_a_dangling_link_is_nothing(tmp_path: Path) -> None:
    """A link that leads nowhere is no source."""
    (tmp_path / "app").symlink_to("gone")

    with pytest.raises(SourceNotFoundError):
        as_source(tmp_path / "app")


@pytest.mark.parametrize("path", ["n" * 300, "a\0b"], ids=["name too long", "NUL"])
def test_impossible_paths_are_slugkit_s_errors(path: str) -> None:
    """A path no file can have is refused like a missing one; no bare OSError or ValueError escapes."""
    with pytest.raises(SlugkitError):
        as_source(path)


def test_sources_are_values(tmp_path: Path) -> None:
    """Sources compare by kind, path and ref, can be keys and travel between processes; HEAD is the default ref."""
    git = GitSource(tmp_path, "main")

    assert git == GitSource(tmp_path, ref="main")
    assert git != GitSource(tmp_path)
    assert GitSource(tmp_path).ref == "HEAD"
    assert len({git, GitSource(tmp_path, "main"), DirectorySource(tmp_path), TarballSource(tmp_path)}) == 3
    assert pickle.loads(pickle.dumps(git)) == git
