"""A warm test of a trivial buildpack: 70 of them on two workers, each a build and a one-off dyno, checks on."""

import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks._pair import Row
from slugkit.testing import write_tree

_TESTS = 70
_PACK = {
    "bin/detect": "#!/bin/bash\n[[ -f $1/hello.txt ]] && echo Hello\n",
    "bin/compile": '#!/bin/bash\necho "-----> Greeting"\ntr a-z A-Z <"$1/hello.txt" >"$1/greeting.txt"\n',
    "bin/release": '#!/bin/bash\necho "default_process_types: {web: cat greeting.txt}"\n',
    "tests/test_pack.py": f"""\
import pytest

@pytest.mark.parametrize("number", range({_TESTS}))
def test_greets(app, number):
    result = app.write({{"hello.txt": f"hi {{number}}\\n"}}).build()
    assert "Hello app detected" in result.output
    assert result.run("web").output == f"HI {{number}}\\n"
""",
}
_P50, _TOTAL = 150.0, 30_000.0  # milliseconds


def measure(runs: int) -> list[Row]:
    """Measure the median test, set-up and teardown included, and all of them together; there is no peer."""
    medians, totals = [], []
    for _ in range(max(runs // 3, 3)):
        with tempfile.TemporaryDirectory() as scratch:
            pack = write_tree(Path(scratch), _PACK)
            argv = (sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--junitxml=times.xml")
            started = time.perf_counter()
            subprocess.run(argv, check=True, capture_output=True, cwd=pack)
            totals.append((time.perf_counter() - started) * 1000)
            cases = ET.parse(pack / "times.xml").iter("testcase")  # noqa: S314 - our own
            medians.append(statistics.median(float(case.get("time", 0)) for case in cases) * 1000)
    p50, total = statistics.median(medians), statistics.median(totals)
    return [
        Row("plugin", "a warm test, p50", "limit", p50, _P50, 1.0, len(medians) * _TESTS),
        Row("plugin", f"{_TESTS} tests", "limit", total, _TOTAL, 1.0, len(totals)),
    ]
