"""Sections of settings: their names, their limits, and schemas that say the same as the checks."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from host.settings import Section, SettingsInvalidError
from host.settings.catalogue import Catalogue
from host.settings.plugged import PluginSettings
from host.settings.schema import nested, schema_of
from host.settings.section import setting_name
from host.settings.sections import SECTIONS

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md"
KEYS = [(section, key) for section in SECTIONS.values() for key in section.keys.values()]
IDS = [f"{section.name}.{key.name}" for section, key in KEYS]


def leaf(section: Section[Any], name: str) -> dict[str, Any]:
    level: Any = schema_of(section)
    for word in name.split("."):
        level = level["properties"][word]
    return dict(level)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_schema_is_one_and_takes_the_defaults(name: str) -> None:
    section = SECTIONS[name]
    schema = schema_of(section)
    Draft202012Validator.check_schema(schema)
    values = {key.name: key.default for key in section.keys.values()}
    plain = nested(section, {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()})
    Draft202012Validator(schema).validate(plain)
    assert section.values(values) == section.values({})
    assert not Draft202012Validator(schema).is_valid({"unknown": 1})


@pytest.mark.parametrize(("section", "key"), KEYS, ids=IDS)
def test_every_key_has_limits_and_a_meaning(section: Section[Any], key: Any) -> None:
    found = leaf(section, key.name)
    assert found["description"].endswith(".")
    match found.get("type", "enum"):
        case "integer":
            assert found["minimum"] <= key.default <= found["maximum"]
        case "string":
            assert "pattern" in found
        case "array":
            assert {"maxItems"} <= found.keys()
            assert "maxLength" in found["items"]
        case kind:
            assert kind in {"boolean", "enum"}


@given(
    st.sampled_from(KEYS),
    st.one_of(st.integers(-10, 2**60), st.booleans(), st.text(max_size=9), st.none(), st.floats()),
)
def test_the_schema_and_the_check_agree(found: tuple[Section[Any], Any], value: object) -> None:
    section, key = found
    try:
        section.checked(key.name, value, strict=True)
        is_checked = True
    except SettingsInvalidError:
        is_checked = False
    plain = nested(section, {key.name: value})
    assert Draft202012Validator(schema_of(section)).is_valid(plain) is is_checked


def test_names_of_settings_follow_from_section_and_key() -> None:
    assert setting_name("corda.flow", "processing.maxIdleTime") == "flow_processing_max_idle_time"
    assert setting_name("corda.externalMessaging", "a.bC") == "external_messaging_a_b_c"
    assert setting_name("corda.rest", "flowStatusCleanupTimeMs") == (
        "rest_flow_status_cleanup_time_ms"
    )
    assert setting_name("kafka.consumer", "poll_ms") == "kafka_consumer_poll_ms"
    assert len(set(Catalogue().names())) == len(KEYS) + len(Catalogue().bootstrap)


def test_every_setting_stands_in_the_reference() -> None:
    rows = [line.split(" | ") for line in REFERENCE.read_text().splitlines()]
    bootstrap = {row[0].removeprefix("| ").strip("`") for row in rows if len(row) == 3}
    keys = {
        (row[0].removeprefix("| ").strip("`"), row[1].strip("`")) for row in rows if len(row) == 6
    }
    assert bootstrap >= Catalogue().bootstrap.keys()
    assert keys >= {(key.name, key.setting) for _, key in KEYS}


@dataclasses.dataclass(frozen=True)
class Extra:
    size: Annotated[int, Meta(ge=1, le=9, description="A size.")] = 1


@dataclasses.dataclass(frozen=True)
class Silent:
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Again:
    listen: Annotated[str, Meta(description="An address.")] = ""


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (lambda: PluginSettings(sections=[Section("corda.flow", Extra)]), "Cordbox's"),
        (lambda: PluginSettings(sections=[Section("cordbox.new", Extra)]), "Cordbox's"),
        (lambda: PluginSettings(sections=[Section("one", Extra)]), "words with dots"),
        (lambda: PluginSettings(sections=[Section("a.b", Extra)] * 2), "collide"),
        (
            lambda: PluginSettings(sections=[Section("a.b", Extra), Section("a.b.c", Extra)]),
            "collide",
        ),
        (lambda: PluginSettings(sections=[Section("a.b", Silent)]), "no default or no meaning"),
        (lambda: PluginSettings(bootstrap=Silent), "without its meaning"),
        (lambda: PluginSettings(bootstrap=Again), "'listen' is declared twice"),
    ],
)
def test_declarations_that_cannot_be_are_refused(declared: Any, told: str) -> None:
    with pytest.raises(SettingsInvalidError, match=told):
        Catalogue([declared()])


def test_every_bootstrap_setting_that_is_a_text_a_list_or_a_number_has_limits() -> None:
    for setting in Catalogue().bootstrap.values():
        described = str(msgspec.json.schema(setting.hint, schema_hook=lambda _: {"title": "path"}))
        for kind, limit in (("string", "maxLength"), ("array", "maxItems"), ("integer", "maximum")):
            is_bounded = f"'type': '{kind}'" not in described or limit in described
            assert is_bounded, setting.name
