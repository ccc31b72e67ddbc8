from typing import get_args

import pytest

from slugkit.build._text import heroku_text
from slugkit.errors import BuildTimeoutError, IncompatibleBuildpackError, SlugTooLargeError
from slugkit.events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpacksChosen,
    BuildStarted,
    PackingProgressed,
    PackingStarted,
    ProcessTypesDiscovered,
    ProcfileWarned,
    SeveralBuildpacksDetected,
    SlugPacked,
    SourceIgnored,
)
from slugkit.units import human_size

MIB = 2**20
SEVERAL = (
    " !     Warning: Multiple default buildpacks reported the ability to handle this app."
    " The first buildpack in the list below will be used."
)
HINT = (
    "                        HINT: This occurs when Heroku cannot detect the buildpack to use for this"
    " application automatically."
)


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (BuildStarted("."), []),
        (SourceIgnored(12), ["-----> Deleting 12 files matching .slugignore patterns."]),
        (SourceIgnored(0), ["-----> Deleting 0 files matching .slugignore patterns."]),
        (
            BuildpacksChosen("heroku-22", ()),
            ["-----> Building on the Heroku-22 stack", "-----> Determining which buildpack to use for this app"],
        ),
        (
            BuildpacksChosen("heroku-24", ("heroku/ruby",)),
            ["-----> Building on the Heroku-24 stack", "-----> Using buildpack: heroku/ruby"],
        ),
        (
            BuildpacksChosen("cedar-14", ("heroku/nodejs", "https://example.com/x.git")),
            [
                "-----> Building on the Cedar-14 stack",
                "-----> Using buildpacks:",
                "       1. heroku/nodejs",
                "       2. https://example.com/x.git",
            ],
        ),
        (BuildpackDetected("ruby", "Ruby"), ["-----> Ruby app detected"]),
        (
            SeveralBuildpacksDetected(("Ruby", "Node.js")),
            [
                SEVERAL,
                "Detected buildpacks: Ruby,Node.js",
            ],
        ),
        (PackingStarted(10, 1000), ["", "-----> Compressing..."]),
        (PackingProgressed(5, 500), []),
    ],
)
def test_says_what_git_push_heroku_says(event: BuildEvent, lines: list[str]) -> None:
    """Each step of a build reads as it does in a push to Heroku (contract.md 2.5 and 2.7)."""
    assert list(heroku_text(event)) == lines


@pytest.mark.parametrize("text", ["", "       indented", "column 0", "-----> step", " !     problem", "\x1b[31mred"])
def test_a_buildpack_s_lines_pass_through(text: str) -> None:
    """What a buildpack prints is neither indented nor changed."""
    assert heroku_text(BuildLine(text)) == (text,)


@pytest.mark.parametrize(
    ("declared", "defaults", "lines"),
    [
        (
            ("release", "web"),
            ("console", "rake"),
            [
                "       Procfile declares types     -> release, web",
                "       Default types for buildpack -> console, rake",
            ],
        ),
        (("web",), (), ["       Procfile declares types -> web"]),
        (
            (),
            (),
            [
                "       Procfile declares types -> (none)",
                " !     Nothing says how the app is started: add a Procfile",
            ],
        ),
        (
            (),
            ("web",),
            ["       Procfile declares types     -> (none)", "       Default types for buildpack -> web"],
        ),
    ],
)
def test_process_types_are_listed(declared: tuple[str, ...], defaults: tuple[str, ...], lines: list[str]) -> None:
    """Declared types and undeclared defaults stand under each other; for none of either, Heroku has no warning."""
    text = heroku_text(ProcessTypesDiscovered(declared, defaults, "Ruby"))

    assert list(text) == ["-----> Discovering process types", *lines]


def test_procfile_warnings_stand_behind_a_bang() -> None:
    """A doubtful line of the Procfile is shown as a problem, with its place and its cure."""
    warned = ProcfileWarned("procfile.no-blank", 2, 7, "no blank after the colon", "write 'worker: celery'")

    assert heroku_text(warned) == (" !     Procfile:2:7: no blank after the colon (write 'worker: celery')",)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (646, "646B"),
        (1023, "1023B"),
        (1024, "1K"),
        (596 * 1024, "596K"),
        (MIB - 1, "1023K"),
        (MIB, "1.0M"),
        (41_208_000, "39.3M"),
        (600_729_190, "572.9M"),
        (2000 * MIB, "2000.0M"),
    ],
)
def test_sizes_are_heroku_s(size: int, text: str) -> None:
    """Megabytes have one decimal, kilobytes and bytes none (contract.md 3.4)."""
    assert human_size(size) == text


def test_a_packed_slug_tells_its_size() -> None:
    """A slug within the soft limit, that size included, is done without a warning."""
    assert heroku_text(SlugPacked("a", 41_208_000, 300 * MIB)) == ("       Done: 39.3M",)
    assert heroku_text(SlugPacked("a", 300 * MIB, 300 * MIB)) == ("       Done: 300.0M",)


def test_a_large_slug_is_warned_about() -> None:
    """Above the soft limit Heroku warns that booting may be slow."""
    assert heroku_text(SlugPacked("a", 346 * MIB, 300 * MIB)) == (
        "       Done: 346.0M",
        " !     Warning: Your slug size (346 MB) exceeds our soft limit (300 MB) which may affect boot time.",
    )


def test_a_failed_compile_is_a_rejected_push() -> None:
    """When a buildpack fails, the push is rejected with the name the pack gave the app, between blank lines."""
    failed = BuildFailed("build.compile-failed", "failed to compile Python app (status 1)\n  last line", "Python")

    assert heroku_text(failed) == ("", " !     Push rejected, failed to compile Python app.", "")


def test_no_buildpack_is_said_with_a_hint() -> None:
    """When nothing detects the app, Heroku's hint follows, indented by 24 blanks, and the push fails."""
    assert heroku_text(BuildFailed("buildpack.none", "no default language ...")) == (
        " !     No default language could be detected for this app.",
        HINT,
        "                        See https://devcenter.heroku.com/articles/buildpacks",
        "",
        " !     Push failed",
    )


def test_a_slug_too_large_is_said_as_heroku_does() -> None:
    """A slug above the hard limit is refused with both sizes and the article about it (contract.md 3.4)."""
    error = SlugTooLargeError(600_729_190, 500 * MIB)

    assert heroku_text(BuildFailed(error.code, str(error))) == (
        " !     Compiled slug size: 572.9M is too large (max is 500M).",
        " !     See: http://devcenter.heroku.com/articles/slug-size",
        " !     Push failed",
    )


def test_an_incompatible_buildpack_is_said_as_heroku_does() -> None:
    """A pack that was asked for and does not claim the app is named, with its reason (contract.md 2.7)."""
    error = IncompatibleBuildpackError("https://example.com/pack.git", "no app.toml")

    assert heroku_text(BuildFailed(error.code, str(error), buildpack=error.buildpack, reason=error.reason)) == (
        "-----> App not compatible with buildpack: https://example.com/pack.git",
        "       no app.toml",
        "       More info: https://devcenter.heroku.com/articles/buildpacks#detection-failure",
        "",
        " !     Push failed",
    )


def test_a_timeout_names_the_limit() -> None:
    """A build that takes too long says how long it may take, and the push fails."""
    error = BuildTimeoutError(900.0)
    first, last = heroku_text(BuildFailed(error.code, str(error)))

    assert first.lower() == " !     timed out; must complete in 900 seconds"
    assert last == " !     Push failed"


def test_other_failures_show_their_first_line() -> None:
    """Any other failure is its first line behind a bang, with a capital."""
    failed = BuildFailed("source.unusable", "cannot use the source 'x': gone\n  more")

    assert heroku_text(failed) == (" !     Cannot use the source 'x': gone", " !     Push failed")


def test_every_line_is_one_line() -> None:
    """Whatever the event, none of the lines holds a newline: each can be written as it is."""
    events: list[BuildEvent] = [
        BuildFailed("config.invalid", "one\ntwo\nthree"),
        BuildFailed("output.failed", ""),
        SlugPacked("a\nb", 1, 1),
        BuildStarted("a\nb"),
    ]

    assert BuildFailed in get_args(BuildEvent)
    assert not any("\n" in line for event in events for line in heroku_text(event))
