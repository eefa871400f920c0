"""Operations on a transaction that is given: they read no vault and use no key."""

from collections.abc import Collection

from host.domain.json import JsonObject, JsonValue
from host.ledger.core.components import Group, Groups, from_groups
from host.ledger.core.consensual import read_content
from host.ledger.core.filtered import filter_transaction
from host.ledger.core.filtered_content import Listed, filtered_content
from host.ledger.core.filtered_json import filtered_json, read_filtered
from host.ledger.core.model import Command, State, StateRef
from host.ledger.core.signed import check_complete, check_signatures, read_signed
from host.ledger.ops.finding import Operations
from host.ports.capability import CallContext
from host.ports.public_keys import PublicKeys
from host.ports.requests import check_fields, invalid_request, take_bool, take_object

_SIZE, _ALL = "size", "all"
_NOTARY_LEAVES = {"notary": (0, 1), "timeWindow": (2,)}
_LISTS = {
    "signatories": (Group.SIGNATORIES,),
    "inputs": (Group.INPUTS,),
    "references": (Group.REFERENCES,),
    "outputs": (Group.OUTPUTS_INFO, Group.OUTPUTS),
    "commands": (Group.COMMANDS_INFO, Group.COMMANDS),
}
"""Outputs and commands are shown with their types."""


class Filtering:
    """Makes filtered transactions, and reads them; checks signatures."""

    def __init__(self, public_keys: PublicKeys) -> None:
        self._public_keys = public_keys

    def operations(self) -> Operations:
        return {
            ("build", "filter"): self._filter,
            ("verify", "filtered"): self._verify_filtered,
            ("verify", "signatories"): self._verify_signatories,
        }

    def _filter(self, _context: CallContext, request: JsonObject) -> JsonValue:
        """Show some components of a transaction, with proofs that they are its own."""
        check_fields(request, ("op", "transaction", "keep"))
        signed = read_signed(take_object(request, "transaction"))
        from_groups(signed.groups)
        keep = take_object(request, "keep")
        check_fields(keep, tuple(name for name in (*_NOTARY_LEAVES, *_LISTS) if name in keep))
        selection: dict[Group, Collection[int] | None] = {}
        for name, leaves in _NOTARY_LEAVES.items():
            if name in keep and take_bool(keep, name):
                selection[Group.NOTARY] = (*(selection.get(Group.NOTARY) or ()), *leaves)
        for name, groups in _LISTS.items():
            if keep.get(name) is not None:
                chosen = _chosen(keep[name], name, signed.groups, groups[-1])
                selection.update(dict.fromkeys(groups, chosen))
        return filtered_json(filter_transaction(signed, selection))

    def _verify_filtered(self, _context: CallContext, request: JsonObject) -> JsonValue:
        """Check every proof, and answer what is shown; signatures are not part of it."""
        check_fields(request, ("op", "filtered"))
        filtered = read_filtered(take_object(request, "filtered"))
        content = filtered_content(filtered)
        return {
            "id": filtered.id,
            "metadata": content.metadata,
            "notary": None if content.notary is None else content.notary.to_json(),
            "timeWindow": None if content.time_window is None else content.time_window.to_json(),
            "signatories": _listed(content.signatories),
            "inputs": _listed(content.inputs),
            "references": _listed(content.references),
            "outputs": _listed(content.outputs),
            "commands": _listed(content.commands),
        }

    def _verify_signatories(self, _context: CallContext, request: JsonObject) -> JsonValue:
        """Check that every signatory has signed, and that all signatures are right."""
        check_fields(request, ("op", "transaction"))
        signed = read_signed(take_object(request, "transaction"))
        content = read_content(signed.groups)
        check_signatures(signed, content, self._public_keys)
        check_complete(signed, content, self._public_keys)
        return None


def _chosen(value: JsonValue, name: str, groups: Groups, group: Group) -> Collection[int] | None:
    """The indexes to show; None: the number only."""
    count = len(groups[group])
    if value == _SIZE:
        return None
    if value == _ALL:
        return range(count)
    if not isinstance(value, list) or not all(type(index) is int for index in value):
        raise invalid_request(f"field {name!r} must be 'size', 'all' or a list of indexes")
    indexes = sorted({int(index) for index in value if isinstance(index, int)})
    if not indexes or not 0 <= indexes[0] <= indexes[-1] < count:
        raise invalid_request(f"field {name!r} must hold indexes of {count} components")
    return indexes


def _listed(
    found: Listed[str] | Listed[StateRef] | Listed[State] | Listed[Command] | None,
) -> JsonValue:
    """Null where the list is hidden; `values` by index if they are shown."""
    if found is None:
        return None
    if found.values is None:
        return {"size": found.size}
    values = {str(index): _value(each) for index, each in found.values.items()}
    return {"size": found.size, "values": values}


def _value(value: str | StateRef | State | Command) -> JsonValue:
    return value.to_json() if isinstance(value, State | Command) else str(value)
