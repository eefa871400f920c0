"""Reading and changing sections: the work of `GET` and `PUT /config`, without HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.json import JsonObject
from host.ports.clock import Clock
from host.settings.errors import SettingsInvalidError
from host.settings.live import LiveConfig, StoredSection
from host.settings.pins import Pins, pinned_values
from host.settings.schema import flat, nested
from host.settings.secret import (
    ConfigSecret,
    check_places,
    shown_config,
    shown_value,
    with_stored,
)
from host.settings.section import Key, SchemaVersion, Section
from host.settings.store import ConfigVersionConflictError, SectionStore
from host.settings.without_effect import WITHOUT_EFFECT

CONFIG_CHARACTERS_MAX = 65_536
"""Maximum length of the JSON text of one section."""
_AUTHOR_CHARACTERS_MAX = 255


class ConfigInvalidError(InvalidInputError):
    """A section's new values do not fit its schema."""

    code = "config-invalid"


class ConfigSchemaVersionError(InvalidInputError):
    """A section's new values are for another version of its schema."""

    code = "config-schema-version"


class ConfigKeyPinnedError(ConflictError):
    """A key is pinned by the host's own settings, which take precedence: change it there."""

    code = "config-key-pinned"


class Origin(StrEnum):
    """The source of a key's value."""

    PINNED = "pinned"
    STORED = "stored"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """One key with its JSON value and, in words, its source."""

    key: Key
    value: Any
    origin: Origin
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """A section as it is stored and pinned now.

    Attributes:
        section: the declared section.
        version: that of the newest change; 0 if there was none.
        source_config: the stored values, nested.
        config_with_defaults: every key with its value, nested.
        keys: every key, with the source of its value.
        changed_at: milliseconds since 1970; None if it was never changed.
        changed_by: the user who changed it.
    """

    section: Section[Any]
    version: int
    source_config: JsonObject
    config_with_defaults: JsonObject
    keys: Sequence[KeyView]
    changed_at: int | None
    changed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The result of a change.

    Attributes:
        version: the section's new version.
        at_once: changed keys that take effect at once, in every process within a second.
        at_next_start: changed keys that take effect at the next start of a process.
    """

    version: int
    at_once: tuple[str, ...]
    at_next_start: tuple[str, ...]


def view_of(section: Section[Any], stored: StoredSection | None, pins: Pins) -> SectionView:
    """A section with the values of `stored` and `pins`.

    Raises:
        SettingsInvalidError: they do not fit.
    """
    kept = {} if stored is None else flat(section, stored.config)
    pinned = pinned_values(section, pins)
    version = 0 if stored is None else stored.version
    views = []
    for name, key in section.keys.items():
        if name in pinned:
            origin, source = Origin.PINNED, pins[section.name][name].source
        elif name in kept:
            origin, source = Origin.STORED, f"version {version}"
        else:
            origin, source = Origin.DEFAULT, "default"
        value = pinned.get(name, kept.get(name, key.default))
        shown = shown_value(key.hint, _plain(value))
        views.append(KeyView(key=key, value=shown, origin=origin, source=source))
    return SectionView(
        section=section,
        version=version,
        source_config={} if stored is None else shown_config(stored.config),
        config_with_defaults=nested(section, {view.key.name: view.value for view in views}),
        keys=views,
        changed_at=None if stored is None else stored.changed_at,
        changed_by=None if stored is None else stored.changed_by,
    )


class ConfigService:
    """Reads and changes sections. Thread-safe.

    Args:
        store: stores the versions.
        live: the values in force in this process; a change updates them at once.
        clock: the host's time.
    """

    def __init__(self, store: SectionStore, live: LiveConfig, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._clock = clock

    def get(self, name: str) -> SectionView:
        """A section by its name.

        Raises:
            NotFoundError: there is no such section.
            SettingsInvalidError: what is stored does not fit.
            StorageError: the database cannot be read.
        """
        section = self._section(name)
        return view_of(section, self._store.newest().get(name), self._live.pins)

    def put(
        self,
        name: str,
        *,
        version: int,
        config: JsonObject,
        schema_version: SchemaVersion,
        by: str,
    ) -> Changed:
        """Replace the stored values of a section; keys that `config` leaves out get their defaults.

        Args:
            name: name of the section.
            version: the version that the change is based on.
            config: nested, as the section's schema describes it.
            schema_version: version of that schema.
            by: the user who makes the change, for the history.

        Raises:
            NotFoundError: there is no such section.
            ConfigSchemaVersionError: `config` is for another schema.
            ConfigInvalidError: a value does not fit; names the key, the expected and the found
                value.
            ConfigKeyPinnedError: `config` contains a pinned key; names the pin's source.
            ConfigVersionConflictError: the section has another version now.
            ConfigSecretPlainError, ConfigSecretMisplacedError, ConfigSecretMissingError,
            SecretTypeError, ConfigSecretUnreadableError, ConfigSecretsUnavailableError: a secret.
            StorageError: the database cannot be written.
        """
        section = self._section(name)
        if schema_version != section.version:
            raise ConfigSchemaVersionError(
                f"section {name} has schema version {section.version}, the change was made for"
                f" {schema_version}"
            )
        before = self._store.newest().get(name)
        config = self._with_secrets(section, config, before)
        wanted = self._checked(section, config)
        found = 0 if before is None else before.version
        if found != version:
            raise ConfigVersionConflictError(
                f"section {name} has version {found}, the change was made of version {version}"
            )
        stored = StoredSection(
            name=name,
            version=version + 1,
            schema_version=schema_version,
            config=config,
            changed_at=self._clock.now_ms(),
            changed_by=by[:_AUTHOR_CHARACTERS_MAX],
        )
        self._store.add(stored)
        self._live.take((stored,))
        return _changed(section, _kept(section, before), wanted, stored)

    def _with_secrets(
        self, section: Section[Any], config: JsonObject, before: StoredSection | None
    ) -> JsonObject:
        """The values with the stored secrets that they keep; new ones can be opened here."""
        try:
            whole = with_stored(config, {} if before is None else before.config)
            check_places(section.name, {k: v.hint for k, v in section.keys.items()}, whole)
        except RecursionError as error:
            raise ConfigInvalidError("config is nested too deeply") from error
        return whole

    def _checked(self, section: Section[Any], config: JsonObject) -> Mapping[str, object]:
        try:
            size = len(json.dumps(config))
            wanted = flat(section, config)
            section.values({**wanted, **pinned_values(section, self._live.pins)})
        except (SettingsInvalidError, ValueError, TypeError, RecursionError) as error:
            text = error.message if isinstance(error, SettingsInvalidError) else str(error)
            raise ConfigInvalidError(text) from error
        if size > CONFIG_CHARACTERS_MAX:
            raise ConfigInvalidError(
                f"section {section.name} has {size} characters of JSON, at most"
                f" {CONFIG_CHARACTERS_MAX} are stored"
            )
        pins = self._live.pins.get(section.name, {})
        for value in wanted.values():
            if isinstance(value, ConfigSecret):
                self._live.opened(value)
        for key in wanted:
            if key in pins:
                raise ConfigKeyPinnedError(
                    f"{section.name}.{key} is given by {pins[key].source}: change it there"
                )
        return wanted

    def _section(self, name: str) -> Section[Any]:
        found = self._live.sections.get(name)
        if found is None:
            why = WITHOUT_EFFECT.get(name)
            raise NotFoundError(
                f"there is no section {name!r:.80} of settings"
                if why is None
                else f"section {name} has no effect on this platform: {why}",
                kind="section of settings",
                named=name,
            )
        return found


def _kept(section: Section[Any], stored: StoredSection | None) -> Mapping[str, object]:
    """The stored values; empty if they do not fit, since a change may repair them."""
    try:
        return {} if stored is None else flat(section, stored.config)
    except SettingsInvalidError:
        return {}


def _changed(
    section: Section[Any],
    before: Mapping[str, object],
    after: Mapping[str, object],
    stored: StoredSection,
) -> Changed:
    differ = [
        key
        for name, key in section.keys.items()
        if before.get(name, key.default) != after.get(name, key.default)
    ]
    return Changed(
        version=stored.version,
        at_once=tuple(key.name for key in differ if key.is_live),
        at_next_start=tuple(key.name for key in differ if not key.is_live),
    )


def _plain(value: object) -> Any:
    """The value in its JSON form: lists for tuples."""
    return msgspec.json.decode(msgspec.json.encode(value))
