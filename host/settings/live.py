"""The values of all sections as they are in force in this process.

Each key has the value of the host's own settings (a pin), else the one stored in the cluster, else
its default. Keys that take effect at the start keep their first value.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import structlog

from host.domain.json import JsonObject
from host.ports.live import Live
from host.settings.errors import SettingsInvalidError
from host.settings.pins import Pins, pinned_values
from host.settings.schema import flat
from host.settings.secret import ConfigSecret
from host.settings.secret_box import NoSecretBox, SecretBox
from host.settings.section import SchemaVersion, Section

_log = structlog.get_logger("cordbox.settings")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSection:
    """A stored section. `config` holds the values that differ from the defaults, nested.

    `changed_at` is milliseconds since 1970.
    """

    name: str
    version: int
    schema_version: SchemaVersion
    config: JsonObject
    changed_at: int
    changed_by: str


class LiveConfig:
    """All sections of a process. Thread-safe.

    Args:
        sections: those that the process knows.
        pins: keys given by the host's own settings.
        stored: the stored sections at its start.
        secrets: opens secrets of sections; by default none can be opened.

    Raises:
        SettingsInvalidError: a stored value does not fit; names section, version and key.
    """

    def __init__(
        self,
        sections: Mapping[str, Section[Any]],
        pins: Pins,
        stored: Iterable[StoredSection] = (),
        *,
        secrets: SecretBox | None = None,
    ) -> None:
        self.sections = sections
        self._secrets = secrets or NoSecretBox()
        self._lock = threading.Lock()
        self._pins = pins
        self._stored = {each.name: each for each in stored if each.name in sections}
        self._current = {
            name: _Current(section, _given(section, pins, self._stored.get(name)))
            for name, section in sections.items()
        }

    def section(self, section: Section[T]) -> Live[T]:
        """The values of a section.

        Raises:
            SettingsInvalidError: the section is unknown in this process: its plugin is not loaded.
        """
        found = self._current.get(section.name)
        if found is None:
            raise SettingsInvalidError(f"unknown section {section.name!r:.80}")
        return cast("Live[T]", found)

    def opened(self, secret: ConfigSecret) -> str:
        """The text of a secret of a section. Open it where it is used, and keep it nowhere.

        Raises:
            ConfigSecretUnreadableError: it was sealed under another passphrase or salt.
            ConfigSecretsUnavailableError: the host has no passphrase and salt.
        """
        return self._secrets.opened(secret.config_secret.encrypted_secret)

    @property
    def pins(self) -> Pins:
        return self._pins

    def versions(self) -> Mapping[str, int]:
        """The version in force of each section; 0 for one that was never changed."""
        with self._lock:
            return {n: s.version if (s := self._stored.get(n)) else 0 for n in self.sections}

    def take(self, stored: Iterable[StoredSection]) -> None:
        """Apply the stored sections. A section that does not fit is logged and left unchanged."""
        for each in stored:
            section = self.sections.get(each.name)
            if section is None:
                continue
            with self._lock:
                known = self._stored.get(each.name)
                if known is not None and known.version >= each.version:
                    continue
                changed = self._try(section, each)
            if changed is not None:
                _log.info(
                    "config-taken-over",
                    section=each.name,
                    version=each.version,
                    changed=changed,
                    at_next_start=self._current[each.name].waiting,
                )
                self._current[each.name].tell()

    def repin(self, pins: Pins) -> None:
        """Apply other pins.

        Raises:
            SettingsInvalidError: they do not fit; nothing has changed.
        """
        with self._lock:
            given = {
                name: _given(section, pins, self._stored.get(name))
                for name, section in self.sections.items()
            }
            for name, section in self.sections.items():
                section.values(given[name])
            self._pins = pins
            changed = [name for name in given if self._current[name].set(given[name])]
        for name in changed:
            self._current[name].tell()

    def _try(self, section: Section[Any], stored: StoredSection) -> Sequence[str] | None:
        try:
            changed = self._current[section.name].set(_given(section, self._pins, stored))
        except SettingsInvalidError as refused:
            _log.error(
                "config-not-taken-over",
                section=section.name,
                version=stored.version,
                reason=refused.message,
            )
            return None
        self._stored[section.name] = stored
        return changed


class _Current(Generic[T]):
    """A section's values now, and the keys that wait for the next start.

    `set` is called by one thread at a time.
    """

    def __init__(self, section: Section[T], given: Mapping[str, object]) -> None:
        self._section = section
        self._started = {
            name: value for name, value in given.items() if not section.keys[name].is_live
        }
        self._given = dict(given)
        self._value = section.values(given)
        self.waiting: Sequence[str] = ()
        self._listeners: list[Callable[[T], object]] = []

    def get(self) -> T:
        return self._value

    def on_change(self, listener: Callable[[T], object]) -> None:
        self._listeners.append(listener)

    def set(self, given: Mapping[str, object]) -> Sequence[str]:
        """Apply the live keys; returns the names of those that have changed."""
        keys = self._section.keys
        live = {name: value for name, value in given.items() if keys[name].is_live}
        taken = {**self._started, **live}
        self.waiting = [
            name
            for name, key in keys.items()
            if given.get(name, key.default) != taken.get(name, key.default)
        ]
        changed = [
            name
            for name, key in keys.items()
            if taken.get(name, key.default) != self._given.get(name, key.default)
        ]
        if changed:
            self._value, self._given = self._section.values(taken), taken
        return changed

    def tell(self) -> None:
        for listener in list(self._listeners):
            try:
                listener(self._value)
            except Exception:  # noqa: BLE001  # other listeners must still be called
                _log.exception("config-change-failed", section=self._section.name)


def _given(section: Section[Any], pins: Pins, stored: StoredSection | None) -> Mapping[str, object]:
    """The given keys, checked."""
    try:
        kept = {} if stored is None else flat(section, stored.config)
    except SettingsInvalidError as error:
        assert stored is not None  # noqa: S101  # nothing else is read in the block
        raise SettingsInvalidError(
            f"{error.message} (stored as version {stored.version} of {section.name})"
        ) from error
    return {**kept, **pinned_values(section, pins)}
