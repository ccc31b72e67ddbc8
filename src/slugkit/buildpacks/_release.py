"""What bin/release prints: YAML 1.1, with the tolerance that real packs count on (contract.md 2.1 and 2.6)."""

import re
from typing import Any

from ..errors import BuildpackError
from ._contract import ReleaseDefaults

_LARGEST = 2**16  # characters
_MOST_PAIRS = 10_000
_KEYS = ("addons", "config_vars", "default_process_types")
_FIX = "print nothing, or a YAML mapping with default_process_types"


def parse_release(text: str) -> ReleaseDefaults:
    r"""Return the defaults that *text* declares: none for nothing, ``---`` and prose, which is ``unread``.

    >>> parse_release("---\ndefault_process_types:\n  web: bin/serve\n").process_types
    {'web': 'bin/serve'}
    >>> parse_release("Done.").unread
    'text, no YAML mapping'

    Raises:
        BuildpackError: It is no YAML, or a list, or what it declares has another shape.
    """
    try:
        plain = _load(text)
    except Exception as error:  # whatever PyYAML comes to: its own errors, and those of its converters
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BuildpackError(f"bin/release printed no YAML: {reason}", _FIX) from error
    if plain is None:
        return ReleaseDefaults()
    if isinstance(plain, str):  # Heroku's Ruby finds no key in one; real packs print `---{}`
        return ReleaseDefaults(unread="text, no YAML mapping" if re.search(r"\w", plain) else "")
    if not isinstance(plain, dict):
        raise BuildpackError("bin/release printed YAML that is no mapping", _FIX)
    return ReleaseDefaults(
        process_types=_strings(plain, "default_process_types"),
        config_vars=_strings(plain, "config_vars"),
        addons=_addons(plain.get("addons")),
        unread=_unread(plain),
    )


def _unread(plain: dict[Any, Any]) -> str:
    """Return what to say of keys that nothing reads: ``web:`` beside default_process_types is a common slip."""
    unknown = [str(key)[:40] for key in plain if key not in _KEYS]
    return f"the key {', '.join(unknown[:3])} beside {', '.join(_KEYS)}" if unknown else ""


def _load(text: str) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Return what *text* spells; merges (``<<``) that multiply are refused before they take the memory."""
    import yaml  # noqa: PLC0415 - the core is importable without it

    class Loader(yaml.SafeLoader):
        pairs = 0

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            super().flatten_mapping(node)
            self.pairs += len(node.value)
            if self.pairs > _MOST_PAIRS:
                raise yaml.YAMLError(f"mappings of more than {_MOST_PAIRS} pairs")

    if len(text) > _LARGEST:
        raise yaml.YAMLError(f"more than {_LARGEST} characters")
    return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader


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
        try:
            return str(value).encode().decode()
        except ValueError:  # half a character, or an integer of more than 4 300 digits
            raise BuildpackError(f"bin/release: {key} holds what is no text", _FIX) from None
    raise BuildpackError(f"bin/release: {key} holds something other than text", _FIX)
