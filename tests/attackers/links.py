"""Links: what the app can make point elsewhere, for itself, for other dynos and for whoever cleans up."""

import os
import shutil
from pathlib import Path

from kit import HELD, Outcome, Told, loot


def hard_link_out(told: Told) -> None:
    """Link a private file of the host into tmp/."""
    os.link(told["home_canary"], "tmp/linked")


def hard_link_slug(_told: Told) -> None:
    """Link a file of the slug into tmp/, and write to it there."""
    os.link("slug/hard", "tmp/hard")
    os.chmod("tmp/hard", 0o666)
    Path("tmp/hard").write_text("changed")


def symlink_out(told: Told) -> Outcome:
    """Make a link in tmp/ to a file of the host, and read through it."""
    os.symlink(told["home_canary"], "tmp/out")
    return loot("tmp/out")


def magic_link_out(told: Told) -> Outcome:
    """Make a link in tmp/ to somebody's root, and read through it."""
    os.symlink(f"/proc/{told['pids']['victim']}/root", "tmp/magic")
    return loot("tmp/magic" + told["home_canary"])


def climb_out(told: Told) -> Outcome:
    """Climb up from the app with ``..``."""
    return loot("../" * 30 + told["home_canary"].lstrip("/"))


def tmp_to_link(told: Told) -> Outcome:
    """Make tmp/ a link to a directory of the host, for whoever empties it when the dyno is gone."""
    return _swapped("tmp", told["precious"])


def log_to_link(told: Told) -> Outcome:
    """Make log/ a link to a directory of the host."""
    return _swapped("log", told["precious"])


def _swapped(name: str, target: str) -> Outcome:
    os.rename(name, f"{name}.old")
    os.symlink(target, name)
    return HELD


def home_to_link(told: Told) -> Outcome:
    """Make the app's directory itself a link to a directory of the host."""
    home = os.getcwd()
    os.rename(home, f"{home}.old")
    os.symlink(told["precious"], home)
    return HELD


def link_in_tmp(told: Told) -> Outcome:
    """Leave links to a directory of the host in tmp/ and log/."""
    for name in ("tmp", "log"):
        shutil.rmtree(f"{name}/to", ignore_errors=True)
        os.symlink(told["precious"], f"{name}/to")
    return HELD
