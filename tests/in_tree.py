"""Python packages that are built without a registry: their build backend is in their own tree."""

from pathlib import Path

_HERE = Path(__file__).parent / "apps/in-tree"


def package(name: str, module: str = "WHERE = __file__\n", at: str = "") -> dict[str, str]:
    """Return the files of a package that is the one *module* of its *name*, below the directory *at*."""
    build_system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "pyproject.toml": f'{build_system}[project]\nname = "{name}"\nversion = "1"\n',
        "backend.py": (_HERE / "backend.py").read_text(),
        f"{name}.py": module,
    }
    return {f"{at}{path}": text for path, text in files.items()}


def hooked_package(targets: list[Path], at: str) -> dict[str, str]:
    """Return the files of a package that tries to write to *targets* when it is built, and at each start of Python.

    What came of it is in ``attempts.txt``, beside its sources and beside the installed module: turn, file and answer.
    """
    hook = (_HERE / "hook.py").read_text()
    return {**package("hook", hook, at), f"{at}targets.txt": "\n".join(map(str, targets))}
