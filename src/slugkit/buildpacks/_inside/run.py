"""How a step ends: what the disk or the tree stands in the way of is one line, not the step's own source."""

import shutil
import subprocess
from collections.abc import Callable


def run(step: Callable[..., int], *arguments: str) -> int | str:
    """Return the status of *step*, or what went wrong, which is for standard error."""
    try:
        return step(*arguments)
    except shutil.Error as error:  # of each file it copied; the first says enough
        return f"{error.args[0][0][2]:.300}" if isinstance(error.args[0], list) else str(error)
    except OSError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]} ended with status {error.returncode}: see its words above"
