"""What is known of an app after a look at it, whether that can be built here, and what it runs by default. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ...errors import BuildpackError

_RUBYGEMS = "Debian: apt-get install ruby ruby-dev bundler"
_LONGEST = 300  # characters of a version or a path; Python refuses to read numbers of thousands
_RACKUP = "bundle exec rackup config.ru -p ${PORT:-5000}"
_PUMA = "bundle exec puma -p ${PORT:-5000} config.ru"
#: The files that the rules below look at.
FILES = ("config.ru", "bin/rails", "bin/rake", "bin/rspec")


@frozen
class App:
    """An app's Gemfile and Gemfile.lock, and the Ruby and Bundler here; empty text for what is not there.

    ``ruby`` is this machine's, ``wanted_ruby`` the Gemfile's when the two disagree, ``locked_ruby`` Gemfile.lock's.
    ``library`` is the directory of Ruby's own library, which tells one version from another. ``files`` are those of
    `FILES` that the app has, ``tasks`` rake's.
    """

    ruby: str = ""
    engine: str = "ruby"
    abi: str = ""
    library: str = ""
    local: str = ""
    bundler: str = ""
    platforms: tuple[str, ...] = ()
    fits: bool = True
    gems: Mapping[str, str] = field(factory=dict)
    wanted_ruby: str = ""
    locked_ruby: str = ""
    bundled_with: str = ""
    problem: str = ""
    files: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    @property
    def rails(self) -> bool:
        """Whether it is a Rails app: Heroku's packs go by this gem, too."""
        return "railties" in self.gems


def decode(raw: bytes, files: frozenset[str] = frozenset(), tasks: bytes = b"[]") -> App:
    """Return the app that ``look.rb`` wrote down as *raw*; *tasks* is a JSON list.

    Raises:
        BuildpackError: Something of the app's has written there instead.
    """
    try:
        plain = json.loads(raw)
        gems = {_text(name): _text(version) for name, version in plain.pop("gems", {}).items()}
        platforms = tuple(map(_text, plain.pop("platforms", [])))
        fits = plain.pop("fits", True) is True
        texts = {name: _text(value) for name, value in plain.items()}
        return App(platforms=platforms, fits=fits, gems=gems, files=files, tasks=frozenset(json.loads(tasks)), **texts)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        fix = "see that it and the Rakefile leave /tmp/slugkit-ruby alone"
        raise BuildpackError(f"what was found out of the Gemfile cannot be read: {error!r:.150}", fix) from error


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value[:_LONGEST]


def check(app: App) -> tuple[str, ...]:
    """Return what to warn of, if *app* can be built here at all.

    Raises:
        BuildpackError: It cannot; names the file and the way out.
    """
    if not app.ruby:
        fix = "see that nothing in it ends Ruby (exit!, abort, exec) or changes what is in /tmp"
        raise BuildpackError("Gemfile: Ruby had ended before the Gemfile was read to its end", fix)
    if not app.bundler:
        raise BuildpackError(f"there is no Bundler on this machine, for Ruby {app.ruby}", _RUBYGEMS)
    if app.problem:
        raise BuildpackError(f"cannot read Gemfile.lock: {app.problem}", "run bundle install, and check it in")
    if app.wanted_ruby:
        fix = f"install Ruby {app.wanted_ruby}, or change the line ruby in the Gemfile and run bundle install"
        raise BuildpackError(f"the Gemfile asks for Ruby {app.wanted_ruby}, this machine has {app.ruby}", fix)
    if not app.fits:
        listed = ", ".join(app.platforms) or "none"
        fix = f"run `bundle lock --add-platform {app.local}`, and check in Gemfile.lock"
        raise BuildpackError(f"Gemfile.lock is for {listed}, this machine is {app.local}", fix)
    return (*_check_locked_ruby(app), *_check_bundled_with(app))


def _check_locked_ruby(app: App) -> tuple[str, ...]:
    """Refuse another series than Gemfile.lock's, as gems and app may not run on it; warn of another patch level."""
    locked = app.locked_ruby.removeprefix("ruby ").partition("p")[0].strip()
    if not locked or locked == app.ruby:
        return ()
    here = f"Gemfile.lock has RUBY VERSION {locked}, this machine has Ruby {app.ruby}"
    if locked.split(".")[:2] != app.ruby.split(".")[:2]:
        raise BuildpackError(here, f"install Ruby {locked}, or run `bundle update --ruby` with Ruby {app.ruby}")
    return (here,)


def _check_bundled_with(app: App) -> tuple[str, ...]:
    """Refuse a Gemfile.lock of a later Bundler than can read it; one of a later version of the same series can."""
    theirs, ours = _numbers(app.bundled_with), _numbers(app.bundler)
    if theirs <= ours:
        return ()
    here = f"Gemfile.lock is BUNDLED WITH {app.bundled_with}, this machine has Bundler {app.bundler}"
    if theirs[:1] > ours[:1]:
        fix = f"run `gem install bundler -v {app.bundled_with}` here, or `bundle update --bundler={app.bundler}`"
        raise BuildpackError(here, fix)
    return (here,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def process_types(app: App) -> dict[str, str]:
    """Return what *app* runs unless its Procfile says otherwise (contract.md 8.5).

    >>> process_types(App(gems={"rack": "2.2.22"}, files=frozenset({"config.ru"})))["web"]
    'bundle exec rackup config.ru -p ${PORT:-5000}'
    """
    types = {"rake": "bundle exec rake", "console": "bundle exec irb"}
    if app.rails:
        rails = "bin/rails" if "bin/rails" in app.files else "bundle exec rails"
        types |= {"web": f"{rails} server -p ${{PORT:-5000}} -e $RAILS_ENV", "console": f"{rails} console"}
    elif "config.ru" in app.files and (web := _rack(app.gems)):
        types["web"] = web
    if "jobs:work" in app.tasks:
        types["worker"] = "bundle exec rake jobs:work"
    return types


def _rack(gems: Mapping[str, str]) -> str | None:
    """Return what serves a config.ru: rackup, a part of Rack before version 3 and a gem since, or else Puma."""
    if "rackup" in gems or _numbers(gems.get("rack", "3")) < (3,):
        return _RACKUP
    return _PUMA if "puma" in gems else None


def command_of_tests(app: App) -> tuple[str, ...] | None:
    """Return what runs the tests of *app*: RSpec first, then Rails' own, then rake (contract.md 8.5)."""
    if "rspec-core" in app.gems:
        return ("bin/rspec",) if "bin/rspec" in app.files else ("bundle", "exec", "rspec")
    if app.rails and "bin/rails" in app.files:
        return ("bin/rails", "test")
    if "bin/rake" in app.files:
        return ("bin/rake", "test")
    return ("bundle", "exec", "rake", "test") if "test" in app.tasks else None
