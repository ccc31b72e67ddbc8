"""The Ruby buildpack: the machine's Ruby and Bundler, in deployment mode; the bundle works at any path."""

from attrs import frozen

from ..._tree import read_beneath
from ...command import BASH, PROFILE, Completed
from .._contract import BuildContext, Detection, NotDetected, ReleaseDefaults
from ._app import command_of_tests, process_types
from ._compile import Compile, read_app, read_secret

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

    def release(self, context: BuildContext) -> ReleaseDefaults:
        """Return the process types that the app's gems and files make, a secret for Rails, and the Ruby it needs."""
        app = read_app(context)
        secret = read_secret(context) if app.rails else ""
        config_vars = {"SECRET_KEY_BASE": secret} if secret and "SECRET_KEY_BASE" not in context.config_vars else {}
        return ReleaseDefaults(process_types(app), config_vars, interpreter=app.library or None)

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
