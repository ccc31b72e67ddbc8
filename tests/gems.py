"""Apps with gems, without a registry: their vendor/cache has gems that are built here, or Debian's."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from slugkit.testing import write_tree

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


@frozen
class Gem:
    """A gem to build; with ``ext/extconf.rb`` among its files it has a native extension."""

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


def vendor(app: Path, *gems: Gem, platform: str = "ruby", more: str = "") -> Path:
    """Put *gems* into vendor/cache of *app*, whose Gemfile.lock lists them, and *more*; return *app*."""
    cache = app / "vendor/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for gem in gems:
        here = write_tree(app.parent / f"{gem.name}-{gem.version}", {**gem.files, "gemspec": gem.spec()})
        _build(here, cache / f"{gem.name}-{gem.version}.gem")
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


def _build(here: Path, output: Path) -> None:
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(here), "LANG": "C.UTF-8"}  # not who runs the tests
    argv: list[str | Path] = ["gem", "build", "--silent", "--output", output, "gemspec"]
    done = subprocess.run(argv, cwd=here, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
