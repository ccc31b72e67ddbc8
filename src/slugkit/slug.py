"""What a slug says of itself: the manifest, its one encoder and its one decoder, and the digests' spelling."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, fields_dict, frozen

from .environ import check_config_vars
from .errors import CorruptSlugError

SCHEMA = 1
_DEEPEST = 64  # levels of a manifest
MANIFEST_PATH = ".slugkit/manifest.json"


@frozen
class BuildpackRecord:
    """A buildpack that took part in a build; ``detected`` is what it called the app."""

    name: str
    version: str
    source: str
    detected: str


@frozen
class Platform:
    """What a slug needs of the machine it runs on.

    ``interpreter`` is the prefix of an interpreter that is not in the slug (``runtime="stack"``), a path below /usr
    that only the needed one has (Ruby's library, Node.js's program), or None.
    """

    architecture: str
    libc: str
    interpreter: str | None = None


@frozen
class Manifest:
    """What a slug is made of and how it is run; ``extra`` keeps keys of newer schemas as they came.

    ``addons`` are the services its buildpacks would have a platform add; slugkit itself adds none.
    """

    process_types: Mapping[str, str] = field(factory=dict)
    buildpacks: tuple[BuildpackRecord, ...] = ()
    stack: str = ""
    platform: Platform | None = None
    config_vars: Mapping[str, str] = field(factory=dict)
    addons: tuple[str, ...] = ()
    source_commit: str | None = None
    builder: str = ""
    schema: int = SCHEMA
    extra: Mapping[str, Any] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, as it stands in the slug."""
        plain = asdict(self)
        return {**plain.pop("extra"), **plain}


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the one spelling of *manifest*: JSON, keys sorted, so that the same manifest is the same bytes."""
    text = json.dumps(manifest.to_dict(), sort_keys=True, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape") + b"\n"


def decode_manifest(raw: bytes, path: str = MANIFEST_PATH) -> Manifest:
    """Return the manifest that *raw* spells; unknown keys are kept, *path* names the slug in an error.

    Raises:
        CorruptSlugError: It is not a manifest, or of a schema newer than this slugkit reads.
    """
    try:
        plain = json.loads(raw.decode("utf-8", "surrogateescape"))
        schema = plain["schema"]
        if type(schema) is not int or schema > SCHEMA:
            raise CorruptSlugError(path, f"its manifest has schema {schema}, this slugkit reads {SCHEMA}")
        _check_depth(plain, _DEEPEST)
        manifest = _manifest(plain)
        json.dumps(plain, ensure_ascii=False).encode(
            "utf-8", "surrogateescape"
        )  # what cannot be written is refused now
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, CorruptSlugError):
            raise
        raise CorruptSlugError(path, f"its manifest cannot be read ({error!r})") from error
    return manifest


def _check_depth(plain: Any, levels: int) -> None:  # noqa: ANN401 - whatever JSON holds
    """Refuse what is nested so deep that nobody can handle it but json's own parser."""
    if not levels:
        raise ValueError("nested too deep")
    for below in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        _check_depth(below, levels - 1)


def _manifest(plain: dict[str, Any]) -> Manifest:
    if plain["schema"] < 1:
        raise ValueError("schema")
    known = {name: plain[name] for name in fields_dict(Manifest) if name in plain and name != "extra"}
    extra = {name: value for name, value in plain.items() if name not in known}
    for name, kind in (("stack", str), ("builder", str), ("source_commit", str | None)):
        _one(known.get(name, ""), kind)
    known["process_types"] = check_process_types(_strings(known.get("process_types", {})))
    known["config_vars"] = check_config_vars(_strings(known.get("config_vars", {})))
    known["addons"] = tuple(_one(addon, str) for addon in _one(known.get("addons", []), list))
    records = _one(known.get("buildpacks", []), list)
    known["buildpacks"] = tuple(BuildpackRecord(**_fields(BuildpackRecord, record)) for record in records)
    if known.get("platform") is not None:
        needs = dict(known["platform"])
        interpreter = _one(needs.pop("interpreter", None), str | None)
        known["platform"] = Platform(**_fields(Platform, needs), interpreter=interpreter)
    return Manifest(**known, extra=extra)


def check_process_types(process_types: Mapping[str, str]) -> dict[str, str]:
    """Return *process_types* as a dict of its own: names become $DYNO, commands become arguments.

    Raises:
        ValueError: A name that no Procfile could declare, or a NUL in a command.
    """
    for name, command in process_types.items():
        if not re.fullmatch(r"[a-zA-Z0-9_-]+", name) or "\0" in command:
            raise ValueError(f"the process type {name!r} cannot be run")
    return dict(process_types)


def _one(value: Any, kind: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"expected {kind}")
    return value


def _strings(plain: dict[str, Any]) -> dict[str, str]:
    return {name: _one(value, str) for name, value in plain.items()}


def _fields(cls: type, plain: dict[str, Any]) -> dict[str, str]:
    return _strings({name: value for name, value in plain.items() if name in fields_dict(cls)})


def sha256_digest(hasher: "hashlib._Hash") -> str:
    """Return the digest as OCI spells it, ``sha256:<hex>``."""
    return f"sha256:{hasher.hexdigest()}"


def api_checksum(digest: str) -> str:
    """Return *digest* as Heroku's API spells it (contract.md 3.5).

    >>> api_checksum("sha256:00ff")
    'SHA256:00ff'
    """
    return "SHA256:" + digest.removeprefix("sha256:")
