import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slugkit.errors import CorruptSlugError
from slugkit.slug import (
    MANIFEST_PATH,
    SCHEMA,
    BuildpackRecord,
    Manifest,
    Platform,
    api_checksum,
    decode_manifest,
    encode_manifest,
    sha256_digest,
)

TEXT = st.text(max_size=8)
LINES = TEXT.filter(lambda text: "\0" not in text)
TYPES = st.dictionaries(st.from_regex(r"[a-zA-Z0-9_-]{1,8}", fullmatch=True), LINES, max_size=4)
VARS = st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), LINES, max_size=4)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=3),
    max_leaves=8,
)
OWN_KEYS = {*Manifest().to_dict()}
EXTRA = st.dictionaries((TEXT | st.just("extra")).filter(lambda key: key not in OWN_KEYS), JSON, max_size=3)
MANIFESTS = st.builds(
    Manifest,
    process_types=TYPES,
    buildpacks=st.lists(st.builds(BuildpackRecord, TEXT, TEXT, TEXT, TEXT), max_size=3).map(lambda found: (*found,)),
    stack=TEXT,
    platform=st.none() | st.builds(Platform, TEXT, TEXT, st.none() | TEXT),
    config_vars=VARS,
    source_commit=st.none() | TEXT,
    builder=TEXT,
    extra=EXTRA,
)
FULL = Manifest(
    process_types={"worker": "celery", "web": "gunicorn app:app"},
    buildpacks=(BuildpackRecord("python", "1", "built-in", "Python"),),
    stack="heroku-24",
    platform=Platform("x86_64", "glibc 2.36", "/usr"),
    config_vars={"LANG": "C.UTF-8"},
    source_commit="a" * 40,
    builder="slugkit 1",
)


@given(MANIFESTS)
def test_what_is_written_is_read(manifest: Manifest) -> None:
    """A manifest comes back from its bytes as it was, keys of newer schemas included."""
    assert decode_manifest(encode_manifest(manifest)) == manifest


@given(MANIFESTS)
def test_one_manifest_has_one_spelling(manifest: Manifest) -> None:
    """Reading and writing again gives the same bytes, so that the same slug has the same digest."""
    raw = encode_manifest(manifest)

    assert encode_manifest(decode_manifest(raw)) == raw


def test_the_order_of_keys_leaves_no_trace() -> None:
    """Two manifests that say the same are the same bytes: sorted keys, one newline at the end."""
    one = Manifest(process_types={"web": "a", "worker": "b"}, extra={"y": 1, "x": {"b": 1, "a": 2}})
    two = Manifest(process_types={"worker": "b", "web": "a"}, extra={"x": {"a": 2, "b": 1}, "y": 1})
    raw = encode_manifest(one)

    assert raw == encode_manifest(two)
    assert list(json.loads(raw)) == sorted(json.loads(raw))
    assert raw.endswith(b"}\n")


def test_spelling_is_plain_json() -> None:
    """Any JSON reader finds the process types, packs and platform under their names."""
    plain = json.loads(encode_manifest(FULL))

    assert plain["schema"] == SCHEMA == 1
    assert plain["process_types"] == {"web": "gunicorn app:app", "worker": "celery"}
    assert plain["buildpacks"] == [{"name": "python", "version": "1", "source": "built-in", "detected": "Python"}]
    assert plain["platform"] == {"architecture": "x86_64", "libc": "glibc 2.36", "interpreter": "/usr"}
    assert MANIFEST_PATH == ".slugkit/manifest.json"


def test_bytes_that_are_no_utf_8_survive() -> None:
    """A command with a byte that is no UTF-8, as file names may have, keeps it."""
    manifest = Manifest(process_types={"web": "run caf\udce9"})

    assert b"caf\xe9" in encode_manifest(manifest)
    assert decode_manifest(encode_manifest(manifest)) == manifest


@pytest.mark.parametrize("key", ["future", "extra", "", "to_dict"])
def test_unknown_keys_are_kept(key: str) -> None:
    """A key this slugkit does not know is carried along, whatever its name."""
    manifest = decode_manifest(json.dumps({"schema": 1, key: {"a": [1]}}).encode())

    assert manifest.extra == {key: {"a": [1]}}
    assert json.loads(encode_manifest(manifest))[key] == {"a": [1]}


def test_missing_keys_have_defaults() -> None:
    """The schema number alone is a manifest: that of an app that declares nothing."""
    assert decode_manifest(b'{"schema": 1}') == Manifest()


@pytest.mark.parametrize("schema", [2, 99, 1.5, 10**30])
def test_newer_schemas_are_refused(schema: float) -> None:
    """A slug written by a newer slugkit is refused by its schema number, in words that say so."""
    with pytest.raises(CorruptSlugError, match="schema") as caught:
        decode_manifest(json.dumps({**FULL.to_dict(), "schema": schema}).encode(), "a.slug.tgz")

    assert caught.value.path == "a.slug.tgz"


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\0", b"\xff", b"{", b"[]", b"null", b"1", b'"schema"', b"{}", b'{"schema": 1} x'),
        *(b'{"schema": null}', b'{"schema": "1"}', b'{"schema": true}', b'{"schema": 0}', b'{"schema": -1}'),
        *(b'{"schema": NaN}', b'{"schema": 0.5}', b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}"),
    ],
    ids=lambda raw: raw[:18].decode("latin-1"),
)
def test_junk_is_refused(raw: bytes) -> None:
    """Bytes that are no manifest are a damaged slug, never a crash of another kind."""
    with pytest.raises(CorruptSlugError) as caught:
        decode_manifest(raw, "a.slug.tgz")

    assert caught.value.path == "a.slug.tgz"


RECORD = {"name": "python", "version": "1", "source": "built-in", "detected": "Python"}
WRONG_KINDS: dict[str, list[object]] = {
    "process_types": [[], "x", None, 5, {"web": 5}, {"web": None}],
    "config_vars": [[], "x", None, {"A": 1}, {"A": ["x"]}],
    "buildpacks": [
        None,
        5,
        "python",
        {},
        RECORD,
        ["python"],
        [{}],
        [None],
        [{**RECORD, "name": None}],
        [{**RECORD, "version": 1}],
    ],
    "platform": ["x", 5, False, [], ["x"], {"architecture": "x"}, {"architecture": None, "libc": None}],
    "stack": [None, 5, []],
    "source_commit": [5, {}, []],
    "builder": [None, 5, []],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG_KINDS.items() for value in values])
def test_values_of_the_wrong_kind_are_refused(key: str, value: object) -> None:
    """A known key whose value is of another kind is damage: no program finds a number where a text is promised."""
    with pytest.raises(CorruptSlugError):
        decode_manifest(json.dumps({"schema": 1, key: value}).encode())


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps({"schema": 1, "process_types": value}).encode()))
def test_any_bytes_are_a_manifest_or_damage(raw: bytes) -> None:
    """Whatever the bytes, the outcome is a manifest that can be written again, or a CorruptSlugError."""
    try:
        manifest = decode_manifest(raw)
    except CorruptSlugError:
        return
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_what_can_be_read_can_be_written() -> None:
    r"""A lone surrogate, which JSON may spell as \ud800, is refused at the door or written again."""
    try:
        manifest = decode_manifest(b'{"schema": 1, "stack": "\\ud800"}')
    except CorruptSlugError:
        return
    assert decode_manifest(encode_manifest(manifest)) == manifest


def test_digests_are_spelled_twice() -> None:
    """A digest is OCI's sha256:hex; Heroku's API writes the same one in capitals."""
    digest = sha256_digest(hashlib.sha256(b"slug"))

    assert digest == "sha256:" + hashlib.sha256(b"slug").hexdigest()
    assert api_checksum(digest) == "SHA256:" + hashlib.sha256(b"slug").hexdigest()
