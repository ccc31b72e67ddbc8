"""The Ruby buildpack at work: the machine's Ruby and Bundler, gems made here and Debian's, dynos at each level."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gems import NATIVE, Gem, builds_for_all, from_debian, vendor
from slugkit._tree import copy_tree
from slugkit.archive import Slug
from slugkit.build import SlugBuilder, heroku_text
from slugkit.buildpacks import ReleaseDefaults
from slugkit.dyno import DynoRunner, Limits
from slugkit.errors import CompileFailedError, MissingInterpreterError
from slugkit.events import BuildEvent, BuildpackExported, BuildpackReported
from slugkit.testing import FakeBuildpack, write_tree
from support import lines, small
from test_multi_buildpack import check_golden
from users import as_user
from waiting import free_port, listens, until

pytestmark = pytest.mark.usefixtures("sandboxed")

FORTYTWO = Gem("fortytwo", "1.0.0", NATIVE)
TOOL = Gem("tool", "2.0.0", {"bin/tool": "require 'fortytwo'\nputs answer\n", "lib/tool.rb": ""}, executables=("tool",))
SERVER = """
require "bundler/setup"
require "fortytwo"
require "socket"
server = TCPServer.new("0.0.0.0", ENV.fetch("PORT"))
loop do
  client = server.accept
  client.gets
  client.write "HTTP/1.0 200 OK\\r\\n\\r\\n#{answer} #{ENV["RACK_ENV"]}"
  client.close
end
"""
APP: Mapping[str, str] = {
    "Procfile": "web: bundle exec ruby server.rb\n",
    "Gemfile": 'source "https://rubygems.org"\ngem "fortytwo"\ngem "tool", require: false\n',
    "server.rb": SERVER,
}


def lock_of(app: Path, **settings: str) -> Path:
    return vendor(app, FORTYTWO, TOOL, **settings)


def build(app: Path, events: list[BuildEvent] | None = None) -> Slug:
    """Build *app*; the cache and the slug are beside it."""
    on_event = None if events is None else events.append
    return SlugBuilder(cache_dir=app.parent / "cache", on_event=on_event).build(app, app.parent / "o.tgz")


def failure(app: Path) -> str:
    """Return what a user reads of the failed build of *app*, held to what errors of packs have to be."""
    with pytest.raises(CompileFailedError) as caught:
        build(app)
    text = f"{caught.value}\n{caught.value.hint}"
    assert len(text.splitlines()) <= 8
    assert caught.value.fix
    return text


def get(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the app once, build it, and return its source: the slug and the cache are beside it."""
    app = lock_of(write_tree(tmp_path_factory.mktemp("ruby") / "app", APP))
    build(app)
    return app


@pytest.fixture
def slug(app: Path) -> Slug:
    return Slug.open(app.parent / "o.tgz")


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_it_boots_at_each_level(slug: Slug, tmp_path: Path, level: str) -> None:
    """A dyno serves HTTP with its native gem, isolated or confined: at /app, and at a path of its own."""
    with DynoRunner(store=tmp_path, sandbox=level) as runner:
        web = runner.start(slug, "web")
        web.wait_up()
        assert get(web.port) == "42 production"
        done = runner.run(slug, "bundle exec tool; tool; touch vendor/bundle/x")

    assert done.output.startswith("42\n42\n")
    assert done.status != 0


def test_it_works_where_it_was_not_built(slug: Slug, tmp_path: Path) -> None:
    """Unpacked elsewhere, binstubs and native gems are found with nothing but the profile script."""
    home = tmp_path / "elsewhere"  # no blank: `bundle exec` itself trips over one
    slug.unpack(home)
    line = '. "$HOME/.profile.d/ruby.sh"; tool; bundle exec tool'
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(["bash", "-c", line], cwd=home, env=env, check=True, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("42\n42\n", "")


def test_a_config_var_keeps_priority(slug: Slug, tmp_path: Path) -> None:
    """The profile sets what contract.md 8.5 has where nothing else is set; the bundle is where it is."""
    names = ("RACK_ENV", "RAILS_ENV", "BUNDLE_WITHOUT", "PUMA_PERSISTENT_TIMEOUT", "RAILS_LOG_TO_STDOUT", "BUNDLE_PATH")
    line = "; ".join(f"echo ${name}" for name in names)
    config_vars = {"RACK_ENV": "staging", "BUNDLE_WITHOUT": "x", "BUNDLE_PATH": "/elsewhere"}
    with DynoRunner(store=tmp_path) as runner:
        default = runner.run(slug, line).output.split()
        chosen = runner.run(slug, line, config_vars=config_vars).output.split()

    assert default == ["production", "production", "development:test", "95", "enabled", "/app/vendor/bundle"]
    assert chosen == ["staging", "production", "x", "95", "enabled", "/app/vendor/bundle"]


def test_what_installing_needs_is_not_in_the_slug(slug: Slug, tmp_path: Path) -> None:
    """Neither archives nor what a compiler leaves is in a slug, nor any path of the build."""
    left = [f.path for f in slug.files() if re.search(r"\.(o|gem|log|out|time)$|Makefile$|bundle/config$", f.path)]
    slug.unpack(tmp_path / "app")
    real = [path for path in (tmp_path / "app").rglob("*") if path.is_file() and not path.is_symlink()]
    naming = [path for path in real if re.search(rb"/tmp/build|/work-[0-9a-f]", path.read_bytes())]

    assert (left, naming) == ([], [])
    assert any(path.name == "native.so" for path in real)


def test_the_manifest_names_the_ruby(slug: Slug) -> None:
    """The manifest records the Ruby that stays on the stack, by a directory that only that version has."""
    code = "puts RbConfig::CONFIG['rubylibdir']"
    done = subprocess.run(["ruby", "-e", code], check=True, capture_output=True, text=True)

    assert slug.manifest.platform is not None
    assert slug.manifest.platform.interpreter == done.stdout.strip()
    assert dict(slug.process_types)["console"] == "bundle exec irb"


def test_a_machine_without_that_ruby(tmp_path: Path) -> None:
    """A dyno whose Ruby is not on the stack is not started, and told which one it needs."""
    source = write_tree(tmp_path / "app", {"Procfile": "web: ruby x\n"})
    pack = FakeBuildpack(defaults=ReleaseDefaults(interpreter="/usr/lib/ruby/0.9.0"))
    slug = SlugBuilder(buildpacks=(pack,), cache_dir=tmp_path / "cache").build(source, tmp_path / "o.tgz")
    with DynoRunner(store=tmp_path / "store") as runner, pytest.raises(MissingInterpreterError) as caught:
        runner.run(slug, "ruby x")

    assert "/usr/lib/ruby/0.9.0" in str(caught.value)
    assert "install the version" in str(caught.value.hint)


def test_a_warm_build_installs_nothing_and_is_the_same(app: Path, slug: Slug, tmp_path: Path) -> None:
    """Built again with the cache, from another path and under another umask: no install, the same diff_id."""
    for name in ("app", "cache"):
        (tmp_path / name).mkdir()
        copy_tree(app.parent / name, tmp_path / name)
    events: list[BuildEvent] = []
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "app", events)
    finally:
        os.umask(before)

    assert again.diff_id == slug.diff_id
    assert [line.split() for line in lines(events) if "fortytwo" in line] == [["Using", "fortytwo", "1.0.0"]]


def test_a_gem_that_is_no_longer_wanted_is_gone(app: Path, tmp_path: Path) -> None:
    """A gem that has left Gemfile.lock leaves the cache and the slug; what stays is not installed again."""
    shutil.copytree(app.parent / "cache", tmp_path / "cache", symlinks=True)
    less = write_tree(tmp_path / "app", {**APP, "Gemfile": 'source "https://rubygems.org"\ngem "fortytwo"\n'})
    vendor(less, FORTYTWO)
    events: list[BuildEvent] = []
    slug = build(less, events)

    assert not [file.path for file in slug.files() if "tool" in file.path]
    assert not [line for line in lines(events) if "Installing fortytwo" in line]


def test_later_packs_have_the_bundle(app: Path, tmp_path: Path) -> None:
    """A pack after Ruby's runs the app's gems (contract.md 2.6); the report tells the versions and of the cache."""
    shutil.copytree(app.parent / "cache", tmp_path / "cache", symlinks=True)
    later = small(tmp_path, "later", compile='cd "$1"; tool; bundle exec tool; echo "$BUNDLE_WITHOUT $BUNDLE_PATH"')
    events: list[BuildEvent] = []
    builder = SlugBuilder(
        buildpacks=["ruby", later],
        cache_dir=tmp_path / "cache",
        config_vars={"BUNDLE_WITHOUT": "none"},
        on_event=events.append,
    )
    builder.build(app, tmp_path / "o.tgz")
    (exported,) = [event.variables for event in events if isinstance(event, BuildpackExported)]
    (report,) = [event.facts for event in events if isinstance(event, BuildpackReported)]
    here = str(exported["BUNDLE_PATH"]).removesuffix("/vendor/bundle")

    assert lines(events)[-3:] == ["42", "42", f"none {here}/vendor/bundle"]
    assert str(exported["PATH"]).split(":")[:2] == [f"{here}/bin", f"{here}/vendor/bundle/bin"]
    assert str(exported["GEM_PATH"]).startswith(f"{here}/vendor/bundle/ruby/")
    assert report["cache_status"] == "reused"
    assert report.keys() == {"bundler_version", "cache_status", "ruby_version"}


@pytest.mark.parametrize(("processes", "told"), [(256, "2 512"), (512, "4 1024"), (16384, "8 2560"), (300, "")])
def test_sizes_of_dynos(slug: Slug, tmp_path: Path, processes: int, told: str) -> None:
    """With SENSIBLE_DEFAULTS a dyno's size decides WEB_CONCURRENCY (contract.md 4.8); without it nothing does."""
    line = "echo $WEB_CONCURRENCY $HEROKU_RAM_LIMIT_MB; echo $MALLOC_ARENA_MAX"
    chosen = {"SENSIBLE_DEFAULTS": "1", "WEB_CONCURRENCY": "7", "MALLOC_ARENA_MAX": "9"}
    with DynoRunner(store=tmp_path, limits=Limits(processes=processes)) as runner:
        without = runner.run(slug, line).output
        sized = runner.run(slug, line, config_vars={"SENSIBLE_DEFAULTS": "1"}).output
        own = runner.run(slug, line, config_vars=chosen).output

    assert without == "\n2\n"
    assert sized == f"{told}\n2\n"
    assert (own.split()[0], own.split()[-1]) == ("7", "9")


# -- gems from git ---------------------------------------------------------------------------------------------------

PURE = Gem("fortytwo", "1.0.0", {"lib/fortytwo.rb": "def answer = 42\n"})
FROM_GIT: Mapping[str, str] = {**PURE.files, "fortytwo.gemspec": PURE.spec()}


def locked_from_git(root: Path, remote: str, revision: str) -> Path:
    """Write an app with a gem from the repository *remote*, at that *revision*."""
    git = f"GIT\n  remote: {remote}\n  revision: {revision}\n  specs:\n    fortytwo (1.0.0)\n"
    locked = (
        f"{git}\nGEM\n  remote: https://rubygems.org/\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  fortytwo!\n"
    )
    gemfile = f'source "https://rubygems.org"\ngem "fortytwo", git: "{remote}"\n'
    return write_tree(root, {"Gemfile": gemfile, "Gemfile.lock": locked})


def check_git_gem(app: Path, store: Path) -> None:
    """Build *app*, and run its gem in a dyno, where there is no repository."""
    slug = build(app)
    with DynoRunner(store=store) as runner:
        done = runner.run(slug, "bundle exec ruby -e 'require %q(fortytwo); puts answer'")

    assert (done.status, done.output) == (0, "42\n")
    assert not [file.path for file in slug.files() if ".git" in file.path or "cache/bundler" in file.path]


def test_a_gem_from_git_in_vendor_cache(tmp_path: Path) -> None:
    """What `bundle cache --all` has put into vendor/cache is used from there, whatever its repository is."""
    app = locked_from_git(tmp_path / "app", "file:///nowhere/answers.git", "0123456789ab" + 28 * "c")
    write_tree(app / "vendor/cache/answers-0123456789ab", {**FROM_GIT, ".bundlecache": ""})
    check_git_gem(app, tmp_path / "store")


@pytest.mark.slow
def test_a_gem_from_a_repository(tmp_path: Path) -> None:
    """A gem is cloned at the revision of Gemfile.lock; the slug has its files, and no repository."""
    here = write_tree(tmp_path / "served/answers", FROM_GIT)
    port = free_port()
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    for argv in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *argv], cwd=here, check=True)
    argv = ["git", "rev-parse", "HEAD"]
    revision = subprocess.run(argv, cwd=here, check=True, capture_output=True, text=True).stdout.strip()
    served = ["--export-all", f"--base-path={here.parent}", "--listen=127.0.0.1", f"--port={port}"]
    with subprocess.Popen(["git", "daemon", *served], process_group=0) as daemon:
        try:
            assert until(lambda: listens(port))
            check_git_gem(
                locked_from_git(tmp_path / "app", f"git://127.0.0.1:{port}/answers", revision), tmp_path / "s"
            )
        finally:
            os.killpg(daemon.pid, signal.SIGTERM)


# -- what cannot be built ------------------------------------------------------------------------------------------


def test_another_ruby_is_refused(tmp_path: Path) -> None:
    """A Gemfile that asks for another Ruby is told both versions."""
    gemfile = APP["Gemfile"] + 'ruby "~> 1.8.7"\n'
    text = failure(lock_of(write_tree(tmp_path / "app", {**APP, "Gemfile": gemfile})))

    assert re.search(r"the Gemfile asks for Ruby ~> 1\.8\.7, this machine has \d+\.\d+\.\d+", text)


def test_a_lock_of_another_platform_is_refused(tmp_path: Path) -> None:
    """A Gemfile.lock without this machine's platform is told the command that adds it."""
    text = failure(lock_of(write_tree(tmp_path / "app", APP), platform="java"))

    assert re.search(r"Gemfile\.lock is for java, this machine is \S+-linux", text)
    assert re.search(r"bundle lock --add-platform \S+-linux", text)


def test_a_lock_with_conflicts_is_refused(tmp_path: Path) -> None:
    """A Gemfile.lock that git left in two minds is named."""
    app = lock_of(write_tree(tmp_path / "app", APP))
    (app / "Gemfile.lock").write_text("<<<<<<< HEAD\n" + (app / "Gemfile.lock").read_text())

    assert "cannot read Gemfile.lock: " in failure(app)


def test_a_gemfile_that_has_moved_on_is_refused(tmp_path: Path) -> None:
    """A Gemfile with a gem that Gemfile.lock has not is told to lock again: a deployment changes no lock."""
    app = lock_of(write_tree(tmp_path / "app", APP))
    with (app / "Gemfile").open("a") as gemfile:
        gemfile.write('gem "another"\n')

    assert "Gemfile.lock is not that of the Gemfile" in failure(app)


def test_a_gem_that_is_nowhere_is_named(tmp_path: Path) -> None:
    """A gem that vendor/cache lacks is named, and nothing of the failed build is left."""
    app = lock_of(write_tree(tmp_path / "app", APP))
    (app / "vendor/cache/tool-2.0.0.gem").unlink()

    assert "tool-2.0.0" in failure(app)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock"]


def test_a_gem_that_does_not_compile_is_named(tmp_path: Path) -> None:
    """The error names the gem, its version and what the compiler misses."""
    broken = {**NATIVE, "ext/native.c": "#include <no-such-library.h>\n"}
    app = write_tree(tmp_path / "app", APP)
    text = failure(vendor(app, Gem("fortytwo", "1.0.0", broken), TOOL))

    assert "Gemfile.lock: fortytwo 1.0.0 cannot be installed: " in text
    assert "no-such-library.h" in text


def test_a_lock_of_a_later_bundler(tmp_path: Path) -> None:
    """A lock that is BUNDLED WITH a later Bundler of the series builds with a warning, and the app runs."""
    gemfile = 'source "https://rubygems.org"\ngem "tool"\n'
    plain = Gem("tool", "2.0.0", {"bin/tool": "puts 42\n"}, executables=("tool",))
    app = write_tree(tmp_path / "app", {"Gemfile": gemfile})
    major = subprocess.run(["bundle", "--version"], check=True, capture_output=True, text=True).stdout.split()[-1][0]
    vendor(app, plain, more=f"\nBUNDLED WITH\n   {major}.99.9\n")
    events: list[BuildEvent] = []
    slug = build(app, events)
    with DynoRunner(store=tmp_path / "store") as runner:
        done = runner.run(slug, "tool; bundle exec tool")

    assert (done.status, done.output) == (0, "42\n42\n")
    check_golden("ruby.txt", steady("".join(f"{line}\n" for event in events for line in heroku_text(event))))


def steady(text: str) -> str:
    """Return *text* with the versions, sizes and times of one machine."""
    for pattern, shown in (
        (r"Ruby \S+ \(\S+\)", "Ruby 3.1.2 (x86_64-linux)"),
        (r"(?i)(bundler )\d\S+", r"\g<1>2.3.7"),
        (r"BUNDLED WITH \d", "BUNDLED WITH 2"),
        (r"Done: \S+", "Done: 4K"),
        (r"I, \[.*Writing /tmp/build_\w+/", "Writing /tmp/build_1/"),
        (r"-[0-9a-f]{64}", "-1"),
    ):
        text = re.sub(pattern, shown, text)
    return text


def test_a_repository_of_this_machine_is_named(tmp_path: Path) -> None:
    """A gem from a repository that a build does not see is an error with the way to bring it along."""
    text = failure(locked_from_git(tmp_path / "app", f"file://{tmp_path}/repository", 40 * "a"))

    assert f"Gemfile: git cannot clone file://{tmp_path}/repository" in text
    assert "bundle cache --all" in text


def test_a_source_that_is_not_reached_is_named(tmp_path: Path) -> None:
    """Without a network and without vendor/cache the error names the host."""
    app = lock_of(write_tree(tmp_path / "app", APP))
    shutil.rmtree(app / "vendor")
    for name in ("Gemfile", "Gemfile.lock"):
        text = (app / name).read_text()
        (app / name).write_text(text.replace("https://rubygems.org", "http://127.0.0.1:9"))
    text = failure(app)

    assert "Gemfile: " in text
    assert "127.0.0.1" in text
    assert "vendor/cache" in text


def test_an_apps_tests(tmp_path: Path) -> None:
    """Tests are run with the gems of the group test, in its environment; their status and output are returned."""
    runner = Gem("rspec-core", "3.99.0", {"bin/rspec": "puts ENV['RACK_ENV']; exit 3\n"}, executables=("rspec",))
    gemfile = 'source "https://rubygems.org"\ngroup(:test) { gem "rspec-core" }\n'
    app = vendor(write_tree(tmp_path / "app", {"Gemfile": gemfile}), runner)
    came = SlugBuilder(cache_dir=tmp_path / "cache").test(app)

    assert (came.status, came.state) == (3, "failed")
    assert came.output.endswith("test\n")


# -- hostile -------------------------------------------------------------------------------------------------------


HOOK = """
%w[{places}].each do |place|
  File.write("#{{place}}/slugkit-{who}", "")
  File.symlink("/", "#{{place}}/slugkit-{who}-link")
rescue SystemCallError
  warn "refused {who} #{{place}}"
end
"""
HOSTILE_BUILD = """
import json, sys
import slugkit
told = []
builder = slugkit.SlugBuilder(cache_dir="cache", sandbox=sys.argv[2], on_event=lambda event: told.append(str(event)))
slug = builder.build(sys.argv[1], "o.tgz")
print(json.dumps([told, [file.path for file in slug.files()]]))
"""


@pytest.mark.parametrize(
    ("user", "level"),
    [
        ("root", "namespaces"),
        ("user", "landlock"),
        pytest.param("root", "landlock", marks=pytest.mark.slow),
        pytest.param("user", "auto", marks=pytest.mark.slow),
    ],
)
def test_hooks_write_nothing_on_the_host(user: str, level: str) -> None:
    """A Gemfile and an extconf.rb are programs: isolated or confined, they write to the build and nowhere else."""
    with builds_for_all() as place:
        outside = place / "outside"
        outside.mkdir()
        outside.chmod(0o777)
        places = [
            outside,
            place,
            place / "app",
            place / "app/link",
            place / f"home-{user}",
            place / f"home-{user}/cache",
        ]
        places += map(Path, ("/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr/local/lib", "/root"))
        hooks = {who: HOOK.format(who=who, places=" ".join(map(str, places))) for who in ("gemfile", "extconf")}
        app = write_tree(
            place / "app", {**APP, "Gemfile": hooks["gemfile"] + APP["Gemfile"], "script.py": HOSTILE_BUILD}
        )
        (app / "link").symlink_to(outside)
        native = {"ext/extconf.rb": f"{hooks['extconf']}\nFile.write('../lib/ran', '')\n{NATIVE['ext/extconf.rb']}"}
        vendor(app, Gem("fortytwo", "1.0.0", {**NATIVE, **native}), TOOL)
        done = as_user(user, place, [app / "script.py", app, level], timeout=120)
        written = [str(path) for there in places for who in hooks for path in there.glob(f"slugkit-{who}*")]

    assert done.returncode == 0, done.stderr
    told, files = json.loads(done.stdout)
    assert written == []
    assert any("refused gemfile" in event for event in told)
    assert any(file.endswith("fortytwo-1.0.0/lib/ran") for file in files)


# -- with Debian's gems --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_rspec(tmp_path: Path) -> None:
    """Tests run by RSpec with the gems of the group test, in its environment; its status is theirs."""
    good, bad = "it('is') { expect(ENV['RACK_ENV']).to eq('test') }", "it('is not') { expect(1).to eq(2) }"
    gemfile = 'source "https://rubygems.org"\ngroup(:test) { gem "rspec" }\n'
    files = {"Gemfile": gemfile, "spec/x_spec.rb": f"RSpec.describe('x') {{ {good}; {bad} }}\n"}
    app = from_debian(write_tree(tmp_path / "app", files))
    came = SlugBuilder(cache_dir=tmp_path / "cache").test(app)

    assert came.state == "failed"
    assert "2 examples, 1 failure" in came.output


def _with_railties(locked: str) -> str:
    text = locked.replace("  specs:\n", "  specs:\n    railties (7.1.0)\n")
    return text.replace("DEPENDENCIES\n", "DEPENDENCIES\n  railties\n")


@pytest.mark.slow
def test_rake_of_a_rails_app(tmp_path: Path) -> None:
    """A Rails app's assets are compiled with a secret, and its tasks make its process types; a rebuild keeps both."""
    tasks = "task('assets:precompile') { mkdir_p 'public'; File.write('public/made', ENV['SECRET_KEY_BASE']) }\n"
    gemfile = 'source "https://rubygems.org"\ngem "rake"\n'
    app = from_debian(write_tree(tmp_path / "app", {"Gemfile": gemfile}))
    write_tree(app, {"Gemfile": gemfile + 'gem "railties"\n', "Rakefile": tasks + "task('jobs:work')\n"})
    locked = (app / "Gemfile.lock").read_text()
    vendor(app, Gem("railties", "7.1.0", {"lib/railties.rb": ""}))
    (app / "Gemfile.lock").write_text(_with_railties(locked))
    slug, again = build(app), build(app)
    slug.unpack(tmp_path / "unpacked")
    secret = slug.manifest.config_vars["SECRET_KEY_BASE"]

    assert (tmp_path / "unpacked/public/made").read_text() == secret
    assert re.fullmatch(r"[0-9a-f]{128}", secret)
    assert again.diff_id == slug.diff_id
    assert dict(slug.process_types) == {
        "console": "bundle exec rails console",
        "rake": "bundle exec rake",
        "web": "bundle exec rails server -p ${PORT:-5000} -e $RAILS_ENV",
        "worker": "bundle exec rake jobs:work",
    }


# -- as an ordinary user -------------------------------------------------------------------------------------------

AS_USER = """
import json, sys
import slugkit
slug = slugkit.SlugBuilder(cache_dir="cache", sandbox=sys.argv[2]).build(sys.argv[1], "o.tgz")
with slugkit.DynoRunner(store="store", sandbox=sys.argv[2]) as runner:
    done = runner.run(slug, "bundle exec tool")
print(json.dumps([slug.diff_id, done.status, done.output]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", ["auto", "landlock"])
def test_an_ordinary_user_builds_the_same(app: Path, slug: Slug, level: str) -> None:
    """Who is not root builds the same slug from nothing, and runs it; also where every path is another (landlock)."""
    with builds_for_all() as place:
        copy = place / "app"
        copy.mkdir()
        copy_tree(app, copy)
        write_tree(place, {"script.py": AS_USER})
        done = as_user("user", place, [place / "script.py", copy, level], timeout=120)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [slug.diff_id, 0, "42\n"]
