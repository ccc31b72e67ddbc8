"""The Node.js buildpack as values, with a recording runner: what it claims, what it runs, what it refuses."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slugkit import buildpacks
from slugkit.buildpacks import Detection, NodejsBuildpack, NotDetected
from slugkit.buildpacks._inside.nodejs import finish
from slugkit.command import Completed
from slugkit.errors import BuildpackError
from slugkit.testing import RecordingRunner, fake_context, write_tree

YARN_2 = "# generated\n\n__metadata:\n  version: 8\n"
YARN_1 = "# yarn lockfile v1\n"
PROFILE = Path(buildpacks.__file__).parent / "nodejs/profile.d"
Answer = Callable[[tuple[str | Path, ...]], Completed]
TOLD = {
    "node": "20.1.0",
    "abi": "115",
    "path": "/usr/bin/node",
    "prefix": "/usr",
    "headers": False,
    "npm": "10.5.0",
    "satisfied": {},
}


def package(**fields: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return json.dumps({"name": "hello", "version": "1.0.0", **fields})


def machine(fails: str = "", said: str = "", view: str = "", **told: Any) -> Answer:  # noqa: ANN401 - JSON
    """Return the answers of a machine with an empty cache, of which _ask.cjs tells *told*; what *fails* says *said*."""

    def answer(argv: tuple[str | Path, ...]) -> Completed:
        if any(isinstance(argument, Path) and argument.name == "_ask.cjs" for argument in argv):
            known = json.loads(str(argv[2]))["versions"]
            best = known[-1] if len(known) > 1 else None
            return Completed(0, json.dumps({**TOLD, "best": best, **told}))
        if "view" in argv:
            return Completed(0, view)
        if fails and fails in argv:
            return Completed(1, said)
        return Completed(3 if "restore" in argv else int(argv[0] == "test"), "")

    return answer


def compiled(
    root: Path,
    files: dict[str, str | bytes],
    answer: Answer | None = None,
    config_vars: dict[str, str] | None = None,
) -> tuple[RecordingRunner, list[str]]:
    """Compile *files* with a recording runner; return it and what the pack says."""
    said: list[str] = []
    run = RecordingRunner(answer or machine())
    context = fake_context(root, run=run, config_vars=config_vars or {}, say=said.append)
    write_tree(context.build_dir, files)
    NodejsBuildpack().compile(context)
    return run, said


def commands(run: RecordingRunner) -> list[str]:
    """Return what was run: the steps of `_inside` by name, but for its notes; a manager's command whole."""
    short = []
    for call in run.calls:
        names = [argument if isinstance(argument, str) else argument.name for argument in call]
        if "_inside" in names:
            short += [step for step in names[names.index("_inside") + 2 :][:1] if step != "note"]
        elif names[0] == "bash":
            short.append(" ".join(names[5:]))
    return short


# -- detect ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"package.json": "{}"}, Detection("Node.js", "package.json")),
        ({"sub/package.json": "{}"}, NotDetected("no package.json")),
        ({"package.json/": ""}, NotDetected("no package.json")),
        (
            {".slugignore": "a\npackage.json \n"},
            NotDetected("package.json is listed in .slugignore: remove that line"),
        ),
        ({".gitignore": "package.json\r\n"}, NotDetected("package.json is listed in .gitignore: remove that line")),
        ({".gitignore": "/package.json\nx package.json\n"}, NotDetected("no package.json")),
    ],
)
def test_detect(tmp_path: Path, files: dict[str, str | bytes], answer: Detection | NotDetected) -> None:
    """An app is Node.js when package.json is a file; when a whole line of an ignore file names it, that is said."""
    context = fake_context(tmp_path)
    write_tree(context.build_dir, files)

    assert NodejsBuildpack().detect(context) == answer


# -- what is run -----------------------------------------------------------------------------------------------

SCRIPTS = {
    "heroku-cleanup": "d",
    "heroku-prebuild": "a",
    "build": "b",
}


def test_scripts_run_in_herokus_order(tmp_path: Path) -> None:
    """heroku-prebuild, install, build, cache save, prune, heroku-cleanup (contract.md 8.4)."""
    files: dict[str, str | bytes] = {
        "package.json": package(scripts=SCRIPTS, devDependencies={"x": "1.0.0"}),
        "package-lock.json": "{}",
    }
    run, _ = compiled(tmp_path, files)

    assert commands(run) == [
        "npm run heroku-prebuild",
        "restore",
        "clear",
        "npm ci --include=dev",
        "npm run build",
        "save",
        "npm prune --omit=dev",
        "npm run heroku-cleanup",
        "finish",
    ]


def test_heroku_postbuild_stands_for_build(tmp_path: Path) -> None:
    """Of heroku-postbuild and build only the first is run."""
    scripts = {"heroku-postbuild": "c", "build": "b"}
    run, _ = compiled(tmp_path, {"package.json": package(scripts=scripts), "package-lock.json": "{}"})

    assert [command for command in commands(run) if "run" in command] == ["npm run heroku-postbuild"]


def test_the_script_build_has_flags(tmp_path: Path) -> None:
    """NODE_BUILD_FLAGS is one argument of build, and of nothing else."""
    files: dict[str, str | bytes] = {"package.json": package(scripts=SCRIPTS), "package-lock.json": "{}"}
    run, said = compiled(tmp_path, files, config_vars={"NODE_BUILD_FLAGS": "--prod --aot"})

    assert [call[8:] for call in run.calls if "build" in call] == [("--", "--prod --aot")]
    assert "npm run heroku-cleanup" in commands(run)
    assert "       Running with --prod --aot flags" in said


@pytest.mark.parametrize("lockfile", ["package-lock.json", "yarn.lock"])
def test_npm_install_instead_of_ci(tmp_path: Path, lockfile: str) -> None:
    """With USE_NPM_INSTALL npm goes on with a lockfile that lacks something, and nothing of that is cached."""
    files: dict[str, str | bytes] = {"package.json": package(), lockfile: ""}
    run, said = compiled(tmp_path, files, config_vars={"USE_NPM_INSTALL": "true"})
    loose = lockfile == "package-lock.json"

    assert ("npm install --no-save --include=dev" in commands(run)) is loose
    assert ("save" not in commands(run)) is loose
    assert any("USE_NPM_INSTALL" in line for line in said) is loose


def test_unchanged_modules_are_restored(tmp_path: Path) -> None:
    """When the cache has the modules of this package.json and lockfile, nothing is installed."""
    run, _ = compiled(tmp_path, {"package.json": package(), "package-lock.json": "{}"}, _hit)

    assert commands(run) == ["restore", "finish"]


def _hit(argv: tuple[str | Path, ...]) -> Completed:
    done = machine()(argv)
    return Completed(0, done.output) if "restore" in argv else done


@pytest.mark.parametrize(
    ("files", "install", "prune"),
    [
        ({"package-lock.json": "{}"}, "npm ci --include=dev", "npm prune --omit=dev"),
        ({"npm-shrinkwrap.json": "{}", "package-lock.json": "{}"}, "npm ci --include=dev", "npm prune --omit=dev"),
        ({}, "npm install --no-package-lock --include=dev", "npm prune --omit=dev --no-package-lock"),
        (
            {"yarn.lock": YARN_1},
            "yarn install --frozen-lockfile --production=false",
            "yarn install --production=true --ignore-scripts --frozen-lockfile",
        ),
        ({"yarn.lock": YARN_2}, "yarn install --immutable", "yarn workspaces focus --all --production"),
        (
            {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"},
            "pnpm install --frozen-lockfile --prod=false",
            "pnpm prune --prod --ignore-scripts",
        ),
    ],
)
def test_the_lockfile_chooses_the_manager(
    tmp_path: Path, files: dict[str, str | bytes], install: str, prune: str
) -> None:
    """npm, Yarn 1, Yarn 2 and later, pnpm: each installs what its lockfile says and no other, and prunes."""
    run, _ = compiled(tmp_path, {"package.json": package(devDependencies={"x": "1"}), **files})
    ours = [command for command in commands(run) if command.split()[0] in {"npm", "yarn", "pnpm"}]

    assert ours[0].startswith(install)
    assert ours[1].startswith(prune)


@pytest.mark.parametrize(
    ("files", "fields", "downloaded"),
    [
        ({"package-lock.json": "{}"}, {}, None),
        ({"package-lock.json": "{}"}, {"packageManager": "npm@10.5.0"}, None),
        ({"package-lock.json": "{}"}, {"packageManager": "npm@9.9.0"}, "npm@9.9.0"),
        ({"yarn.lock": YARN_1}, {}, "yarn@1.22.22"),
        ({"yarn.lock": YARN_2}, {}, "@yarnpkg/cli-dist@4.18.1"),
        ({"yarn.lock": YARN_2}, {"packageManager": "yarn@3.8.0+sha224.00"}, "@yarnpkg/cli-dist@3.8.0"),
        ({}, {"packageManager": "pnpm@9.1.0"}, "pnpm@9.1.0"),
        ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, {}, "pnpm@10.34.9"),
        ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, {}, "pnpm@8.15.9"),
        ({"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, {}, "pnpm@7.33.7"),
        ({"pnpm-lock.yaml": ""}, {"engines": {"pnpm": "9.x"}}, "pnpm@9.2.0"),
    ],
)
def test_a_manager_is_installed_at_one_version(
    tmp_path: Path, files: dict[str, str | bytes], fields: dict[str, Any], downloaded: str | None
) -> None:
    """PackageManager decides, then engines, then the lockfile's own format; npm as it is here needs no download."""
    run, _ = compiled(tmp_path, {"package.json": package(**fields), **files}, machine(view='["9.1.0", "9.2.0"]'))
    packs = [str(call[2]) for call in run.calls if call[:2] == ("npm", "pack")]

    assert packs == ([downloaded] if downloaded else [])


def test_a_missing_lockfile_is_warned_of(tmp_path: Path) -> None:
    """Without a lockfile the build goes on, and says what to do about it."""
    _, said = compiled(tmp_path, {"package.json": package()})

    assert " !     There is no lockfile: versions may differ from build to build" in said


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ('{"ignoredBuilds": ["sharp@0.33.0"]}', True),
        *(
            (text, False)
            for text in ("{}", '{"ignoredBuilds": []}', '{"ignoredBuilds": "x"}', "[]", "layoutVersion: 5\n")
        ),
    ],
)
def test_install_scripts_that_pnpm_leaves_out_are_told(tmp_path: Path, noted: str, told: bool) -> None:  # noqa: FBT001 - a case
    """A package that would not work for want of its install script is named, with the way to allow that."""
    files: dict[str, str | bytes] = {"pnpm-lock.yaml": "", "node_modules/.modules.yaml": noted}
    _, said = compiled(tmp_path, {"package.json": package(), **files})

    assert (" !     pnpm has not run the install scripts of sharp@0.33.0" in said) is told
    assert any("pnpm.onlyBuiltDependencies" in line for line in said) is told


@pytest.mark.parametrize(
    ("config_vars", "pruned"),
    [
        ({}, True),
        ({"NPM_CONFIG_PRODUCTION": "false"}, False),
        ({"YARN_PRODUCTION": "false"}, False),
        ({"PNPM_SKIP_PRUNING": "true"}, False),
        ({"NODE_ENV": "staging"}, False),
    ],
)
def test_pruning_can_be_declined(tmp_path: Path, config_vars: dict[str, str], pruned: bool) -> None:  # noqa: FBT001 - a case
    """The variables by which Heroku's users keep devDependencies keep them here."""
    files: dict[str, str | bytes] = {"package.json": package(devDependencies={"x": "1"}), "package-lock.json": "{}"}
    run, _ = compiled(tmp_path, files, config_vars=config_vars)

    assert ("npm prune --omit=dev" in commands(run)) is pruned


@pytest.mark.parametrize("lockfile", [YARN_1, YARN_2])
def test_archives_that_are_checked_in_are_used(tmp_path: Path, lockfile: str) -> None:
    """Yarn 2 and later takes what `.yarn/cache` of the source has from there; else from the build cache."""
    run, _ = compiled(tmp_path, {"package.json": package(), "yarn.lock": lockfile, ".yarn/cache/ms.zip": ""})
    folder = next(env["YARN_CACHE_FOLDER"] for call, env in zip(run.calls, run.envs, strict=True) if "install" in call)

    assert str(folder).endswith("/.yarn/cache") is (lockfile == YARN_2)


def test_archives_that_are_checked_in_stay_out_of_the_slug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they hold is in node_modules; the rest of .yarn stays."""
    write_tree(tmp_path, {".yarn/cache/ms.zip": "", ".yarn/releases/yarn.cjs": ""})
    monkeypatch.chdir(tmp_path)
    finish(str(PROFILE), "cache")

    assert [path.name for path in (tmp_path / ".yarn").iterdir()] == ["releases"]


@pytest.mark.parametrize("own", [{}, {"devDependencies": {"x": "1"}}])
def test_members_of_a_pnpm_workspace_are_pruned(tmp_path: Path, own: dict[str, Any]) -> None:
    """`pnpm prune` would take away what members need, and ask first; a member's devDependencies are enough to prune."""
    files = {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n", "pnpm-workspace.yaml": "packages:\n  - packages/*\n"}
    run, _ = compiled(tmp_path, {"package.json": package(**own), **files})
    prune = commands(run)[-2]

    assert prune.startswith("pnpm install --prod --frozen-lockfile")
    assert {"--ignore-scripts", "--config.confirm-modules-purge=false"} <= set(prune.split())


def test_config_vars_reach_scripts_only_if_harmless(tmp_path: Path) -> None:
    """Defaults stand where no config var is; PATH, LD_PRELOAD and their like never enter a build (contract.md 2.4)."""
    files: dict[str, str | bytes] = {"package.json": package(scripts={"build": "x"}), "package-lock.json": "{}"}
    config_vars = {"NODE_ENV": "staging", "TOKEN": "secret", "LD_PRELOAD": "/x", "PATH": "/x", "LANG": "x"}
    run, said = compiled(tmp_path, files, config_vars=config_vars)
    envs = [env for call, env in zip(run.calls, run.envs, strict=True) if call[0] == "bash"]

    assert len(envs) == 2
    for env in envs:
        assert env["NODE_ENV"] == "staging"
        assert env["TOKEN"] == "secret"
        assert env["NODE_OPTIONS"] == "--max_old_space_size=2560"
        assert env["NPM_CONFIG_LOGLEVEL"] == "error"
        assert not {"LD_PRELOAD", "PATH", "LANG"} & set(env)
    assert "secret" not in repr((run.calls, said))


def keys(tmp_path: Path, *trees: dict[str, str | bytes], **config_vars: str) -> list[str | None]:
    """Return the cache key of each tree, None where its modules are not cached."""
    found: list[str | None] = []
    for number, tree in enumerate(trees):
        run, _ = compiled(tmp_path / str(number), {"package-lock.json": "{}", **tree}, config_vars=config_vars)
        restore = next((call for call in run.calls if "restore" in call), None)
        found.append(None if restore is None else str(restore[restore.index("restore") + 2]))
    return found


def test_the_key_covers_what_decides_an_install(tmp_path: Path) -> None:
    """Modules are made anew when package.json, the lockfile or a settings file of the manager has changed."""
    plain: dict[str, str | bytes] = {"package.json": package()}
    first, same, *others = keys(
        tmp_path,
        plain,
        {**plain, "other.js": "1"},
        {"package.json": package(dependencies={"x": "1"})},
        {**plain, "package-lock.json": "{ }"},
        {**plain, ".npmrc": "legacy-peer-deps=true\n"},
    )

    assert first == same
    assert first is not None
    assert len({first, *others}) == 4


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": package(dependencies={"x": "file:lib"})},
        {"package.json": package(dependencies={"x": "../lib"})},
        {"package.json": package(dependencies={"x": "someone/repository"})},
        {"package.json": package(devDependencies={"x": "git+ssh://host/x.git"})},
        {"package.json": package(resolutions={"x": "patch:x@1#./x.patch"})},
        {"package.json": package(pnpm={"patchedDependencies": {"x": "x.patch"}})},
        {"package.json": package(workspaces=["packages/*"])},
        {"package.json": package(scripts={"postinstall": "node make.js"})},
        {"package.json": package(), "binding.gyp": "{}"},
        {"package.json": package(), "pnpm-workspace.yaml": "packages:\n  - a\n"},
    ],
)
def test_modules_made_of_the_apps_files_are_never_cached(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    """Where an install reads or runs other files of the app, its lists do not tell what comes of it."""
    assert keys(tmp_path, files) == [None]


def test_node_modules_cache_can_be_switched_off(tmp_path: Path) -> None:
    """NODE_MODULES_CACHE=false installs everything anew, and keeps no other directory either."""
    files: dict[str, str | bytes] = {"package.json": package(cacheDirectories=["x"]), "package-lock.json": "{}"}
    run, _ = compiled(tmp_path, files, config_vars={"NODE_MODULES_CACHE": "false"})

    assert commands(run) == ["clear", "npm ci --include=dev", "finish"]


@pytest.mark.parametrize("key", ["cacheDirectories", "cache_directories"])
def test_cache_directories_are_brought_and_kept(tmp_path: Path, key: str) -> None:
    """The app's own come before its scripts run, those in node_modules when that is there; all go before pruning."""
    fields = {key: ["a", "node_modules/.cache", "a/"], "scripts": SCRIPTS}
    run, said = compiled(tmp_path, {"package.json": package(**fields), "package-lock.json": "{}"})
    named = [call[call.index(step) + 3 :] for step in ("bring", "keep") for call in run.calls if step in call]

    assert commands(run) == [
        *("bring", "npm run heroku-prebuild", "restore", "clear", "npm ci --include=dev", "bring", "npm run build"),
        *("save", "keep", "npm run heroku-cleanup", "finish"),
    ]
    assert named == [("a",), ("node_modules/.cache",), ("a", "node_modules/.cache")]
    assert "       Saving 2 from cacheDirectories (package.json):" in said


# -- errors ----------------------------------------------------------------------------------------------------

NPM_STALE = """npm error code EUSAGE
npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync. Please update
npm error Missing: odd@3.0.1 from lock file
"""
USAGE = "npm error aliases: clean-install, ic, install-clean, isntall-clean\n" * 100
LOCKED: dict[str, str | bytes] = {"package.json": package(), "package-lock.json": "{}"}


@pytest.mark.parametrize(
    ("files", "answer", "reason", "fix"),
    [
        ({"package.json": "{,}"}, machine(), r"package\.json is no JSON: .* line 1 column 2", "correct it"),
        ({"package.json": "[]"}, machine(), r"package\.json is no JSON object", "write one"),
        ({"package.json": "[" * 10**5}, machine(), r"package\.json is no JSON", "correct it"),
        (
            {**LOCKED, "yarn.lock": "", "pnpm-lock.yaml": ""},
            machine(),
            r"several lockfiles: package-lock\.json, yarn\.lock, pnpm-lock\.yaml",
            "keep the one",
        ),
        (
            {"package.json": package(packageManager="pnpm@9.1.0"), "yarn.lock": ""},
            machine(),
            r"package\.json: packageManager is pnpm@9\.1\.0, but the lockfile is yarn\.lock",
            "remove yarn.lock",
        ),
        ({"package.json": package(packageManager="yarn@^4")}, machine(), r"packageManager is 'yarn@\^4'", "yarn@4"),
        ({"package.json": package(packageManager={})}, machine(), r"packageManager is \{\}", "name@version"),
        ({"package.json": package(packageManager="bun@1.0.0")}, machine(), r"packageManager is bun", "npm, yarn"),
        (
            {**LOCKED, "package.json": package(engines={"node": "22.x"})},
            machine(satisfied={"node": False}),
            r"package\.json: engines\.node asks for 22\.x, this machine has Node\.js 20\.1\.0",
            "change engines.node",
        ),
        (
            {**LOCKED, "package.json": package(engines={"node": "latest"})},
            machine(satisfied={"node": None}),
            r"package\.json: engines\.node is 'latest', no range of versions",
            "20.x",
        ),
        *(
            (
                {**LOCKED, "package.json": package(engines={name: text})},
                machine(),
                rf"engines\.{name} is '{shown}",
                "20.x",
            )
            for name, text, shown in (
                *(("node", " || ".join(["99"] * 60_000), "99"), ("yarn", "\ud800", r"\\ud800")),
                *(("pnpm", "9\x1b[2J", r"9\\x1b"), ("npm", "\0", r"\\x00")),
            )
        ),
        (
            {**LOCKED, "package.json": package(engines={"node": ">=99\n -----> x"})},
            machine(satisfied={"node": False}),
            r"engines\.node asks for >=99 -----> x, this",
            "change engines.node",
        ),
        (
            {**LOCKED, "package.json": package(engines={"npm": "99.x"})},
            machine(satisfied={"npm": False}),
            r"package\.json: engines\.npm asks for 99\.x, no such version",
            "change engines.npm",
        ),
        *(
            (
                {**LOCKED, "package.json": package(cacheDirectories=listed)},
                machine(),
                rf"package\.json: cacheDirectories has {shown}, no directory of the app",
                '[".next/cache"]',
            )
            for listed, shown in (
                *((["/etc"], "'/etc'"), (["a", "../b"], r"'\.\./b'"), (["a/../.."], r"'a/\.\./\.\.'")),
                *((["."], r"'\.'"), ([1], "1"), ({"a": "b"}, r"\{'a': 'b'\}"), (["\ud800"], r"'\\ud800'")),
            )
        ),
        (LOCKED, machine(npm=None), r"there is no npm on the build's PATH", "apt-get install nodejs npm"),
        (LOCKED, lambda _: Completed(127, ""), r"there is no node on the build's PATH", "apt-get install nodejs"),
        (LOCKED, lambda _: Completed(1, ""), r"node and npm do not work together", "apt-get install nodejs"),
        (
            LOCKED,
            machine(fails="ci", said="gyp info\ngyp ERR! not ok\nnpm error\n"),
            r"a native module could not be compiled by node-gyp",
            "apt-get install g++ make python3 libnode-dev",
        ),
        *(
            ({"package.json": package(), name: ""}, machine(fails="install", said=said), rf"{name} is not that of", fix)
            for name, said, fix in (
                ("yarn.lock", "error Your lockfile needs to be updated, but", "run yarn install"),
                ("yarn.lock", "YN0028: | The lockfile would have been modified", "commit the yarn.lock"),
                ("pnpm-lock.yaml", " ERR_PNPM_OUTDATED_LOCKFILE  Cannot", "run pnpm install"),
            )
        ),
        (
            LOCKED,
            machine(fails="ci", said=f"{NPM_STALE}{'npm error usage' * 40}"),
            r"package-lock\.json is not that of package\.json: odd@3\.0\.1 is missing",
            "run npm install, and commit the package-lock.json",
        ),
        (
            LOCKED,
            machine(
                fails="ci", said=f"The `npm ci` command can only install with an existing package-lock.json or\n{USAGE}"
            ),
            r"npm cannot read package-lock\.json",
            "resolve its conflicts, or run npm install",
        ),
        (
            LOCKED,
            machine(
                fails="ci", said="npm error request to https://u:p@npm.test/x failed, reason: connect ECONNREFUSED"
            ),
            r"package\.json: npm\.test cannot be reached \(ECONNREFUSED\)",
            "HTTPS_PROXY",
        ),
        (
            LOCKED,
            machine(fails="ci", said="npm error code E404\nnpm error Log files were not written\n"),
            r"package\.json: npm ci failed\n  npm error code E404$",
            "see what npm says",
        ),
        (
            {"package.json": package(packageManager="pnpm@9.1.0+sha512.00")},
            lambda argv: Completed(4, "") if "tool" in argv else machine()(argv),
            r"package\.json: pnpm@9\.1\.0 is not what the digest in packageManager says",
            "corepack use pnpm@9.1.0",
        ),
    ],
)
def test_errors_name_the_file_and_the_fix(
    tmp_path: Path, files: dict[str, str | bytes], answer: Answer, reason: str, fix: str
) -> None:
    """Each error says which file, what is wrong with it, and what to do, in at most eight lines."""
    with pytest.raises(BuildpackError, match=reason) as caught:
        compiled(tmp_path, files, answer)

    assert fix in caught.value.fix
    assert f"{caught.value}\n{caught.value.fix}".count("\n") < 8


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("name", [".profile.d", "node_modules", ".yarn"])
def test_links_where_the_pack_writes_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    """A source that has a link or a file where the pack would write is refused by name."""
    context = fake_context(tmp_path, run=RecordingRunner(machine()))
    write_tree(context.build_dir, LOCKED)
    path = context.build_dir / name
    path.symlink_to("/tmp") if kind == "link" else path.write_text("x")
    with pytest.raises(BuildpackError, match=f"the source has a {kind} at {name}"):
        NodejsBuildpack().compile(context)


@pytest.mark.parametrize("command", ["yarn start", "pnpm run web"])
def test_a_procfile_that_starts_a_manager_is_warned_of(tmp_path: Path, command: str) -> None:
    """Yarn and pnpm are not in a slug: a Procfile that starts one is told to use npm."""
    _, said = compiled(tmp_path, {**LOCKED, "Procfile": f"web: {command}\n"})

    assert f" !     Procfile: web starts {command.split(maxsplit=1)[0]}, which is not in the slug: use npm run" in said


def test_nothing_to_start_is_warned_of(tmp_path: Path) -> None:
    """An app without a start script, a server.js and a Procfile cannot be started, and the build says so."""
    _, said = compiled(tmp_path / "none", LOCKED)
    _, fine = compiled(tmp_path / "server", {**LOCKED, "server.js": ""})

    assert any("Nothing says how the app is started" in line for line in said)
    assert not any("Nothing says how" in line for line in fine)


def test_a_package_that_is_gone(tmp_path: Path) -> None:
    """A pack before this one may have removed package.json: the error names it and who may have done so."""
    with pytest.raises(BuildpackError, match=r"package\.json is gone since detect") as caught:
        compiled(tmp_path, {})
    assert "no pack before this one removes it" in caught.value.fix


def test_the_ruby_pack_after_this_one_starts_the_app(tmp_path: Path) -> None:
    """With -b nodejs -b ruby it is the later pack that says how; the other way round npm start is what counts."""
    _, before = compiled(tmp_path / "before", {**LOCKED, "Gemfile": ""})
    _, after = compiled(tmp_path / "after", {**LOCKED, "Gemfile": "", ".profile.d/ruby.sh": ""})

    assert not any("Nothing says how" in line for line in before)
    assert any("Nothing says how" in line for line in after)


# -- at run time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config_vars", "expected"),
    [
        ({"MEMORY_AVAILABLE": "2560"}, "2560 512 5"),
        ({"MEMORY_AVAILABLE": "256"}, "256 512 1"),
        ({"MEMORY_AVAILABLE": "32768"}, "32768 2048 16"),
        ({"MEMORY_AVAILABLE": "1048576", "WEB_MEMORY": "1"}, "1048576 1 200"),
        ({"MEMORY_AVAILABLE": "2560", "WEB_MEMORY": "0"}, "2560 0 1"),
        ({"MEMORY_AVAILABLE": "2560", "WEB_CONCURRENCY": "3"}, "2560 512 3"),
    ],
)
def test_web_concurrency(config_vars: dict[str, str], expected: str) -> None:
    """MEMORY_AVAILABLE / WEB_MEMORY, from 1 to 200; what is set keeps priority; LOG_CONCURRENCY tells."""
    line = '. "$0/WEB_CONCURRENCY.sh"; echo $MEMORY_AVAILABLE $WEB_MEMORY $WEB_CONCURRENCY'
    argv = ["bash", "-c", line, str(PROFILE)]
    quiet = subprocess.run(argv, env=config_vars, capture_output=True, text=True, check=True)
    told = subprocess.run(
        argv, env={**config_vars, "LOG_CONCURRENCY": "true"}, capture_output=True, text=True, check=True
    )

    assert quiet.stdout.strip() == told.stdout.strip() == expected
    assert quiet.stderr == ""
    assert f"Recommending WEB_CONCURRENCY={expected.split()[2]}" in told.stderr


def test_the_last_packs_web_concurrency_counts() -> None:
    """Each pack that has a say puts it into a file of one name, and nowhere else: the last one's is in the slug."""
    packs = {path.parent.parent.name for path in PROFILE.parent.parent.glob("*/profile.d/WEB_CONCURRENCY.sh")}
    others = [path for path in PROFILE.parent.parent.glob("*/profile.d/*.sh") if path.name != "WEB_CONCURRENCY.sh"]

    assert packs == {"nodejs", "python", "ruby"}
    assert not [path for path in others if "WEB_CONCURRENCY" in path.read_text()]
