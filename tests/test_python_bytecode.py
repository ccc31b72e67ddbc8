"""The bytecode that the Python pack leaves in a slug: whole, and the same on every machine."""

import marshal
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slugkit.buildpacks._steps import BOOT, INSIDE
from slugkit.testing import write_tree

TAG = sys.implementation.cache_tag
HEADER = 16  # bytes before the code


def compile_app(root: Path, files: dict[str, str], before: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the step that compiles an app of *files*, after the Python *before*."""
    write_tree(root, files)
    argv: list[str | Path] = [sys.executable, "-I", "-S", "-c", before + BOOT, INSIDE, "python", "app"]
    notes = (root.with_name("notes"), root.with_name("last"), "3.11")
    return subprocess.run([*argv, *notes], cwd=root, capture_output=True, text=True, check=False)


def bytecode(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.pyc")}


def test_bytecode_is_the_same_on_any_number_of_cpus(tmp_path: Path) -> None:
    """One CPU or all of them, the same modules become the same bytes: what is compiled with what is fixed."""
    files = {f"p{number % 5}/m{number}.py": f"class A{number}:\n    name = 'a' 'b'\n" for number in range(100)}
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}});"
    assert compile_app(tmp_path / "one", files, one).returncode == 0
    assert compile_app(tmp_path / "all", files).returncode == 0

    assert len(bytecode(tmp_path / "all")) == len(files)
    assert bytecode(tmp_path / "one") == bytecode(tmp_path / "all")


def test_bytecode_names_the_dynos_path(tmp_path: Path) -> None:
    """A traceback in a dyno names /app, whatever directory the build was in; no clock is asked whether it is stale."""
    compile_app(tmp_path, {"pkg/mod.py": "x = 1\n", "top.py": ""})
    raw = bytecode(tmp_path)

    assert set(raw) == {f"pkg/__pycache__/mod.{TAG}.pyc", f"__pycache__/top.{TAG}.pyc"}
    code = raw[f"pkg/__pycache__/mod.{TAG}.pyc"]
    assert marshal.loads(code[HEADER:]).co_filename == "/app/pkg/mod.py"
    assert int.from_bytes(code[4:8], "little") == 0b01


def test_what_does_not_compile_stays_source(tmp_path: Path) -> None:
    """Broken modules, links to nothing and what is called __pycache__ without being one fail no build; none is told."""
    files = {"broken.py": "def broken(:\n", "escape.py": "'\\d'\n", "a/good.py": "", "b/good.py": "", "c/good.py": ""}
    write_tree(tmp_path, {"a/__pycache__": "no directory"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b/__pycache__").symlink_to("/nowhere")
    (tmp_path / "gone.py").symlink_to("nothing.py")
    done = compile_app(tmp_path, files)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = {f"{name}/__pycache__/good.{TAG}.pyc" for name in "abc"} | {f"__pycache__/escape.{TAG}.pyc"}
    assert set(bytecode(tmp_path)) == made


def test_stale_bytecode_is_removed(tmp_path: Path) -> None:
    """Bytecode that the source brings along, of any module and any Python, is not in the slug."""
    old = {"pkg/__pycache__/gone.cpython-37.pyc": "x", "pkg/sub/__pycache__/mod.pyc": "x", "pkg/sub/mod.py": ""}
    compile_app(tmp_path, old)

    assert set(bytecode(tmp_path)) == {f"pkg/sub/__pycache__/mod.{TAG}.pyc"}


def test_tests_of_packages_stay_source(tmp_path: Path) -> None:
    """No server imports the tests of its packages; what of them is there as bytecode is not in the slug."""
    files = {"lib/pkg/mod.py": "", "lib/pkg/tests/test_mod.py": "", "lib/pkg/tests/deep/x.py": "", "lib/tests.py": ""}
    write_tree(tmp_path, {**files, "lib/pkg/tests/__pycache__/test_mod.pyc": "x"})
    code = 'from inside.python.bytecode import compile_all; compile_all(["lib"], leave_out="tests")'
    argv: list[str | Path] = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        BOOT.partition("sys.exit")[0] + code,
        INSIDE,
        "python",
        "app",
    ]
    subprocess.run(argv, cwd=tmp_path, check=True)

    assert set(bytecode(tmp_path)) == {f"lib/pkg/__pycache__/mod.{TAG}.pyc", f"lib/__pycache__/tests.{TAG}.pyc"}


@pytest.mark.parametrize("end", ["os._exit(3)", "os.abort()"])
def test_a_compiler_that_crashes_fails_the_build(tmp_path: Path, end: str) -> None:
    """A Python that dies over a module ends the step with an error: a slug without its bytecode is not made."""
    crash = f"import os, py_compile; py_compile.compile = lambda *a, **b: {end};"
    done = compile_app(tmp_path, {"a.py": "", "b.py": ""}, crash)

    assert done.returncode == 1
    assert "died while it compiled modules to bytecode: name another one in .python-version" in done.stderr
