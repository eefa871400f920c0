"""A section of settings: its name, its keys with their limits, and its values. Pure.

A section is declared by a frozen dataclass whose fields are its keys: `Annotated` with a type that
JSON has, and a `msgspec.Meta` of limits and meaning. A key is named as its field is, unless a
`CordaKey` gives Corda's name.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from host.settings.errors import SettingsInvalidError
from host.settings.secret import is_secret
from host.settings.wording import expected, refused

T = TypeVar("T")

_NAME = re.compile(r"^[a-z][A-Za-z0-9_]*(\.[a-z][A-Za-z0-9_]*)+$")
_OWN = ("corda", "cordbox")
"""First words of the sections of Cordbox itself; a plugin's sections begin with another one."""
NAME_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class CordaKey:
    """In the `Annotated` of a field: the key's name, dots between its levels."""

    name: str


@dataclass(frozen=True, slots=True)
class AtStart:
    """In the `Annotated` of a field: a process reads the key at its start and never again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """Version of a section's schema: minor ones add keys, major ones change what is there."""

    major: int = 1
    minor: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a section.

    Attributes:
        name: with dots between its levels, such as `processing.maxRetryAttempts`.
        field: its name in the section's dataclass.
        setting: its name among all settings of a host, such as
            `flow_processing_max_retry_attempts`: that of its environment variable without the
            prefix, in lower case.
        hint: its type, with its limits.
        default: its value if none is given.
        meaning: one sentence or two.
        is_live: whether a new value takes effect while a process runs.
        has_fixed_default: whether the default is the same on all machines.
    """

    name: str
    field: str
    setting: str
    hint: object
    default: object
    meaning: str
    is_live: bool
    has_fixed_default: bool = True

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(self.name.split("."))

    @property
    def is_secret(self) -> bool:
        """Whether its value is sealed, and never shown."""
        return is_secret(self.hint)


@dataclass(frozen=True)
class Section(Generic[T]):
    """A section of settings.

    Attributes:
        name: words with dots between them: Corda's, `cordbox.<area>`, or one that begins with the
            word of a plugin.
        kind: a frozen dataclass with a default for every field.
        version: version of its schema.
        metas: limits and meaning of fields whose types do not carry them.
    """

    name: str
    kind: type[T]
    version: SchemaVersion = SchemaVersion()
    metas: Mapping[str, Meta] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse invalid declarations."""
        if not _NAME.match(self.name) or len(self.name) > NAME_CHARACTERS_MAX:
            raise SettingsInvalidError(f"section {self.name!r:.80}: words with dots are expected")

    @cached_property
    def keys(self) -> Mapping[str, Key]:
        """Its keys by name, in the order of the fields.

        Raises:
            SettingsInvalidError: a field has no default or no meaning.
        """
        hints = typing.get_type_hints(self.kind, include_extras=True)
        fields = dataclasses.fields(typing.cast("Any", self.kind))
        found = [self._key(each, hints[each.name]) for each in fields]
        return {key.name: key for key in found}

    def values(self, given: Mapping[str, object]) -> T:
        """The values of the section where `given` (key -> checked value) differs from the defaults.

        Raises:
            SettingsInvalidError: the values are inconsistent; names section and key.
        """
        fields = {self.keys[name].field: value for name, value in given.items()}
        try:
            return self.kind(**fields)
        except SettingsInvalidError as error:
            raise SettingsInvalidError(f"{self.name}.{error.message}") from error

    def checked(self, name: str, value: object, *, strict: bool) -> object:
        """The value of the key `name`, converted to its type.

        Args:
            name: a key of the section.
            value: the given value.
            strict: whether a text is refused where a number or a boolean is expected.

        Raises:
            SettingsInvalidError: it does not fit; names section and key.
        """
        key = self.keys[name]
        # JSON has only one type of numbers: in JSON Schema, 5.0 is an integer.
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        try:
            return msgspec.convert(plain, key.hint, strict=strict)
        except msgspec.ValidationError:
            found = "another value" if key.is_secret else value
            raise SettingsInvalidError(
                refused(f"{self.name}.{name}", expected(key.hint), found)
            ) from None

    def _key(self, field: "dataclasses.Field[Any]", hint: Any) -> Key:
        extra = self.metas.get(field.name)
        marks = [*typing.get_args(hint)[1:], *([] if extra is None else [extra])]
        meaning = next((m.description for m in marks if isinstance(m, Meta) and m.description), "")
        if not meaning or _default(field) is dataclasses.MISSING:
            raise SettingsInvalidError(
                f"section {self.name}: {field.name} has no default or no meaning"
            )
        name = next((m.name for m in marks if isinstance(m, CordaKey)), field.name)
        return Key(
            name=name,
            field=field.name,
            setting=setting_name(self.name, name),
            hint=hint if extra is None else typing.Annotated[hint, extra],
            default=_default(field),
            meaning=meaning,
            is_live=not any(isinstance(mark, AtStart) for mark in marks),
            has_fixed_default=field.default_factory is dataclasses.MISSING,
        )


def setting_name(section: str, key: str) -> str:
    """The name of a key among all settings: without the first word of our own sections.

    `corda.flow` and `processing.maxRetryAttempts` give `flow_processing_max_retry_attempts`.
    """
    words = section.split(".")
    words = words[1:] if words[0] in _OWN else words
    joined = "_".join((*words, *key.split(".")))
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined).lower()


def is_own(name: str) -> bool:
    """Whether this name is reserved for sections of Cordbox itself."""
    return name.partition(".")[0] in _OWN


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    factory = field.default_factory
    return dataclasses.MISSING if factory is dataclasses.MISSING else factory()
