"""What a build's commands see: their mounts and their environment."""

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from ..environ import BUILD_PATH, CI_PATH, TRUST_ENV, compose_env
from ..sandbox import REGISTRY_ETC, Bind, Mount, Sandbox, SandboxSpec, stack_view
from ._workspace import Workspace


def build_spec(workspace: Workspace, app: Path, uid: int | None, host_env: Mapping[str, str]) -> SandboxSpec:
    """Return the view of a build: the stack, a private /tmp with BUILD_DIR and CACHE_DIR, and *app* as /app."""
    return SandboxSpec(
        (
            *stack_view(uid, REGISTRY_ETC),
            Bind(Path("/var/lib/dpkg"), "/var/lib/dpkg", optional=True),  # apt-get asks what the stack has
            *_tools(),
            *_trust(host_env),
            Bind(workspace.tmp, "/tmp", writable=True),  # noqa: S108 - inside the sandbox
            Bind(app, "/app", writable=True),
        ),
        uid,
    )


def build_env(stack: str, home: str, commit: str | None, host_env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of detect and compile: contract.md 2.4, and what ``host_env`` lets through."""
    own = {
        "PATH": BUILD_PATH,
        "HOME": home,
        "STACK": stack,
        "REQUEST_ID": str(uuid.uuid4()),
        "SOURCE_VERSION": commit or "",
        "BUILDPACK_LOG_FILE": "/dev/null",
        "DYNO": "build.1",
    }
    return compose_env(host_env, own)


def ci_env(commit: str | None) -> dict[str, str]:
    """Return what test-compile and test have besides or instead (contract.md 2.4)."""
    return {
        "PATH": CI_PATH,
        "CI": "true",
        "CI_NODE_INDEX": "0",
        "CI_NODE_TOTAL": "1",
        "PORT": "5000",
        "TERM": "dumb",
        "HEROKU_TEST_RUN_ID": str(uuid.uuid4()),
        "HEROKU_TEST_RUN_BRANCH": "",
        "HEROKU_TEST_RUN_COMMIT_VERSION": commit or "",
    }


def _tools() -> tuple[Mount, ...]:
    """Show the interpreter that runs slugkit, its environment and slugkit itself: the built-in packs use them."""
    package = Path(__file__).resolve().parent.parent
    wanted = (
        sys.prefix,
        sys.base_prefix,
        os.path.realpath(sys.base_prefix),  # links of an environment may lead there (uv, /opt)
        str(Path(os.path.realpath(sys.executable)).parent),
        str(package),
    )
    outside = [path for path in dict.fromkeys(wanted) if not _in_usr(path)]
    return tuple(Bind(Path(path), _uncovered(path, number)) for number, path in enumerate(outside))


def shown_too(spec: SandboxSpec, directory: Path) -> SandboxSpec:
    """Return *spec* with *directory* of the host in view, read-only, and where a link on the way to it leads."""
    paths = dict.fromkeys((str(directory), os.path.realpath(directory)))
    seen = [mount.host for mount in spec.mounts if isinstance(mount, Bind)]
    new = [path for path in paths if not any(Path(path).is_relative_to(host) for host in seen)]
    binds = (Bind(Path(path), _uncovered(path, len(spec.mounts) + number)) for number, path in enumerate(new))
    return evolve(spec, mounts=(*spec.mounts, *binds))


def _uncovered(path: str, number: int) -> str:
    """Return where to show the tool at *path*: there, unless the build's own /tmp or /app would cover it."""
    covered = Path(path).is_relative_to("/tmp") or Path(path).is_relative_to("/app")  # noqa: S108 - inside
    return f"/opt/slugkit/{number}" if covered else path


def _trust(host_env: Mapping[str, str]) -> tuple[Mount, ...]:
    """Show the certificate files and directories that the TLS variables of the host name."""
    paths = [Path(host_env[name]) for name in TRUST_ENV if host_env.get(name, "").startswith("/")]
    outside = [path for path in dict.fromkeys(paths) if path.exists() and not _in_stack(path)]
    return tuple(Bind(path, _uncovered(str(path), 100 + number)) for number, path in enumerate(outside))


def trusted_env(sandbox: Sandbox, spec: SandboxSpec, host_env: Mapping[str, str]) -> dict[str, str]:
    """Return *host_env* with the TLS variables naming their files as the build sees them."""
    return {
        n: sandbox.inside(spec, Path(v)) if n in TRUST_ENV and v.startswith("/") else v for n, v in host_env.items()
    }


def _in_usr(path: str) -> bool:
    return Path(path).is_relative_to("/usr")


def _in_stack(path: Path) -> bool:
    return any(path.is_relative_to(shown) for shown in ("/usr", "/etc/ssl/certs", "/etc/pki"))
