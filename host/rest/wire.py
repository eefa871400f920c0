"""Shapes of JSON on the wire: frozen dataclasses whose members are named in Corda's camel case."""

import dataclasses
from datetime import UTC, datetime
from typing import TypeVar, dataclass_transform

from pydantic import ConfigDict

from host.domain.ids import EpochMs
from host.domain.json import camel_case

_T = TypeVar("_T")
_CONFIG = ConfigDict(alias_generator=camel_case, populate_by_name=False)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def wire(cls: type[_T]) -> type[_T]:
    """Make a frozen dataclass of `cls`; JSON names its members in camel case."""
    cls.__pydantic_config__ = _CONFIG  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def wire_names(shape: object) -> frozenset[str]:
    """The JSON names of the members of a `wire` class."""
    if not dataclasses.is_dataclass(shape):
        return frozenset()
    return frozenset(camel_case(field.name) for field in dataclasses.fields(shape))


def instant(millis: EpochMs) -> datetime:
    """The instant that REST prints as ISO-8601 text in UTC."""
    return datetime.fromtimestamp(millis / 1000, tz=UTC)


def millis(moment: datetime | None) -> EpochMs | None:
    """The milliseconds of an instant that a request names; without a zone, it is UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return EpochMs(int(aware.timestamp() * 1000))
