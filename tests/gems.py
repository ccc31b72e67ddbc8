"""Apps with gems, without a registry: their vendor/cache has gems that are built here, or Debian's."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import tomli
from attrs import frozen

from slugkit.testing import write_tree
from users import readable_by_all

FROM_DEBIAN = Path(__file__).parent.parent / "examples/sinatra/vendor-from-debian.rb"
#: A gem that is compiled where it is installed; its library notes the directory of that, as gcc does with -g.
NATIVE = {
    "ext/extconf.rb": "require 'mkmf'\n$CFLAGS << ' -g'\ncreate_makefile('fortytwo/native')\n",
    "ext/native.c": (
        '#include "ruby.h"\n'
        "static VALUE answer(VALUE self) { return INT2FIX(42); }\n"
        'void Init_native(void) { rb_define_global_function("answer", answer, 0); }\n'
    ),
    "lib/fortytwo.rb": "require 'fortytwo/native'\n",
}


@frozen(eq=False)
class Gem:
    """A gem to build, once for all tests that use it; with ``ext/extconf.rb`` it has a native extension."""

    name: str
    version: str
    files: Mapping[str, str]
    needs: Sequence[str] = ()
    executables: Sequence[str] = ()

    def spec(self) -> str:
        """Return its gemspec."""
        fields = [
            f"s.name, s.version = {self.name!r}, {self.version!r}",
            "s.summary, s.authors = 'a gem of a test', ['slugkit']",
            f"s.files = {sorted(self.files)!r}",
            f"s.executables = {list(self.executables)!r}",
            *(f"s.add_dependency {need!r}" for need in self.needs),
            *(["s.extensions = ['ext/extconf.rb']"] if "ext/extconf.rb" in self.files else []),
        ]
        return "Gem::Specification.new { |s| " + "; ".join(fields) + " }\n"


@contextmanager
def builds_for_all() -> Iterator[Path]:
    """Yield a directory that everybody may enter, with what a build imports in its lib/."""
    with readable_by_all("slugkit", "attr", "attrs", "isal", "packaging", "python_discovery", "tomli", "yaml") as place:
        for compiled in Path(tomli.__file__).parents[1].glob("*__mypyc.*.so"):  # tomli's, beside it
            shutil.copy(compiled, place / "lib")
        yield place


def vendor(app: Path, *gems: Gem, platform: str = "ruby", more: str = "") -> Path:
    """Put *gems* into vendor/cache of *app*, whose Gemfile.lock lists them, and *more*; return *app*."""
    for gem in gems:
        write_tree(app / "vendor/cache", {f"{gem.name}-{gem.version}.gem": _archive(gem)})
    (app / "Gemfile.lock").write_text(lock(app, *gems, platform=platform) + more)
    return app


def from_debian(app: Path) -> Path:
    """Put the gems that the Gemfile of *app* leads to into its vendor/cache, out of Debian's packages; return *app*."""
    done = subprocess.run(["ruby", FROM_DEBIAN], cwd=app, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return app


def lock(app: Path, *gems: Gem, platform: str = "ruby") -> str:
    """Return a Gemfile.lock for *gems*, of which the Gemfile of *app* names some."""
    ours = sorted(gems, key=lambda gem: gem.name)
    named = [gem for gem in ours if f'gem "{gem.name}"' in (app / "Gemfile").read_text()]
    specs = "".join(f"    {gem.name} ({gem.version})\n" + "".join(f"      {n}\n" for n in gem.needs) for gem in ours)
    wanted = "".join(f"  {gem.name}\n" for gem in named)
    source = f"GEM\n  remote: https://rubygems.org/\n  specs:\n{specs}"
    return f"{source}\nPLATFORMS\n  {platform}\n\nDEPENDENCIES\n{wanted}"


@cache
def _archive(gem: Gem) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        here = write_tree(Path(directory), {**gem.files, "gemspec": gem.spec()})
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(here), "LANG": "C.UTF-8"}  # not who runs the tests
        argv: list[str | Path] = ["gem", "build", "--silent", "--output", here / "built.gem", "gemspec"]
        done = subprocess.run(argv, cwd=here, env=env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return (here / "built.gem").read_bytes()
