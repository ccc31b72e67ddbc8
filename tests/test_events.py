import json
import pickle
from typing import Any, get_args

import attrs
import pytest

from slugkit import events
from slugkit.events import BuildEvent, DynoEvent, Event, to_dict

SAMPLES: list[Event] = [
    events.BuildStarted("."),
    events.SourceIgnored(3),
    events.SourceCheckedOut(None, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"),
    events.WorkspaceOpened("/srv/tmp/build_1", "/srv/tmp/build_cache", "/srv/app"),
    events.StepStarted("python", "detect"),
    events.StepEnded("python", "detect", 1, 0.25, "it failed"),
    events.BuildpackExported("python", {"PATH": "/usr/bin", "PYTHONHOME": None}),
    events.ReleaseUnread("python", "text, no YAML mapping"),
    events.BuildpackReported("python", {"python_version": "3.14", "total_duration": 1.5}),
    events.ProcessesLeft("compile build_1", ("sleep 1000",)),
    events.BuildpacksChosen("heroku-24", ("python",)),
    events.BuildpackDetected("python", "Python"),
    events.SeveralBuildpacksDetected(("Ruby", "Node.js")),
    events.BuildLine("       Installing \u00e9 \udcff"),
    events.ProcfileWarned("procfile.no-blank", 1, 5, "no blank", "write 'web: a'"),
    events.ProcessTypesDiscovered(("web",), ("console", "rake"), "Python"),
    events.ConfigVarFound("API_TOKEN", (".env", "a\udcff")),
    events.PackingStarted(10, 1000),
    events.PackingProgressed(5, 500),
    events.SlugPacked("a.slug.tgz", 1000, 300 * 2**20),
    events.BuildFailed("slug.corrupt", "cut short", "Python", "python", "no"),
    events.DynoStateChanged("web.1", "starting", "up"),
    events.DrainFailed("SyslogDrain('syslog://localhost:514')", "connection refused"),
    events.DrainClosed("FileDrain('app.log')", 10, 0),
]
each_event = pytest.mark.parametrize("event", SAMPLES, ids=lambda event: type(event).__name__)


def test_every_event_is_covered_here() -> None:
    """Whatever the module declares as an event belongs to the union callers match on, and is held to the rules."""
    classes = [value for value in vars(events).values() if isinstance(value, type) and attrs.has(value)]
    declared = {value for value in classes if value.__module__ == events.__name__}

    assert set(get_args(Event)) == set(get_args(BuildEvent)) | set(get_args(DynoEvent)) == declared
    assert declared == {type(event) for event in SAMPLES}


@each_event
def test_is_json(event: Event) -> None:
    """As plain data an event is its class name and its fields by name; JSON gives the same back."""
    plain = to_dict(event)
    names = [field.name for field in attrs.fields(type(event))]
    twin = json.loads(json.dumps(plain))

    assert list(plain) == ["event", *names]
    assert plain["event"] == type(event).__name__
    assert {name: _tupled(twin[name]) for name in names} == {name: getattr(event, name) for name in names}


def _tupled(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    return tuple(value) if isinstance(value, list) else value


@each_event
def test_is_a_value(event: Event) -> None:
    """An event compares by its fields, can be a key, travels between processes and cannot be changed."""
    twin = pickle.loads(pickle.dumps(event))

    assert twin == event
    assert hash(twin) == hash(event)
    with pytest.raises(AttributeError):
        setattr(event, attrs.fields(type(event))[0].name, "other")


def test_a_failure_without_an_app_has_none() -> None:
    """A build that fails before any buildpack is chosen names no app."""
    assert to_dict(events.BuildFailed("buildpack.none", "no")) == {
        "event": "BuildFailed",
        "code": "buildpack.none",
        "message": "no",
        "app": "",
        "buildpack": "",
        "reason": "",
    }
