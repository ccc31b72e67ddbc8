"""One compile of a Ruby app, step by step, and what its steps note of it for those that follow."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import attrs

from ..._tree import in_the_way, read_beneath
from ..._version import __version__
from ...command import Completed
from ...environ import for_build
from ...errors import BuildpackError
from .._contract import BuildContext
from .._steps import step_argv
from ._app import FILES, App, check, decode
from ._failures import install_error

HERE = Path(__file__).parent
_LOOK = HERE / "look.rb"
_NOT_FOUND = 127  # a shell's own status for a command that is not there
_LARGEST = 2**22  # bytes of a Gemfile.lock, and of what is found out of it
_RAKEFILES = ("Rakefile", "rakefile", "Rakefile.rb", "rakefile.rb")
_NOTES = "slugkit-ruby"  # in the build's /tmp: what the steps tell of this build
# Config vars that would lead Ruby or Bundler elsewhere (contract.md 2.4); the rest of its settings comes through.
_UNSAFE = {
    *("GEM_HOME", "GEM_PATH", "RUBYLIB", "RUBYOPT"),
    *("BUNDLE_APP_CONFIG", "BUNDLE_BIN", "BUNDLE_CACHE_PATH", "BUNDLE_GEMFILE", "BUNDLE_PATH"),
}
# As Heroku's pack does: Rails loads without a database, but not without the address of one.
_ADAPTERS = {"pg": "postgres", "mysql2": "mysql2", "trilogy": "trilogy", "sqlite3": "sqlite3"}
_SETTINGS = {
    "BUNDLE_CLEAN": "true",  # bundle clean, after install, in the same process
    "BUNDLE_DEPLOYMENT": "1",
    "BUNDLE_JOBS": "4",
    "BUNDLE_SILENCE_ROOT_WARNING": "1",
    "SOURCE_DATE_EPOCH": "315532800",
}


@attrs.frozen(slots=False)
class Compile:
    """One compile, step by step, with ``defaults`` of variables that config vars override."""

    context: BuildContext
    defaults: dict[str, str]

    def run(self) -> None:
        """Make ``vendor/bundle`` and ``.profile.d``."""
        self._check_tree()
        app = self._app
        warnings = check(app)
        self._say(f"-----> Using Ruby {app.ruby} ({app.local}) of the stack")
        for warning in warnings:
            self._say(f" !     Warning: {warning}")
        self._inside("prepare", self._cached, self._notes, self._key)
        if app.rails:
            self._inside("secret", self._cached)
        self._install()
        self._find_tasks()
        self._inside("profile", HERE / "profile.d")

    def assets(self) -> None:
        """Compile the assets of an app whose rake has a task for it, unless its source brings them compiled."""
        tasks = read_app(self.context).tasks
        if "assets:precompile" not in tasks:
            return
        self._say("-----> Preparing app for Rails asset pipeline")
        if self._inside("has-assets", check=False) == 0:
            self._say("       Detected manifest file, assuming assets were compiled locally")
            return
        restored = self._inside("restore-assets", self._cached, check=False) == 0
        self._rake("assets:precompile")
        if restored and "assets:clean" in tasks:
            self._say("       Cleaning assets")
            self._rake("assets:clean")
        self._inside("save-assets", self._cached)

    def _rake(self, task: str) -> None:
        self._say(f"       Running: rake {task}")
        done = self._bundle("exec", "rake", task)
        if done.status != 0:
            said = [line for line in done.output.splitlines() if line.strip() not in {"", "rake aborted!"}]
            fix = f"make `RAILS_ENV=production bundle exec rake {task}` work without a database"
            raise BuildpackError(f"Rakefile: {task} failed: {said[0] if said else done.status}", fix)

    def _check_tree(self) -> None:
        """Refuse a source without what this pack needs, or with links or files where it is about to write."""
        root = self.context.build_dir
        if read_beneath(root, "Gemfile.lock", 1) is None:
            fix = "run bundle install, and check in the Gemfile.lock that it writes"
            raise BuildpackError("Gemfile.lock required. Please check it in.", fix)
        for name in ("Gemfile", "Gemfile.lock"):  # Ruby would say it in a hundred lines of its own source
            try:
                (read_beneath(root, name, _LARGEST) or b"").decode()
            except UnicodeDecodeError as error:
                fix = f"save {name} as UTF-8" if name == "Gemfile" else "run bundle install, and check it in"
                raise BuildpackError(f"{name} is no UTF-8 text", fix) from error
        for name in ("vendor", "vendor/bundle", ".bundle", ".profile.d"):
            if in_the_way(root / name):
                fix = "remove it from the source, or name it in .slugignore"
                raise BuildpackError(f"the source has its own {name}", fix)
        for name, why in ((".bundle/config", "holds the settings of one machine"), ("vendor/bundle", "is made here")):
            if os.path.lexists(root / name):
                self._say(f" !     Warning: {name} {why}: the source's own is left out, and need not be checked in")

    def _look(self) -> App:
        done = self.context.run(["ruby", _LOOK, self._notes / "app.json"], env=self._env, check=False)
        if done.status == _NOT_FOUND:
            fix = "Debian: apt-get install ruby ruby-dev bundler"
            raise BuildpackError("the app has a Gemfile, and there is no Ruby on this machine", fix)
        if done.status != 0:
            raise BuildpackError(f"ruby ended with status {done.status} at the Gemfile", "see its words above")
        return read_app(self.context)

    def _install(self) -> None:
        self._say(f"-----> Installing dependencies using bundler {self._app.bundler}")
        self._say(f"       Running: BUNDLE_DEPLOYMENT=1 BUNDLE_WITHOUT={self._env['BUNDLE_WITHOUT']} bundle install")
        done = self._bundle("install")
        if done.status != 0:
            raise install_error(done.output)
        self._say("       Cleaning up the bundler cache.")
        self._inside("place", self._cached)

    def _find_tasks(self) -> None:
        """Note what rake can do; for a Rails app it has to answer, as a broken Rakefile would leave out its assets."""
        if "rake" not in self._app.gems or not any(has(self.context, name) for name in _RAKEFILES):
            return
        if self._inside("tasks", self._notes, env=self._bundle_env, check=False) == 0:
            return
        if self._app.rails:
            fix = "make `RAILS_ENV=production bundle exec rake -P` work without the groups development and test"
            raise BuildpackError("Rakefile: rake cannot list its tasks", fix)
        self._say(" !     Warning: Rakefile: rake cannot list its tasks, so none of them is run or offered")

    def _bundle(self, *arguments: str) -> Completed:
        return self.context.run(["bundle", *arguments], env=self._bundle_env, check=False)

    def _inside(self, *arguments: str | Path, env: Mapping[str, str | Path] = _SETTINGS, check: bool = True) -> int:
        """Run one step of `_inside.ruby` in the sandbox: the tree is the app's, its links lead anywhere."""
        return self.context.run(step_argv("ruby", *arguments), env=env, check=check).status

    def _say(self, text: str) -> None:
        self.context.say(text)

    @property
    def _cached(self) -> Path:
        return self.context.cache_dir / "ruby"

    @property
    def _notes(self) -> Path:
        return self.context.tmp / _NOTES

    @cached_property
    def _app(self) -> App:
        return self._look()

    @cached_property
    def _env(self) -> dict[str, str | Path]:
        tmp = {"TMPDIR": self.context.tmp}  # compilers' own, where nothing is mounted on /tmp
        return {**self.defaults, **harmless(self.context.config_vars), **_SETTINGS, **tmp}

    @cached_property
    def _bundle_env(self) -> dict[str, str | Path]:
        secret = {"SECRET_KEY_BASE": found} if (found := read_secret(self.context)) else {}
        adapter = next((scheme for gem, scheme in _ADAPTERS.items() if gem in self._app.gems), None)
        database = {"DATABASE_URL": f"{adapter}://user:pass@127.0.0.1/dbname"} if adapter else {}
        return {
            **secret,
            **database,
            **self._env,
            "BUNDLER_VERSION": self._app.bundler,  # never one that it would have to fetch
            "BUNDLE_PATH": self._cached / "bundle",  # the same place each time: compilers note where they are
            "BUNDLE_BIN": self.context.build_dir / "vendor/bundle/bin",
        }

    @property
    def _key(self) -> str:
        """What an installed gem depends on, besides its version: the Ruby, and what compiles it."""
        app = self._app
        return f"{__version__} {app.engine} {app.ruby} {app.abi} {app.local}"


def harmless(config_vars: Mapping[str, str]) -> dict[str, str]:
    """Return those *config_vars* that Ruby and Bundler may have in a build."""
    return {n: v for n, v in for_build(config_vars).items() if n not in _UNSAFE}


def read_app(context: BuildContext) -> App:
    """Return what this build has noted of the app; one of which nothing is known before it was looked at."""
    raw = _noted(context, "app.json") or b"{}"
    tasks = _noted(context, "tasks.json") or b"[]"
    return decode(raw, frozenset(name for name in FILES if has(context, name)), tasks)


def read_cache_status(context: BuildContext) -> str:
    """Return what this build found in the cache, as ``cache_status`` of reports: empty, reused, discarded."""
    return _noted(context, "cache-status").decode("ascii", "replace")


def read_secret(context: BuildContext) -> str:
    """Return the SECRET_KEY_BASE that the cache keeps, or nothing."""
    return (read_beneath(context.cache_dir, "ruby/secret_key_base", 1024) or b"").decode("ascii", "replace")


def has(context: BuildContext, name: str) -> bool:
    """Return whether *name* is a regular file of the app."""
    return read_beneath(context.build_dir, name, 1) is not None


def _noted(context: BuildContext, name: str) -> bytes:
    return read_beneath(context.tmp, f"{_NOTES}/{name}", _LARGEST) or b""
