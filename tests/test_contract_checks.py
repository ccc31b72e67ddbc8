"""Forty contract bugs, seeded one by one into good buildpacks: each is named, but for those that cannot be seen."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import field, frozen

from slugkit.errors import CompileFailedError
from slugkit.testing import Finding, check_buildpack
from support import PACKS

pytestmark = pytest.mark.usefixtures("sandboxed")

# What makes each pack work: files of an app, and config vars.
APPS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "hello": ({"hello.txt": "hi\n"}, {}),
    "toolchain": ({".tool-version": "1.2\n"}, {}),
    "hardlinks": ({"packages.txt": "a==1\nb==2\n"}, {}),
    "app-symlink": ({"runtime.txt": "1\n"}, {}),
    "env-reader": ({"settings.ini": ""}, {"BUILD_MODE": "fast", "API_TOKEN": "t0ken-4-the-registry"}),
    "tmp-release": ({"Gemfile.toml": 'gems = ["pg"]\n'}, {}),
    "reporter": ({"package.json": '{"name": "x", "dependencies": {"a": "1"}}'}, {}),
    "testpack": ({"spec/a.sh": "true\n"}, {}),
}


@frozen
class Seed:
    """A bug: what an author did to a good pack, and the code that names it."""

    name: str
    code: str
    pack: str
    script: str
    old: str = ""
    new: str = ""
    append: str = ""
    app: Mapping[str, str] = field(factory=dict)

    def plant(self, root: Path) -> Path:
        """Return a copy of the pack with the bug."""
        pack = root / self.pack
        shutil.copytree(PACKS / self.pack, pack)
        script = pack / self.script
        text = script.read_text() if script.exists() else ""
        assert self.old in text
        mode = script.stat().st_mode if script.exists() else 0o755
        script.write_text((text.replace(self.old, self.new) if self.old else text) + self.append)
        script.chmod(mode)
        return pack


SEEDS = [
    # detect
    Seed(
        "detect-leaves-a-marker",
        "detect.writes",
        "hello",
        "bin/detect",
        'echo "Hello"',
        'touch "$1/.hello"; echo Hello',
    ),
    Seed(
        "detect-repairs-the-source",
        "detect.writes",
        "env-reader",
        "bin/detect",
        'if [[ -f "$1/settings.ini" ]]',
        'echo "fixed=1" >"$1/settings.ini"\nif [[ -f "$1/settings.ini" ]]',
    ),
    Seed("detect-says-nothing", "detect.no-name", "toolchain", "bin/detect", 'echo "Toolchain"', "true"),
    # writes outside
    Seed("compile-writes-to-var", "compile.writes-outside", "hello", "bin/compile", append="mkdir -p /var/lib/hello\n"),
    Seed(
        "compile-writes-to-a-home-of-its-own",
        "compile.writes-outside",
        "toolchain",
        "bin/compile",
        append='{ mkdir -p /home/app && cp -R "$tool" /home/app/tool; } 2>/dev/null || true\n',
    ),
    Seed(
        "compile-installs-into-opt",
        "compile.writes-outside",
        "hardlinks",
        "bin/compile",
        append='os.makedirs("/opt/vendor", exist_ok=True)\n(Path("/opt/vendor") / "x").write_text("x")\n',
    ),
    Seed(
        "compile-edits-etc-and-goes-on",
        "compile.writes-outside",
        "testpack",
        "bin/compile",
        append='echo "127.0.0.1 db" >>/etc/hosts || true\n',
    ),
    Seed(
        "compile-edits-usr-without-a-word",
        "compile.writes-outside",
        "hello",
        "bin/compile",
        append="cp /bin/true /usr/local/bin/hello 2>/dev/null || true\n",
    ),
    # config vars
    Seed(
        "needs-a-config-var-in-its-environment",
        "env.needs-config-vars",
        "env-reader",
        "bin/compile",
        'export_env_dir "$ENV_DIR"\n',
        "",
    ),
    Seed(
        "fails-without-a-config-var-in-its-environment",
        "env.needs-config-vars",
        "env-reader",
        "bin/compile",
        'export_env_dir "$ENV_DIR"\n',
        ': "${API_TOKEN:?is not set}"\n',
    ),
    Seed(
        "decides-by-a-config-var-in-its-environment",
        "env.needs-config-vars",
        "env-reader",
        "bin/compile",
        old='export_env_dir "$ENV_DIR"\n',
        new='[[ ${BUILD_MODE:-} == fast ]] && mkdir -p "$BUILD_DIR/fast"\nexport_env_dir "$ENV_DIR"\n',
    ),
    Seed(
        "bakes-a-secret-into-the-slug",
        "config.leaked",
        "env-reader",
        "bin/compile",
        append='echo "//registry/:_authToken=$API_TOKEN" >"$BUILD_DIR/.npmrc"\n',
    ),
    Seed("prints-a-secret", "config.leaked", "env-reader", "bin/compile", append='echo "       token $API_TOKEN"\n'),
    # the scripts themselves
    Seed("script-without-a-shebang", "bin.no-shebang", "hello", "bin/release", "#!/usr/bin/env bash\n", ""),
    # release
    Seed(
        "release-logs-to-stdout", "release.not-yaml", "hello", "bin/release", "cat <<", 'echo "Releasing: now"\ncat <<'
    ),
    Seed(
        "release-prints-prose",
        "release.not-yaml",
        "tmp-release",
        "bin/release",
        append='print("done")\n',
        old="    sys.stdout.write(step.read_text())",
        new="    pass",
    ),
    Seed(
        "release-prints-a-list", "release.not-yaml", "reporter", "bin/release", "default_process_types:\n  web", "- web"
    ),
    Seed("release-indents-with-tabs", "release.not-yaml", "hello", "bin/release", "  greet:", "\tgreet:"),
    # report
    Seed(
        "report-nests", "report.not-flat", "reporter", "bin/report", "JSON.stringify(data)", "JSON.stringify({ data })"
    ),
    Seed("report-logs-to-stdout", "report.not-flat", "reporter", "bin/report", append='console.log("reported");\n'),
    # profile.d
    Seed(
        "profile-with-the-build-path",
        "profile.build-path",
        "hello",
        "bin/compile",
        "<<'EOF'\nexport GREETING_FILE=\"$HOME",
        '<<EOF\nexport GREETING_FILE="$BUILD_DIR',
    ),
    Seed(
        "profile-with-the-cache-path",
        "profile.build-path",
        "toolchain",
        "bin/compile",
        'PATH="\\$HOME/.toolchain/bin',
        'PATH="$cached/bin',
    ),
    Seed(
        "profile-that-is-not-sourced",
        "profile.not-sourced",
        "hello",
        "bin/compile",
        ".profile.d/hello.sh",
        ".profile.d/hello",
    ),
    Seed(
        "profile-that-bash-cannot-read", "profile.syntax", "hello", "bin/compile", 'hello.txt"\nEOF', "hello.txt\nEOF"
    ),
    Seed(
        "profile-that-exits",
        "profile.breaks-boot",
        "hello",
        "bin/compile",
        'hello.txt"\nEOF',
        'hello.txt"\n[[ -n ${X:-} ]] || exit 1\nEOF',
    ),
    Seed(
        "profile-that-writes-to-the-app",
        "profile.breaks-boot",
        "reporter",
        "bin/compile",
        "'export PATH=",
        "'date >$HOME/.booted\\nexport PATH=",
    ),
    # export
    Seed(
        "export-in-build-dir",
        "export.in-build-dir",
        "toolchain",
        "bin/compile",
        '"$BP_DIR/export"',
        '"$BUILD_DIR/export"',
    ),
    Seed(
        "export-with-the-run-time-path",
        "export.run-time-path",
        "toolchain",
        "bin/compile",
        'PATH="$BUILD_DIR/.toolchain/bin:',
        'PATH="\\$HOME/.toolchain/bin:',
    ),
    Seed(
        "export-that-talks",
        "export.noisy",
        "toolchain",
        "bin/compile",
        'export TOOL_VERSION="$version"\nEOF\n\n# For the dynos',
        'export TOOL_VERSION="$version"\necho "toolchain ready"\nEOF\n\n# For the dynos',
    ),
    Seed(
        "export-that-exits",
        "export.noisy",
        "toolchain",
        "bin/compile",
        'export TOOL_VERSION="$version"\nEOF\n\n# For the dynos',
        "exit 0\nEOF\n\n# For the dynos",
    ),
    # the cache
    Seed(
        "cache-keeps-every-version",
        "cache.grows",
        "testpack",
        "bin/compile",
        append='cp "$BUILD_DIR/.built" "$CACHE_DIR/build-$RANDOM$RANDOM"\n',
    ),
    Seed(
        "cache-log-without-end", "cache.grows", "hello", "bin/compile", append='echo "built hello" >>"$CACHE_DIR/log"\n'
    ),
    # reproducible
    Seed(
        "slug-with-the-date",
        "slug.not-reproducible",
        "hello",
        "bin/compile",
        append='date +%s >"$BUILD_DIR/built-at"\n',
    ),
    Seed(
        "slug-with-a-random-name",
        "slug.not-reproducible",
        "testpack",
        "bin/compile",
        append='mktemp -d "$BUILD_DIR/work.XXXXXX" >/dev/null\n',
    ),
    Seed(
        "slug-with-the-build-directory",
        "slug.not-reproducible",
        "tmp-release",
        "bin/compile",
        append='(build / "setup.cfg").write_text(f"[install]\\nprefix={build}\\n")\n',
    ),
    Seed(
        "slug-that-depends-on-the-cache",
        "slug.not-reproducible",
        "hardlinks",
        "bin/compile",
        "os.rename(saved, target)",
        'os.rename(saved, target)\n        (target / "restored").touch()',
    ),
    Seed(
        "link-into-the-build-directory",
        "slug.build-path",
        "app-symlink",
        "bin/compile",
        append='ln -s "$BUILD_DIR/.heroku/runtime/bin" "$BUILD_DIR/bin"\n',
    ),
    Seed(
        "shebang-in-the-build-directory",
        "slug.build-path",
        "toolchain",
        "bin/compile",
        append='printf \'#!%s\\n\' "$tool/bin/shout" >"$BUILD_DIR/run"; chmod +x "$BUILD_DIR/run"\n',
    ),
    # processes
    Seed(
        "daemon-in-a-session-of-its-own",
        "process.left",
        "hello",
        "bin/compile",
        append="setsid sleep 1000 </dev/null >/dev/null 2>&1 &\n",
    ),
    Seed("background-job-with-the-output", "process.left", "testpack", "bin/compile", append="sleep 1000 &\n"),
]


# A write to /usr is refused, here as on the platform; only what the pack says of it can be seen, and it says nothing.
UNSEEN = {"compile-edits-usr-without-a-word"}


def check(seed: Seed, root: Path) -> tuple[Finding, ...]:
    """Return the findings of the pack with the bug; a build that fails for want of a finding has none."""
    files, config_vars = APPS[seed.pack]
    try:
        return check_buildpack(seed.plant(root), {**files, **seed.app}, config_vars=config_vars)
    except CompileFailedError:
        return ()


@pytest.mark.parametrize("pack", sorted(APPS))
def test_a_good_pack_has_no_findings(pack: str) -> None:
    """Whatever keeps the contract is left alone."""
    files, config_vars = APPS[pack]

    assert check_buildpack(PACKS / pack, files, config_vars=config_vars) == ()


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_seeded_bug_is_named(seed: Seed, tmp_path: Path) -> None:
    """A bug is found under its own code, with a message that names the pack; nothing is if it cannot be seen."""
    found = check(seed, tmp_path)
    named = {finding.buildpack for finding in found if finding.code == seed.code}

    assert named == (set() if seed.name in UNSEEN else {seed.pack}), found


def test_at_least_28_of_30() -> None:
    """The seeds are thirty at least, of distinct names, and at most two of thirty get away."""
    assert len({seed.name for seed in SEEDS}) == len(SEEDS) >= 30
    assert {seed.name for seed in SEEDS} > UNSEEN
    assert len(UNSEEN) / len(SEEDS) <= 2 / 30


def test_a_waived_code_is_accepted(tmp_path: Path) -> None:
    """A finding is waived by its code, and by that alone."""
    seed = next(seed for seed in SEEDS if seed.name == "slug-with-the-date")
    pack = seed.plant(tmp_path)
    files, _ = APPS[seed.pack]

    assert check_buildpack(pack, files, waive=["slug.not-reproducible"]) == ()
    assert check_buildpack(pack, files, waive=["cache.grows"]) != ()


def test_a_failure_that_no_finding_explains_is_raised() -> None:
    """A build that fails for the app's own reason is an error, not a clean bill."""
    with pytest.raises(CompileFailedError, match=r"hello\.txt is empty"):
        check_buildpack(PACKS / "hello", {"hello.txt": ""})
