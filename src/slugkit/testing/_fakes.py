"""Fakes of slugkit's own seams, for tests of buildpacks written in Python and of tools that embed slugkit."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

from .._tree import remove_tree
from ..archive import Slug, pack
from ..build import write_env_dir
from ..buildpacks import BuildContext, Detection, NotDetected, ReleaseDefaults
from ..command import Completed, Runner, Show
from ..errors import CommandFailedError
from ..slug import Manifest


def write_tree(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write *files*, contents by relative path, below *root* and return it; a path that ends in ``/`` is a directory.

    A file whose content starts with ``#!`` is made executable.
    """
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(data)
        path.chmod(0o755 if data.startswith(b"#!") else 0o644)
    return root


def make_slug(directory: Path, files: Mapping[str, str | bytes], **process_types: str) -> Slug:
    """Return a slug of *files* with *process_types*, packed below *directory* without any build."""
    root = write_tree(directory / "tree", {"tmp/": "", "log/": "", **files})
    manifest = Manifest(process_types=process_types)
    digests = pack(root, manifest, directory / "app.slug.tgz")
    return Slug(directory / "app.slug.tgz", manifest, digests.size, digests)


@define
class RecordingRunner:
    """A `Runner` that runs nothing: it records each command in ``calls`` and answers with ``answer``.

    The environment of each is in ``envs``; what commands were to be shown is in ``shown``.
    """

    answer: Callable[[tuple[str | Path, ...]], Completed] = lambda _: Completed(0, "")
    calls: list[tuple[str | Path, ...]] = field(factory=list, init=False)
    envs: list[dict[str, str | Path]] = field(factory=list, init=False)
    shown: list[Path] = field(factory=list, init=False)

    def __call__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str | Path] | None = None,
        cwd: Path | None = None,  # noqa: ARG002 - the Protocol's shape
        check: bool = True,
        show: Show = "indented",  # noqa: ARG002 - the Protocol's shape
        capture: bool = False,  # noqa: ARG002 - the Protocol's shape
    ) -> Completed:
        """Record *argv* and its *env*, and answer; *check* works as it does for real."""
        self.calls.append(tuple(argv))
        self.envs.append(dict(env or {}))
        done = self.answer(tuple(argv))
        if check and done.status != 0:
            raise CommandFailedError(str(argv[0]), done.status, tuple(done.output.splitlines()))
        return done

    def showing(self, directory: Path) -> "RecordingRunner":
        """Record *directory*."""
        self.shown.append(directory)
        return self


@frozen
class FakeBuildpack:
    """A buildpack in five lines: what it answers to detect, what it does in compile, what it sets."""

    name: str = "fake"
    detection: Detection | NotDetected = field(factory=lambda: Detection("Fake"))
    on_compile: Callable[[BuildContext], None] = lambda _: None
    defaults: ReleaseDefaults = field(factory=ReleaseDefaults)

    def detect(self, context: BuildContext) -> Detection | NotDetected:  # noqa: ARG002 - the Protocol's shape
        """Return ``detection``."""
        return self.detection

    def compile(self, context: BuildContext) -> None:
        """Call ``on_compile``."""
        self.on_compile(context)

    def release(self, context: BuildContext) -> ReleaseDefaults:  # noqa: ARG002 - the Protocol's shape
        """Return ``defaults``."""
        return self.defaults


def fake_context(
    root: Path,
    *,
    run: Runner | None = None,
    config_vars: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BuildContext:
    """Return a context whose tree is *root*/build and whose commands are recorded, not run; what it says goes to *say*.

    CACHE_DIR is *root*/cache; ENV_DIR is *root*/env, with the *config_vars* as files.
    """
    for name in ("build", "cache"):
        (root / name).mkdir(parents=True, exist_ok=True)
    context = BuildContext(root / "build", root / "cache", config_vars or {}, run or RecordingRunner(), say)
    remove_tree(context.env_dir)
    write_env_dir(context.env_dir, context.config_vars)
    return context
