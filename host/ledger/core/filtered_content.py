"""What a filtered transaction shows of a transaction's content.

Source: corda-api `UtxoFilteredTransaction.java`, `UtxoFilteredData.java`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from host.domain.guest_text import GuestTextError, checked_json
from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import Group, read_command, read_notary, read_output, read_text
from host.ledger.core.filtered import FilteredTransaction, Part, Shown
from host.ledger.core.model import Command, Notary, State, StateRef, TimeWindow
from host.ledger.errors import FilteredInvalidError, TransactionInvalidError

_T = TypeVar("_T")
_NOTARY_LEAVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[_T]):
    """A list of components: how many there are, and those shown; None if only the number is."""

    size: int
    values: Mapping[int, _T] | None

    def is_whole(self) -> bool:
        return self.values is not None and len(self.values) == self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredContent:
    """Each part is None where it is hidden.

    Attributes:
        is_notary_shown: the notary is shown; it is None if the transaction has none.
        is_window_shown: the same of the time window.
    """

    metadata: JsonObject
    is_notary_shown: bool
    is_window_shown: bool
    notary: Notary | None
    time_window: TimeWindow | None
    signatories: Listed[str] | None
    inputs: Listed[StateRef] | None
    references: Listed[StateRef] | None
    outputs: Listed[State] | None
    commands: Listed[Command] | None


def filtered_content(filtered: FilteredTransaction) -> FilteredContent:
    """The content that a checked filtered transaction shows.

    Raises:
        FilteredInvalidError: a component is not one that a transaction could hold, or a state or
            command is shown without its type.
    """
    try:
        return _content(filtered)
    except GuestTextError as exc:
        raise FilteredInvalidError(f"{filtered.id}: {exc.message}") from exc
    except TransactionInvalidError as exc:
        raise FilteredInvalidError(f"{filtered.id}: {exc.message}") from exc
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as exc:
        raise FilteredInvalidError(f"{filtered.id}: {str(exc) or type(exc).__name__}") from exc


def _content(filtered: FilteredTransaction) -> FilteredContent:
    (metadata,) = _values(filtered.part(Group.METADATA)).values()
    if not isinstance(metadata, Mapping):
        raise TypeError("the metadata is no object")
    part = filtered.part(Group.NOTARY)
    has_none = isinstance(part, Shown) and part.count() == 0
    shown = _values(part)
    if isinstance(part, Shown) and not has_none and part.size != _NOTARY_LEAVES:
        raise ValueError(f"expected {_NOTARY_LEAVES} notary components, found {part.size}")
    leaves = [shown.get(index) for index in range(_NOTARY_LEAVES)]
    notary, window = (None, None) if has_none else read_notary(leaves)
    return FilteredContent(
        metadata=metadata,
        is_notary_shown=has_none or {0, 1} <= shown.keys(),
        is_window_shown=has_none or 2 in shown,
        notary=notary,
        time_window=window,
        signatories=_listed(filtered, Group.SIGNATORIES, read_text),
        inputs=_listed(filtered, Group.INPUTS, lambda ref: StateRef.parse(read_text(ref))),
        references=_listed(filtered, Group.REFERENCES, lambda ref: StateRef.parse(read_text(ref))),
        outputs=_paired(filtered, Group.OUTPUTS_INFO, Group.OUTPUTS, read_output),
        commands=_paired(filtered, Group.COMMANDS_INFO, Group.COMMANDS, read_command),
    )


def _listed(
    filtered: FilteredTransaction, group: Group, read: Callable[[JsonValue], _T]
) -> Listed[_T] | None:
    part = filtered.part(group)
    if part is None:
        return None
    if not isinstance(part, Shown):
        return Listed(size=part.count(), values=None)
    return Listed(
        size=part.count(), values={index: read(value) for index, value in _values(part).items()}
    )


def _paired(
    filtered: FilteredTransaction,
    info: Group,
    group: Group,
    read: Callable[[JsonValue, JsonValue], _T],
) -> Listed[_T] | None:
    part = filtered.part(group)
    if part is None:
        return None
    if not isinstance(part, Shown):
        return Listed(size=part.count(), values=None)
    infos, values = _values(filtered.part(info)), _values(part)
    if infos.keys() != values.keys():
        raise ValueError(f"groups {info.name} and {group.name} show different components")
    return Listed(
        size=part.count(), values={index: read(infos[index], values[index]) for index in values}
    )


def _values(part: Part | None) -> dict[int, JsonValue]:
    if not isinstance(part, Shown):
        return {}
    return {index: checked_json(text) for index, text in part.values().items()}
