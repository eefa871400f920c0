"""The JSON Schema of a section (draft 2020-12), made from its keys. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from host.domain.json import JsonObject
from host.settings.errors import SettingsInvalidError
from host.settings.secret import json_schema
from host.settings.section import Key, Section
from host.settings.wording import nearest

TAKES_EFFECT = "x-takes-effect"
"""Keyword beside each key's type: `at once`, or `at the next start` of a process."""


def schema_of(section: Section[Any]) -> JsonObject:
    """The schema of a section's values: nothing is required, unknown keys are refused."""
    root = _level()
    level: dict[str, Any]
    for key in section.keys.values():
        level = root
        for word in key.path[:-1]:
            level = level["properties"].setdefault(word, _level())
        level["properties"][key.path[-1]] = _leaf(key)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": section.name,
        "x-version": {"major": section.version.major, "minor": section.version.minor},
        **root,
    }


def takes_effect(key: Key) -> str:
    """In words, when a new value of the key takes effect."""
    return "at once" if key.is_live else "at the next start"


def nested(section: Section[Any], values: dict[str, Any]) -> JsonObject:
    """Nested objects, as the section's schema describes them, from values by key name."""
    root: dict[str, Any] = {}
    for name, value in values.items():
        level = root
        *above, last = section.keys[name].path
        for word in above:
            level = level.setdefault(word, {})
        level[last] = value
    return root


def flat(section: Section[Any], config: JsonObject) -> dict[str, object]:
    """Checked values by key name, from nested objects as `section`'s schema describes them.

    Raises:
        SettingsInvalidError: an unknown key, or a value that does not fit; names it.
    """
    return dict(_flat(section, config, ""))


def _flat(section: Section[Any], config: JsonObject, above: str) -> Iterator[tuple[str, object]]:
    for word, value in config.items():
        name = f"{above}{word}"
        if name in section.keys:
            yield name, section.checked(name, value, strict=True)
        elif isinstance(value, Mapping) and any(k.startswith(f"{name}.") for k in section.keys):
            yield from _flat(section, value, f"{name}.")
        else:
            hint = nearest(name, section.keys)
            raise SettingsInvalidError(f"{section.name} has no key {name!r:.80}{hint}")


def _level() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _leaf(key: Key) -> dict[str, Any]:
    described = json_schema() if key.is_secret else dict(msgspec.json.schema(key.hint))
    described["description"] = key.meaning
    if key.has_fixed_default:
        described["default"] = msgspec.to_builtins(key.default)
    return {**described, TAKES_EFFECT: takes_effect(key)}
