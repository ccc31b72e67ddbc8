"""Heroku's build text, as a pure function over the events (contract.md 1.4, 2.5, 2.7, 3.4)."""

from ..events import (
    BuildEvent,
    BuildFailed,
    BuildLine,
    BuildpackDetected,
    BuildpacksChosen,
    ConfigVarFound,
    PackingStarted,
    ProcessTypesDiscovered,
    ProcfileWarned,
    ReleaseUnread,
    SeveralBuildpacksDetected,
    SlugPacked,
    SourceIgnored,
)
from ..logline import harmless
from ..units import few, human_size

_STEP = "-----> "
_DETAIL = " " * 7
_PROBLEM = " !     "
_DEVCENTER = "https://devcenter.heroku.com/articles"


def heroku_text(event: BuildEvent) -> tuple[str, ...]:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return the lines ``git push heroku`` would show for *event*, none for most.

    >>> heroku_text(BuildpackDetected("python", "Python"))
    ('-----> Python app detected',)
    """
    match event:
        case SourceIgnored(count):
            return (f"{_STEP}Deleting {count} files matching .slugignore patterns.",)
        case BuildpacksChosen(stack, names):
            return (f"{_STEP}Building on the {stack.capitalize()} stack", *_chosen(names))
        case BuildpackDetected(buildpack, name):
            return (f"{_STEP}{name or buildpack} app detected",)
        case ReleaseUnread(_, what):
            return (f"{_PROBLEM}Warning: bin/release printed {what}, which means nothing: ignored",)
        case SeveralBuildpacksDetected(names):
            several = (
                "Warning: Multiple default buildpacks reported the ability to handle this app."
                " The first buildpack in the list below will be used."
            )
            return (
                f"{_PROBLEM}{several}",
                f"Detected buildpacks: {','.join(names)}",
            )
        case BuildLine(text):
            return (text,)
        case ProcfileWarned(_, line, column, message, fix):
            return (f"{_PROBLEM}Procfile:{line}:{column}: {message} ({fix})",)
        case ProcessTypesDiscovered(declared, defaults, _):
            return (f"{_STEP}Discovering process types", *_discovered(declared, defaults))
        case ConfigVarFound(name, paths):
            return (
                f"{_PROBLEM}Warning: the value of config var {name} is in the slug: {few([*map(harmless, paths)])}",
            )
        case PackingStarted():
            return ("", f"{_STEP}Compressing...")
        case SlugPacked(_, size, soft_limit):
            return (f"{_DETAIL}Done: {human_size(size)}", *_warned(size, soft_limit))
        case BuildFailed():
            return _failed(event)
        case _:
            return ()


def _chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return (f"{_STEP}Determining which buildpack to use for this app",)
    if len(names) == 1:
        return (f"{_STEP}Using buildpack: {names[0]}",)
    listed = (f"{_DETAIL}{number}. {name}" for number, name in enumerate(names, start=1))
    return (f"{_STEP}Using buildpacks:", *listed)


def _discovered(declared: tuple[str, ...], defaults: tuple[str, ...]) -> tuple[str, ...]:
    types = ", ".join(declared) or "(none)"
    if not defaults:
        listed = f"{_DETAIL}Procfile declares types -> {types}"
        return (listed,) if declared else (listed, f"{_PROBLEM}Nothing says how the app is started: add a Procfile")
    return (
        f"{_DETAIL}Procfile declares types     -> {types}",
        f"{_DETAIL}Default types for buildpack -> {', '.join(defaults)}",
    )


def _warned(size: int, soft_limit: int) -> tuple[str, ...]:
    if size <= soft_limit:
        return ()
    text = f"Your slug size ({size // 2**20} MB) exceeds our soft limit ({soft_limit // 2**20} MB)"
    return (f"{_PROBLEM}Warning: {text} which may affect boot time.",)


def _failed(event: BuildFailed) -> tuple[str, ...]:
    """Return Heroku's own sentence for a failure, each line behind a bang."""
    if event.code == "build.compile-failed":
        return ("", f"{_PROBLEM}Push rejected, failed to compile {event.app} app.", "")
    if event.code == "buildpack.none":
        blank = " " * 24
        reason = "Heroku cannot detect the buildpack to use for this application automatically."
        return (
            f"{_PROBLEM}No default language could be detected for this app.",
            f"{blank}HINT: This occurs when {reason}",
            f"{blank}See https://devcenter.heroku.com/articles/buildpacks",
            "",
            f"{_PROBLEM}Push failed",
        )
    if event.code == "buildpack.incompatible":
        title = f"{_STEP}App not compatible with buildpack: {event.buildpack}"
        said = (f"{_DETAIL}{line}" for line in event.reason.split("\n") if event.reason)
        more = f"{_DETAIL}More info: {_DEVCENTER}/buildpacks#detection-failure"
        return (title, *said, more, "", f"{_PROBLEM}Push failed")
    first = event.message.partition("\n")[0]
    first = first[:1].upper() + first[1:]
    if event.code == "slug.too-large":
        see = "http://devcenter.heroku.com/articles/slug-size"
        return (f"{_PROBLEM}{first}.", f"{_PROBLEM}See: {see}", f"{_PROBLEM}Push failed")
    return (f"{_PROBLEM}{first}", f"{_PROBLEM}Push failed")
