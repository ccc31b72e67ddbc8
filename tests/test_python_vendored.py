"""The interpreter that travels in a slug: what stays behind, and what it may load."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from slugkit.buildpacks._inside.python import environment, vendor
from slugkit.testing import write_tree


def test_tests_and_static_libraries_stay_behind() -> None:
    """Of the standard library, neither tests, nor what builds extensions, nor static libraries are in a slug."""
    top = ["os.py", "test", "ensurepip", "idlelib", "config-3.13-x86_64-linux-gnu", "configparser.py", "libx.a"]
    modules = ["_ssl.cpython-313-x86_64-linux-gnu.so", "_testcapi.cpython-313-x86_64-linux-gnu.so", "xxlimited.so"]
    left_out = [
        vendor.unwanted(f"/usr/lib/{environment.VERSION}", top),
        vendor.unwanted(f"/usr/lib/{environment.VERSION}/lib-dynload", modules),
        vendor.unwanted(f"/usr/lib/{environment.VERSION}/unittest", ["mock.py", "test", "tests", "x.o", "config-x"]),
    ]

    assert left_out[0] == {"test", "ensurepip", "idlelib", "config-3.13-x86_64-linux-gnu", "libx.a"}
    assert left_out[1] == set(modules[1:])
    assert left_out[2] == {"test", "tests", "x.o"}


def with_debug_information(root: Path) -> list[Path]:
    """Compile an extension module, a shared library and a program, as pyenv does; return their paths."""
    version = environment.VERSION
    kinds = {f"bin/{version}": [], "lib/libpython3.so.1.0": ["-shared"], f"lib/{version}/lib-dynload/x.so": ["-shared"]}
    source = write_tree(root, {"x.c": "int main(void) { return 7; }\n"}) / "x.c"
    made = [root / ".heroku/python" / name for name in kinds]
    for path, options in zip(made, kinds.values(), strict=True):
        path.parent.mkdir(parents=True)
        subprocess.run(["gcc", "-g", "-fPIC", *options, "-o", path, source], check=True)
    return made


def test_debug_information_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interpreter, library and extension modules lose what only a debugger reads, and work as they did."""
    made = with_debug_information(tmp_path)
    before = [b".debug_info" in path.read_bytes() for path in made]
    monkeypatch.chdir(tmp_path)
    vendor.strip()

    assert before == [True] * 3
    assert [b".debug_info" in path.read_bytes() for path in made] == [False] * 3
    assert subprocess.run([made[0]], check=False).returncode == 7


def test_without_strip_all_of_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without binutils an interpreter is larger, and that is all."""
    made = with_debug_information(tmp_path)
    before = [path.read_bytes() for path in made]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    vendor.strip()

    assert [path.read_bytes() for path in made] == before


def test_only_the_slug_and_the_stack_are_loaded_from() -> None:
    """A library of anywhere else - a prefix of one's own, /usr/local, a home directory - is not on the next machine."""
    env = "/tmp/build_1/.heroku/python"
    fine = [f"{env}/lib/libpython3.13.so.1.0", f"{env}/lib/python3.13/lib-dynload/_ssl.so", "/usr/lib/x/libssl.so.3"]
    other = ["/opt/openssl/lib/libssl.so.3", "/usr/local/lib/libsqlite3.so.0", "/tmp/build_1/.heroku/pythonx/a.so"]
    mapped = [*fine, "/lib64/ld-linux-x86-64.so.2", "/opt/locale-archive", "/usr/share/x.so.txt", *other]

    assert environment.libraries_elsewhere(mapped, env) == other


def test_what_cannot_be_moved_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that looks for its own library at a fixed path, which is not to be found in it, is named."""
    monkeypatch.chdir(write_tree(tmp_path, {f".heroku/python/bin/{environment.VERSION}": "no path in here"}))
    monkeypatch.setattr(sysconfig, "get_config_vars", lambda *_: ["/opt/python/lib", "libpython.so.1.0"])
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: 1)
    with pytest.raises(SystemExit) as caught:
        vendor.vendor_shared_library()

    said = str(caught.value)
    assert sys.executable in said
    assert "looks for its own library in /opt/python/lib only" in said
    assert "SLUGKIT_PYTHONS" in said
    assert "--runtime stack" in said
    assert len(said.splitlines()) <= 8


@pytest.mark.parametrize(("runtime", "status"), [("vendored", 1), ("stack", 0)])
def test_an_environment_that_loads_from_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runtime: str, status: int
) -> None:
    """The finished environment is tried: what it maps decides, and a vendored one has to do with slug and stack."""
    answer = json.dumps([str(tmp_path / ".heroku/python"), ["/opt/openssl/lib/libssl.so.3"]])
    program = f"#!/bin/sh\necho '{answer}'\n"
    monkeypatch.chdir(write_tree(tmp_path, {".heroku/python/bin/python": program}))

    assert environment.check(runtime) == status
    said = capsys.readouterr().err
    assert ("it loads /opt/openssl/lib/libssl.so.3, which the stack has not" in said) is bool(status)


def test_an_environment_that_does_not_find_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interpreter that takes another directory for its own would not be the slug's in a dyno."""
    program = "#!/bin/sh\necho '[\"/opt/python\", []]'\n"
    monkeypatch.chdir(write_tree(tmp_path, {".heroku/python/bin/python": program}))

    assert environment.check("vendored") == 1
    said = capsys.readouterr().err
    assert "it takes /opt/python for its prefix" in said
    assert "SLUGKIT_PYTHONS" in said


def test_all_extension_modules_are_tried() -> None:
    """The check loads each extension module, so that a library that one of them needs does not show up in a dyno."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", environment.LOAD_ALL], check=True, capture_output=True, text=True
    )
    prefix, mapped = json.loads(done.stdout)

    assert prefix == sys.prefix
    assert {"_ssl", "_sqlite3"} <= {Path(path).name.split(".")[0] for path in mapped}
