"""npm, Yarn and pnpm: which one an app uses, its commands and its settings. Pure, but for a look at the tree."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from ..._tree import read_beneath
from ...errors import BuildpackError
from ._package import Package

LOCKFILES = {
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
    "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm",
}
#: Files that, with package.json and the lockfile, decide what is installed.
SETTINGS = (".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", ".pnpmfile.mjs", "pnpm-workspace.yaml")
# What is installed when nothing asks for another: the version whose lockfiles these are, on every Node.js from 18 on.
_YARN_1, _YARN_4 = "1.22.22", "4.18.1"
_PNPM = {"5": "7.33.7", "6": "8.15.9", "9": "10.34.9"}  # by the first number of lockfileVersion
_PNPM_SETTINGS = {
    "confirm_modules_purge": "false",
    "extend_node_path": "false",  # or its commands name this build's directory
    "manage_package_manager_versions": "false",
    "package_import_method": "copy",  # a build that edits a module must not edit the store
    "prefer_symlinked_executables": "true",
    "update_notifier": "false",
}
# Without these, which no variable sets, it asks first, and keeps the packages that it has unlinked for a week.
_PNPM_PURGES = ("--config.confirm-modules-purge=false", "--config.modules-cache-max-age=0")


@frozen
class Manager:
    """The package manager of an app: its lockfile, if there is one, and its version unless that is the machine's."""

    name: str
    lockfile: str | None
    version: str = ""
    digest: str = ""

    @property
    def is_berry(self) -> bool:
        """Whether it is a Yarn of 2 or later, another program than Yarn 1."""
        return self.name == "yarn" and not self.version.startswith(("0.", "1."))

    @property
    def package(self) -> str:
        """Its name in the npm registry."""
        return "@yarnpkg/cli-dist" if self.is_berry else self.name

    @property
    def install(self) -> tuple[str, ...]:
        """The command that installs everything, as the lockfile says."""
        if self.name == "npm":
            how = ("ci",) if self.lockfile else ("install", "--no-package-lock")
            return ("npm", *how, "--include=dev")
        if self.is_berry:
            return ("yarn", "install", "--immutable") if self.lockfile else ("yarn", "install", "--no-immutable")
        frozen_lockfile = "--frozen-lockfile" if self.lockfile else "--no-lockfile"
        if self.name == "pnpm":
            return ("pnpm", "install", frozen_lockfile, "--prod=false", "--prefer-offline")
        return ("yarn", "install", frozen_lockfile, "--production=false", *_YARN_OPTIONS)

    @property
    def prune(self) -> tuple[str, ...]:
        """The command that removes what only development needs."""
        if self.name == "npm":
            return ("npm", "prune", "--omit=dev", *(() if self.lockfile else ("--no-package-lock",)))
        if self.name == "pnpm":
            return ("pnpm", "prune", "--prod", "--ignore-scripts")
        if self.is_berry:
            return ("yarn", "workspaces", "focus", "--all", "--production")
        return ("yarn", "install", "--production=true", "--ignore-scripts", "--frozen-lockfile", *_YARN_OPTIONS)

    @property
    def prune_workspace(self) -> tuple[str, ...]:
        """The same in a workspace of pnpm, whose prune removes the modules of every member but the root."""
        frozen_lockfile = "--frozen-lockfile" if self.lockfile else "--no-lockfile"
        return ("pnpm", "install", "--prod", frozen_lockfile, "--prefer-offline", "--ignore-scripts", *_PNPM_PURGES)

    def settings(self, cache: Path) -> dict[str, str | Path]:
        """Return the variables by which it keeps what it downloads in *cache*, and nothing but the app in the app."""
        npm: dict[str, str | Path] = {
            "NPM_CONFIG_AUDIT": "false",
            "NPM_CONFIG_CACHE": cache / "npm",
            "NPM_CONFIG_FUND": "false",
            "NPM_CONFIG_LOGS_MAX": "0",
            "NPM_CONFIG_PREFER_OFFLINE": "true",
            "NPM_CONFIG_PROGRESS": "false",
            "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        }
        if self.name == "pnpm":
            own: dict[str, str | Path] = {
                **_PNPM_SETTINGS,
                "store_dir": cache / "pnpm",
                "cache_dir": cache / "pnpm-metadata",
            }
            return npm | {f"{kind}_config_{n}": v for kind in ("npm", "pnpm") for n, v in own.items()}
        if self.name == "yarn":
            return npm | {
                "YARN_CACHE_FOLDER": cache / "yarn",
                "YARN_ENABLE_GLOBAL_CACHE": "false",
                "YARN_ENABLE_PROGRESS_BARS": "false",
                "YARN_ENABLE_TELEMETRY": "0",
                "YARN_GLOBAL_FOLDER": cache / "yarn-global",
                "YARN_NODE_LINKER": "node-modules",  # what `npm start` and any `node` find
            }
        return npm


_YARN_OPTIONS = ("--ignore-engines", "--non-interactive", "--no-progress", "--prefer-offline")


def choose_manager(root: Path, package: Package) -> Manager:
    """Return the manager that the one lockfile in *root*, or packageManager, names; npm without either.

    Raises:
        BuildpackError: There are several lockfiles, or packageManager names another manager.
    """
    found = [name for name in LOCKFILES if read_beneath(root, name, 1) is not None]
    if len({LOCKFILES[name] for name in found}) > 1:
        fix = "keep the one of the package manager you use, remove the others or name them in .slugignore"
        raise BuildpackError(f"several lockfiles: {', '.join(found)}", fix)
    lockfile = found[0] if found else None
    name = LOCKFILES[lockfile] if lockfile else (package.manager.name if package.manager else "npm")
    if package.manager is None:
        return Manager(name, lockfile, _usual_version(root, name, lockfile))
    if package.manager.name != name:
        asked = f"{package.manager.name}@{package.manager.version}"
        fix = f"remove {lockfile}, or change packageManager in package.json"
        raise BuildpackError(f"package.json: packageManager is {asked}, but the lockfile is {lockfile}", fix)
    return Manager(name, lockfile, package.manager.version, package.manager.digest)


def _usual_version(root: Path, name: str, lockfile: str | None) -> str:
    """Return the version that wrote such a *lockfile*; none for npm, of which any that there is will do."""
    if name == "npm" or lockfile is None:
        return ""
    head = (read_beneath(root, lockfile, 4096) or b"").decode("utf-8", "replace")
    if name == "yarn":
        return _YARN_4 if re.search(r"^__metadata:", head, re.MULTILINE) else _YARN_1
    match = re.search(r"^lockfileVersion:\s*['\"]?(\d+)", head, re.MULTILINE)
    return _PNPM.get(match[1] if match else "9", _PNPM["9"])


def keeps_dev_dependencies(env: Mapping[str, object]) -> str | None:
    """Return the variable by which *env* asks to leave devDependencies in, as Heroku reads it, or None."""
    for name in ("NPM_CONFIG_PRODUCTION", "YARN_PRODUCTION"):
        if env.get(name) == "false":
            return f"{name}=false"
    for name in ("YARN2_SKIP_PRUNING", "PNPM_SKIP_PRUNING"):
        if env.get(name) == "true":
            return f"{name}=true"
    return None if env["NODE_ENV"] == "production" else f"NODE_ENV={env['NODE_ENV']}"


def scripts_not_run(root: Path) -> tuple[str, ...]:
    """Return the packages whose install scripts pnpm has left out, as package.json does not allow them."""
    try:
        plain = json.loads(read_beneath(root, "node_modules/.modules.yaml") or b"{}")
    except (ValueError, RecursionError):  # YAML: of an earlier pnpm, which has run them all
        return ()
    found = plain.get("ignoredBuilds") if isinstance(plain, dict) else None
    return tuple(str(name)[:100] for name in found) if isinstance(found, list) else ()
