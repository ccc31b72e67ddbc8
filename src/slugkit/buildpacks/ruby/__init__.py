"""The Ruby buildpack: the machine's Ruby and Bundler, in deployment mode; the bundle works at any path."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ..._tree import read_beneath
from ...command import BASH, PROFILE, Completed
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._app import command_of_tests, process_types
from ._compile import HERE, Compile, harmless, read_app, read_cache_status, read_secret

_DEFAULTS = {
    "LANG": "C.UTF-8",
    "RACK_ENV": "production",
    "RAILS_ENV": "production",
    "RAILS_SERVE_STATIC_FILES": "enabled",
    "RAILS_LOG_TO_STDOUT": "enabled",
    "BUNDLE_WITHOUT": "development:test",
    "DISABLE_SPRING": "1",
}
_IN_TESTS = {"RACK_ENV": "test", "RAILS_ENV": "test", "BUNDLE_WITHOUT": "development"}
# What later packs get: what dynos get of it, with the build's directory for $HOME.
_EXPORTED = ("BUNDLE_BIN", "BUNDLE_DEPLOYMENT", "BUNDLE_PATH", "BUNDLE_WITHOUT", "GEM_PATH", "LANG", "PATH")
_EXPORT = 'HOME=$PWD; . "$1"; shift; for name; do printf "%s=%s\\0" "$name" "${!name}"; done'
_REPORTED = {"rails_version": "railties", "rack_version": "rack", "puma_version": "puma"}


@frozen
class RubyBuildpack:
    """Install what Gemfile.lock lists into ``vendor/bundle``; Ruby is the stack's, and the manifest says which."""

    name: str = "ruby"

    def detect(self, context: BuildContext) -> Detection | NotDetected:
        """Claim an app with a Gemfile in its root."""
        if read_beneath(context.build_dir, "Gemfile", 1) is None:
            return NotDetected("no Gemfile")
        return Detection("Ruby", "Gemfile")

    def compile(self, context: BuildContext) -> None:
        """Make ``vendor/bundle`` and ``.profile.d``, and compile the assets of a Rails app."""
        build = Compile(context, _DEFAULTS)
        build.run()
        build.assets()

    def export(self, context: BuildContext) -> Mapping[str, str | None]:
        """Return what leads the commands of later packs to the bundle (contract.md 2.6)."""
        argv: list[str | Path] = [*BASH, _EXPORT, "bash", HERE / "profile.d/ruby.sh", *_EXPORTED]
        told = context.run(argv, env=harmless(context.config_vars), show="no", capture=True).output
        return {name: value for name, _, value in (line.partition("=") for line in told.split("\0") if line)}

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Return what gems and files make run, the database, a secret for Rails, and the Ruby that the slug needs."""
        app = read_app(context)
        secret = read_secret(context) if app.rails else ""
        config_vars = {"SECRET_KEY_BASE": secret} if secret and "SECRET_KEY_BASE" not in context.config_vars else {}
        stays = app.library.startswith("/usr/")  # else it is another pack's, and in the app
        addons = ("heroku-postgresql",) if "pg" in app.gems else ()
        return ReleaseDefaults(process_types(app), config_vars, addons, app.library if stays else None)

    def report(self, context: BuildContext) -> Mapping[str, str | int | float | bool]:
        """Return what is known of the compile, also after a failure; what is not known is left out.

        ``ruby_version``, ``bundler_version``, ``cache_status`` (empty, reused, discarded), and of the gems in
        Gemfile.lock ``rails_version``, ``rack_version``, ``puma_version``.
        """
        app = read_app(context)
        facts = {
            "ruby_version": app.ruby,
            "bundler_version": app.bundler,
            "cache_status": read_cache_status(context),
            **{name: app.gems.get(gem, "") for name, gem in _REPORTED.items()},
        }
        return {name: fact for name, fact in facts.items() if fact}

    def test_compile(self, context: BuildContext) -> None:
        """Do what compile does with the gems of the group test, and without assets."""
        Compile(context, _DEFAULTS | _IN_TESTS).run()

    def test(self, context: BuildContext) -> Completed | None:
        """Run the app's tests with RSpec, Rails or rake; None when it has none of them."""
        argv = command_of_tests(read_app(context))
        if argv is None:
            return None
        line = [*BASH, f'{PROFILE}\nexec "$@"', "bash", *argv]
        env = _IN_TESTS | dict(context.config_vars)
        return context.run(line, env=env, cwd=context.build_dir, check=False, show="raw")
