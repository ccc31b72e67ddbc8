"""The Ruby buildpack as values, with a recording runner; test_ruby_apps.py has it at work."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slugkit.buildpacks import BuildContext, Detection, NotDetected, RubyBuildpack
from slugkit.buildpacks.ruby._app import App, check, command_of_tests, decode, process_types
from slugkit.buildpacks.ruby._failures import install_error
from slugkit.command import Completed
from slugkit.errors import BuildpackError
from slugkit.testing import RecordingRunner, fake_context, write_tree

SOURCE: Mapping[str, str] = {"Gemfile": 'source "https://rubygems.org"\n', "Gemfile.lock": "GEM\n"}
MORE: Mapping[str, str] = {"README": ""}
MOST_LINES = 8  # of an error, its hint included


def looking(
    root: Path,
    *,
    tasks: str | None = None,
    gems: Mapping[str, str] | None = None,
    library: str = "/usr/lib/ruby/3.1.0",
    **answers: Completed,
) -> RecordingRunner:
    """Return a runner that answers as a machine with Ruby would, for an app of these *gems* and rake's *tasks*.

    *answers* are to steps by name: "assets" that are there, those "restored", "precompile".
    """
    facts = {"ruby": "3.1.7", "bundler": "2.3.27", "local": "x86_64-linux", "library": library}

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        notes = root / "slugkit-ruby"
        notes.mkdir(exist_ok=True)
        (root / "cache/ruby").mkdir(exist_ok=True)
        if argv[0] == "ruby":
            (notes / "app.json").write_text(json.dumps({**facts, "gems": dict(gems or {})}))
        if "tasks" in argv:
            (notes / "tasks.json").write_text(tasks or "[]")
            return Completed(0 if tasks else 1, "")
        if "has-assets" in argv:
            return answers.get("assets", Completed(1, ""))
        if "restore-assets" in argv:
            return answers.get("restored", Completed(3, ""))
        if "assets:precompile" in argv:
            return answers.get("precompile", Completed(0, ""))
        return Completed(0, "")

    return RecordingRunner(answer)


def compiled(
    tmp_path: Path, run: RecordingRunner, files: Mapping[str, str] = MORE, **config_vars: str
) -> tuple[BuildContext, list[str]]:
    """Compile an app with *files* by *run*; return its context, and what it said."""
    said: list[str] = []
    context = fake_context(tmp_path, run=run, config_vars=config_vars, say=said.append)
    write_tree(context.build_dir, {**SOURCE, **files})
    RubyBuildpack().compile(context)
    return context, said


def steps(run: RecordingRunner) -> list[str]:
    """Return what was run, shortened."""
    short = []
    for argv in run.calls:
        names = [argument if isinstance(argument, str) else argument.name for argument in argv]
        inside = "_inside" in names
        short.append(names[names.index("_inside") + 2] if inside else " ".join(names[:2]))
    return short


def refusal(error: BuildpackError) -> str:
    """Return what a user reads of *error*, held to what errors of packs have to be."""
    text = f"{error.reason}\n{error.fix}"
    assert len(text.splitlines()) <= MOST_LINES
    assert error.fix
    return text


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"Gemfile": ""}, Detection("Ruby", "Gemfile")),
        ({"sub/Gemfile": ""}, NotDetected("no Gemfile")),
        ({"Gemfile/x": ""}, NotDetected("no Gemfile")),
        ({"gemfile": "", "Gemfile.lock": "", "config.ru": ""}, NotDetected("no Gemfile")),
    ],
)
def test_detect(tmp_path: Path, files: dict[str, str], answer: Detection | NotDetected) -> None:
    """An app is Ruby when a regular file Gemfile is in its root (contract.md 8.2)."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, files)

    assert RubyBuildpack().detect(context) == answer


def test_steps_of_a_compile(tmp_path: Path) -> None:
    """A look, then the install into what the cache kept, what of that the app gets, and the profile scripts."""
    run = looking(tmp_path)
    compiled(tmp_path, run)

    assert steps(run) == ["ruby look.rb", "prepare", "bundle install", "place", "profile"]


def test_bundler_is_told_to_deploy(tmp_path: Path) -> None:
    """Bundler's settings are those of contract.md 8.5, by variables, never by a file; a config var overrides groups."""
    run = looking(tmp_path)
    compiled(tmp_path, run)
    env = run.envs[steps(run).index("bundle install")]

    assert (env["BUNDLE_DEPLOYMENT"], env["BUNDLE_WITHOUT"]) == ("1", "development:test")
    assert env["BUNDLE_PATH"] == tmp_path / "cache/ruby/bundle"
    assert env["BUNDLER_VERSION"] == "2.3.27"
    assert (env["RACK_ENV"], env["RAILS_ENV"], env["LANG"]) == ("production", "production", "C.UTF-8")


def test_config_vars_reach_bundler_only_if_harmless(tmp_path: Path) -> None:
    """BUNDLE_WITHOUT and credentials are Bundler's; RUBYOPT and GEM_HOME never enter a build (contract.md 2.4)."""
    run = looking(tmp_path)
    unsafe = {"RUBYOPT": "-revil", "RUBYLIB": "/evil", "GEM_HOME": "/evil", "GEM_PATH": "/evil", "LD_PRELOAD": "x"}
    harmless = {"BUNDLE_WITHOUT": "x", "BUNDLE_GEMS__EXAMPLE__COM": "user:pass"}
    compiled(tmp_path, run, MORE, **harmless, BUNDLE_PATH="/evil", **unsafe)
    env = run.envs[steps(run).index("bundle install")]

    assert (env["BUNDLE_WITHOUT"], env["BUNDLE_GEMS__EXAMPLE__COM"]) == ("x", "user:pass")
    assert all(unsafe.keys().isdisjoint(env) for env in run.envs)
    assert "/evil" not in repr(run.envs)
    assert "user:pass" not in repr(run.calls)


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("name", ["vendor", "vendor/bundle", ".bundle", ".profile.d"])
def test_links_where_the_pack_writes_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    """A source that has a link or a file where the pack would write is refused by name."""
    context = fake_context(tmp_path, run=looking(tmp_path))
    write_tree(context.build_dir, SOURCE)
    (context.build_dir / name).parent.mkdir(exist_ok=True)
    path = context.build_dir / name
    path.symlink_to("/tmp") if kind == "link" else path.write_text("x")
    with pytest.raises(BuildpackError, match=f"the source has its own {name}"):
        RubyBuildpack().compile(context)


def test_what_is_of_one_machine_is_left_out_aloud(tmp_path: Path) -> None:
    """A .bundle/config or vendor/bundle that is checked in is not used, and the build says so."""
    files = {".bundle/config": "---\nBUNDLE_PATH: /home/me/gems\n", "vendor/bundle/ruby/x": ""}
    _, said = compiled(tmp_path, looking(tmp_path), files)

    assert [line.split()[2] for line in said if "left out" in line] == [".bundle/config", "vendor/bundle"]


@pytest.mark.parametrize("name", ["Gemfile", "Gemfile.lock"])
def test_what_is_no_text(tmp_path: Path, name: str) -> None:
    """A file in another encoding is named, before Ruby answers with its own source."""
    context = fake_context(tmp_path, run=looking(tmp_path))
    write_tree(context.build_dir, {**SOURCE, name: "GEM\n".encode("utf-16")})
    with pytest.raises(BuildpackError, match=f"^{name} is no UTF-8 text$") as caught:
        RubyBuildpack().compile(context)

    assert refusal(caught.value)


def test_no_lock(tmp_path: Path) -> None:
    """Without a Gemfile.lock the error is Heroku's sentence, and the fix."""
    context = fake_context(tmp_path, run=looking(tmp_path))
    write_tree(context.build_dir, {"Gemfile": ""})
    with pytest.raises(BuildpackError) as caught:
        RubyBuildpack().compile(context)

    assert caught.value.reason == "Gemfile.lock required. Please check it in."
    assert "bundle install" in refusal(caught.value)


def test_no_ruby(tmp_path: Path) -> None:
    """On a machine without Ruby the error says which packages bring it."""
    context = fake_context(tmp_path, run=RecordingRunner(lambda _: Completed(127, "")))
    write_tree(context.build_dir, SOURCE)
    with pytest.raises(BuildpackError, match="there is no Ruby on this machine") as caught:
        RubyBuildpack().compile(context)

    assert "apt-get install ruby ruby-dev bundler" in refusal(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ruby": ""}, ["Gemfile", "exit!"]),
        ({"bundler": ""}, ["no Bundler on this machine", "3.1.7", "bundler"]),
        ({"problem": "Your lockfile contains merge conflicts."}, ["Gemfile.lock", "merge conflicts", "bundle install"]),
        ({"wanted_ruby": "~> 3.2.0"}, ["Gemfile", "~> 3.2.0", "3.1.7"]),
        ({"wanted_ruby": "jruby 9.4"}, ["Gemfile", "jruby 9.4", "3.1.7"]),
        ({"locked_ruby": "ruby 3.2.2p53"}, ["Gemfile.lock", "3.2.2", "3.1.7", "bundle update --ruby"]),
        (
            {"fits": False, "platforms": ("arm64-darwin-22", "java")},
            ["Gemfile.lock", "arm64-darwin-22, java", "bundle lock --add-platform x86_64-linux"],
        ),
        ({"bundled_with": "3.0.1"}, ["BUNDLED WITH 3.0.1", "Bundler 2.3.27", "gem install bundler -v 3.0.1"]),
    ],
)
def test_what_cannot_be_built_here(change: dict[str, Any], words: list[str]) -> None:
    """The error names the file, what it asks for, what this machine has, and the command that helps."""
    with pytest.raises(BuildpackError) as caught:
        check(App(**{"ruby": "3.1.7", "local": "x86_64-linux", "bundler": "2.3.27", **change}))

    assert [word for word in words if word not in refusal(caught.value)] == []


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b"[]", b"\xff", b'{"ruby": 3}', b'{"gems": {"a": "%s"}' % (b"x" * 10**6)]
)
def test_what_a_gemfile_writes_in_place_of_what_was_found(raw: bytes) -> None:
    """Whatever a Gemfile, which is a program, leaves for the host to read is one short error."""
    with pytest.raises(BuildpackError, match="what was found out of the Gemfile cannot be read") as caught:
        decode(raw)

    assert len(refusal(caught.value)) < 300


def test_a_version_of_thousands_of_digits() -> None:
    """A version is read as far as one can be: Python refuses to read a number that long."""
    app = decode(b'{"ruby": "3.1.7", "bundler": "2.3.27", "bundled_with": "2.%s"}' % (b"9" * 10_000))

    assert len(check(app)[0]) < 500


@pytest.mark.parametrize(
    ("change", "warnings"),
    [
        ({"locked_ruby": "ruby 3.1.7p261", "bundled_with": "2.3.27"}, []),
        ({"locked_ruby": "ruby 3.1.2p20"}, ["Gemfile.lock has RUBY VERSION 3.1.2, this machine has Ruby 3.1.7"]),
        ({"bundled_with": "2.6.9"}, ["Gemfile.lock is BUNDLED WITH 2.6.9, this machine has Bundler 2.3.27"]),
        ({"bundled_with": "1.17.3"}, []),
    ],
)
def test_what_is_only_warned_of(change: dict[str, Any], warnings: list[str]) -> None:
    """Another patch level of Ruby, and a later Bundler of the same series, build with a warning that names both."""
    assert list(check(App(**{"ruby": "3.1.7", "bundler": "2.3.27", **change}))) == warnings


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "x.c:1: fatal error: zlib.h: No such file\nAn error occurred while installing nokogiri (1.15.4), and\n",
            ["nokogiri 1.15.4", "zlib.h", "-dev package"],
        ),
        ("You are trying to install in deployment mode after changing\nyour Gemfile.", ["Gemfile.lock", "check in"]),
        (
            "Git error: command `git clone --bare --quiet --\nfile:///srv/x.git\n/tmp/x` in directory /b has\nfailed.",
            ["Gemfile", "file:///srv/x.git", "no directory of this machine", "bundle cache --all"],
        ),
        (
            "Git error: command `git fetch --depth 1 -- https://example.com/x.git a` in directory /x has failed",
            ["Gemfile", "https://example.com/x.git", "password", "bundle cache --all"],
        ),
        (
            "`git reset` has failed.\nRevision abc does not exist in the\nrepository https://example.com/x.git. Maybe",
            ["Gemfile.lock", "https://example.com/x.git has no revision abc", "bundle install"],
        ),
        ("You need to install git to be able to use gems from git repositories.", ["Gemfile", "apt-get install git"]),
        ("Could not reach host rubygems.org. Check your network", ["rubygems.org", "vendor/cache"]),
        ("Could not find rack-3.0.8.gem for installation", ["rack-3.0.8.gem", "Gemfile.lock", "bundle cache"]),
        ("\n".join(f"line {number}" for number in range(50)), ["bundle install failed", "line 49"]),
        ("", ["bundle install failed"]),
    ],
)
def test_what_bundler_says_when_it_fails(output: str, words: list[str]) -> None:
    """A failed bundle install is an error that names the gem or the file, and the way out, in a few lines."""
    text = refusal(install_error(output))

    assert [word for word in words if word not in text] == []


def test_what_a_report_tells(tmp_path: Path) -> None:
    """The report has the versions of Ruby, Bundler and three gems; of a build that ends early, less."""
    gems = {"railties": "7.1.0", "rack": "3.0.8", "json": "2.7.0"}
    run = looking(tmp_path, gems=gems)
    context, _ = compiled(tmp_path, run)
    (tmp_path / "slugkit-ruby/cache-status").write_text("discarded")
    early = fake_context(tmp_path / "2")
    with pytest.raises(BuildpackError):
        RubyBuildpack().compile(early)

    assert RubyBuildpack().report(context) == {
        "ruby_version": "3.1.7",
        "bundler_version": "2.3.27",
        "cache_status": "discarded",
        "rails_version": "7.1.0",
        "rack_version": "3.0.8",
    }
    assert RubyBuildpack().report(early) == {}


RACK, RAILS = {"rack": "2.2.22"}, {"railties": "7.1.0", "rack": "3.0.8", "puma": "6.0.0"}
SERVER = "server -p ${PORT:-5000} -e $RAILS_ENV"
RACKUP = "bundle exec rackup config.ru -p ${PORT:-5000}"


@pytest.mark.parametrize(
    ("gems", "files", "web", "console"),
    [
        ({}, {"config.ru"}, None, "bundle exec irb"),
        (RACK, set(), None, "bundle exec irb"),
        (RACK, {"config.ru"}, RACKUP, "bundle exec irb"),
        ({"rack": "3.0.8", "rackup": "2.1.0"}, {"config.ru"}, RACKUP, "bundle exec irb"),
        (
            {"rack": "3.0.8", "puma": "6.0.0"},
            {"config.ru"},
            "bundle exec puma -p ${PORT:-5000} config.ru",
            "bundle exec irb",
        ),
        ({"rack": "3.0.8"}, {"config.ru"}, None, "bundle exec irb"),
        (RAILS, {"config.ru", "bin/rails"}, f"bin/rails {SERVER}", "bin/rails console"),
        (RAILS, {"config.ru"}, f"bundle exec rails {SERVER}", "bundle exec rails console"),
    ],
)
def test_default_process_types(gems: dict[str, str], files: set[str], web: str | None, console: str) -> None:
    """Gems and files decide what an app runs without a Procfile (contract.md 8.5)."""
    expected = {"rake": "bundle exec rake", "console": console} | ({"web": web} if web else {})

    assert process_types(App(gems=gems, files=frozenset(files))) == expected


def test_worker_of_a_task(tmp_path: Path) -> None:
    """An app whose rake has jobs:work gets a worker; one without a Rakefile is not asked."""
    run = looking(tmp_path, gems={"rake": "13.0.6"}, tasks='["jobs:work", "test"]')
    context, _ = compiled(tmp_path, run, {"Rakefile": ""})
    found = RubyBuildpack().release(context)
    without = looking(tmp_path / "2", gems={"rake": "13.0.6"})
    compiled(tmp_path / "2", without)

    assert found.process_types["worker"] == "bundle exec rake jobs:work"
    assert found.interpreter == "/usr/lib/ruby/3.1.0"
    assert "tasks" not in steps(without)


@pytest.mark.parametrize(("gem", "addons"), [("pg", ("heroku-postgresql",)), ("mysql2", ())])
def test_a_database_of_the_gem_pg(tmp_path: Path, gem: str, addons: tuple[str, ...]) -> None:
    """An app with the gem pg gets the database that Heroku gives it."""
    context, _ = compiled(tmp_path, looking(tmp_path, gems={gem: "1.5.4"}))

    assert RubyBuildpack().release(context).addons == addons


def test_a_ruby_of_another_pack(tmp_path: Path) -> None:
    """A Ruby that is in the app, as another pack has put it there, is none that the machine of a dyno has to have."""
    run = looking(tmp_path, library="/tmp/build_1/vendor/ruby/lib/ruby/3.4.0")
    context, _ = compiled(tmp_path, run)

    assert RubyBuildpack().release(context).interpreter is None


def test_assets_of_rails(tmp_path: Path) -> None:
    """assets:precompile is run when rake has it; when it fails, or a Rails app's rake does, so does the build."""
    tasks = '["assets:precompile"]'
    gems = {"railties": "7.1.0", "rake": "13.0.6"}
    run = looking(tmp_path, gems=gems, tasks=tasks)
    _, said = compiled(tmp_path, run, {"Rakefile": ""})
    broken = looking(tmp_path / "2", gems=gems)

    assert steps(run)[-4:] == ["has-assets", "restore-assets", "bundle exec", "save-assets"]
    assert "-----> Preparing app for Rails asset pipeline" in said
    with pytest.raises(BuildpackError, match="Rakefile: rake cannot list its tasks") as caught:
        compiled(tmp_path / "2", broken, {"Rakefile": ""})
    assert "bundle exec rake -P" in refusal(caught.value)


def test_a_rake_that_is_broken(tmp_path: Path) -> None:
    """An app that is none of Rails is built without its tasks, and its author is warned."""
    run = looking(tmp_path, gems={"rake": "13.0.6"})
    _, said = compiled(tmp_path, run, {"Rakefile": ""})

    assert " !     Warning: Rakefile: rake cannot list its tasks, so none of them is run or offered" in said


def test_a_gemfile_that_ends_ruby(tmp_path: Path) -> None:
    """A Gemfile is a program: when it ends badly, the error says so and leads to its words."""
    run = RecordingRunner(lambda argv: Completed(1 if argv[0] == "ruby" else 0, ""))

    with pytest.raises(BuildpackError, match="ruby ended with status 1 at the Gemfile") as caught:
        compiled(tmp_path, run)
    assert "see its words above" in refusal(caught.value)


@pytest.mark.parametrize(
    "noted", [b"", b"[]", b'{"ruby": 3}', b'{"gems": {"rake": 1}}', b'{"new": "x"}', b'{"gems": []}']
)
def test_notes_that_something_else_wrote(noted: bytes) -> None:
    """What code of the app writes in the place of the pack's notes is an error, and nothing else."""
    with pytest.raises(BuildpackError, match="what was found out of the Gemfile cannot be read") as caught:
        decode(noted)
    assert "leave /tmp/slugkit-ruby alone" in refusal(caught.value)


@pytest.mark.parametrize(
    ("gem", "given", "expected"),
    [
        ("pg", {}, "postgres://user:pass@127.0.0.1/dbname"),
        ("sqlite3", {}, "sqlite3://user:pass@127.0.0.1/dbname"),
        ("pg", {"DATABASE_URL": "postgres://real"}, "postgres://real"),
        ("sequel", {}, None),
    ],
)
def test_rake_has_the_address_of_a_database(
    tmp_path: Path, gem: str, given: Mapping[str, str], expected: str | None
) -> None:
    """Rails loads where there is no database yet; the release is not told of the one that is none."""
    run = looking(tmp_path, tasks='["assets:precompile"]', gems={"rake": "13.0.6", gem: "1"})
    context, _ = compiled(tmp_path, run, {"Rakefile": ""}, **given)
    rake = next(env for call, env in zip(run.calls, run.envs, strict=True) if "assets:precompile" in call)

    assert rake.get("DATABASE_URL") == expected
    assert "DATABASE_URL" not in RubyBuildpack().release(context).config_vars


@pytest.mark.parametrize(("restored", "rakes"), [(0, 2), (3, 1)])
def test_old_assets_are_cleaned(tmp_path: Path, restored: int, rakes: int) -> None:
    """assets:clean is run when rake has it, and the cache had assets of an earlier build."""
    tasks, gems = '["assets:precompile", "assets:clean"]', {"rake": "13.0.6"}
    run = looking(tmp_path, tasks=tasks, gems=gems, restored=Completed(restored, ""))
    _, said = compiled(tmp_path, run, {"Rakefile": ""})

    assert steps(run)[-rakes - 2 :] == ["restore-assets", *rakes * ["bundle exec"], "save-assets"]
    assert ("       Running: rake assets:clean" in said) == (restored == 0)


def test_assets_that_are_there_or_do_not_compile(tmp_path: Path) -> None:
    """Assets with a manifest are left as they are; a failure is an error with what rake said first."""
    tasks, gems = '["assets:precompile"]', {"rake": "13.0.6"}
    there = looking(tmp_path, tasks=tasks, gems=gems, assets=Completed(0, ""))
    compiled(tmp_path, there, {"Rakefile": ""})
    aborted = Completed(1, "rake aborted!\nno database\nTasks: TOP\n")
    broken = looking(tmp_path / "2", tasks=tasks, gems=gems, precompile=aborted)
    with pytest.raises(BuildpackError, match="Rakefile: assets:precompile failed: no database") as caught:
        compiled(tmp_path / "2", broken, {"Rakefile": ""})

    assert "bundle exec" not in steps(there)
    assert "RAILS_ENV=production" in refusal(caught.value)


def test_a_secret_for_rails(tmp_path: Path) -> None:
    """A Rails app's release has the SECRET_KEY_BASE that the cache keeps, unless a config var is one; no other has."""
    gems = {"railties": "7.1.0"}
    context, _ = compiled(tmp_path, looking(tmp_path, gems=gems))
    (context.cache_dir / "ruby/secret_key_base").write_text("kept")
    own, _ = compiled(tmp_path / "2", looking(tmp_path / "2", gems=gems), SECRET_KEY_BASE="mine")
    (own.cache_dir / "ruby/secret_key_base").write_text("kept")

    assert RubyBuildpack().release(context).config_vars == {"SECRET_KEY_BASE": "kept"}
    assert RubyBuildpack().release(own).config_vars == {}


@pytest.mark.parametrize(
    ("gems", "files", "tasks", "command"),
    [
        ({"rspec-core": "3.12.0"}, {"bin/rspec", "bin/rails"}, (), "bin/rspec"),
        ({"rspec-core": "3.12.0", **RAILS}, {"bin/rails"}, ("test",), "bundle exec rspec"),
        (RAILS, {"bin/rails", "bin/rake"}, ("test",), "bin/rails test"),
        ({}, {"bin/rake"}, ("test",), "bin/rake test"),
        ({}, set(), ("test",), "bundle exec rake test"),
        ({}, set(), (), None),
    ],
)
def test_how_tests_are_run(gems: dict[str, str], files: set[str], tasks: tuple[str, ...], command: str | None) -> None:
    """RSpec first, then Rails' own, then rake (contract.md 8.5)."""
    argv = command_of_tests(App(gems=gems, files=frozenset(files), tasks=frozenset(tasks)))

    assert (" ".join(argv) if argv else None) == command
