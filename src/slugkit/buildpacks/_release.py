"""What bin/release prints: YAML 1.1, with the tolerance that real packs count on (contract.md 2.1 and 2.6)."""

from typing import Any

from ..errors import BuildpackError
from ._contract import ReleaseDefaults

_FIX = "print nothing, or a YAML mapping with default_process_types"


def parse_release(text: str) -> ReleaseDefaults:
    r"""Return the defaults that *text* declares; nothing, ``---`` and a bare word declare none.

    >>> parse_release("---\ndefault_process_types:\n  web: bin/serve\n").process_types
    {'web': 'bin/serve'}

    Raises:
        BuildpackError: It is no YAML, or a list, or what it declares has another shape.
    """
    import yaml  # noqa: PLC0415 - the core is importable without it

    try:
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BuildpackError(f"bin/release printed no YAML: {reason}", _FIX) from error
    if plain is None or isinstance(plain, str):  # `---{}` is a string; Heroku's Ruby finds no key in one
        return ReleaseDefaults()
    if not isinstance(plain, dict):
        raise BuildpackError("bin/release printed YAML that is no mapping", _FIX)
    return ReleaseDefaults(
        process_types=_strings(plain, "default_process_types"),
        config_vars=_strings(plain, "config_vars"),
        addons=_addons(plain.get("addons")),
    )


def _strings(plain: dict[Any, Any], key: str) -> dict[str, str]:
    """Return the mapping under *key* as text; a name without a value (``web: null``) declares nothing."""
    found = plain.get(key) or {}
    if not isinstance(found, dict):
        raise BuildpackError(f"bin/release: {key} is no mapping", _FIX)
    return {_text(name, key): _text(value, key) for name, value in found.items() if value is not None}


def _addons(found: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever YAML holds
    if not isinstance(found, list | None):
        raise BuildpackError("bin/release: addons is no list", _FIX)
    return tuple(_text(addon, "addons") for addon in found or ())


def _text(value: Any, key: str) -> str:  # noqa: ANN401 - whatever YAML holds
    """Return a scalar as Ruby's ``to_s`` spells it: in YAML 1.1 ``yes`` is true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise BuildpackError(f"bin/release: {key} holds something other than text", _FIX)
