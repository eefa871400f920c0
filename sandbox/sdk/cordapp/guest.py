"""The guest's exports. The runtime's loader calls these three functions and nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from cordapp import __version__
from cordapp.checks import contract_problems, declared_states
from cordapp.contracts import (
    Contract,
    UnknownTypeError,
    UtxoLedgerTransaction,
    command_from_json,
    contract_of,
    state_from_json,
)
from cordapp.failures import failure_of
from cordapp.registry import (
    COMMANDS,
    CONSENSUAL_SIDE,
    CONTRACTS,
    FLOW_SIDE,
    VAULT_SIDE,
    DeclarationError,
    Host,
    HostCallError,
    name_of,
)
from cordapp.schema import dumps, schema_of

__all__ = ["Failed", "HostCallError", "Refused", "describe", "run", "verify"]


_VAULT = "cordbox:vault"
"""In place of a flow's class: what the node keeps of a transaction in its vault."""


class Refused(Exception):  # noqa: N818  # a verdict, not a defect
    """Contracts refuse the transaction; `payload` is `verify`'s err."""

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


class Failed(Exception):  # noqa: N818  # an outcome, not a defect
    """The flow ended by an exception; `payload` is `run`'s err."""

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.payload = payload


def describe() -> str:
    """What the code declares (host-api.md, `describe`), sorted by name.

    Raises:
        DeclarationError: classes cannot work as they are declared: a line for each mistake.
    """
    check_flows = FLOW_SIDE.get("check")
    problems, warnings = check_flows() if check_flows else ([], [])
    problems = [*contract_problems(), *CONSENSUAL_SIDE.get("check", list)(), *problems]
    problems = [*VAULT_SIDE.get("check", list)(), *problems]
    if problems:
        raise DeclarationError("\n".join(dict.fromkeys(problems)))
    return dumps({**_description(), "warnings": warnings})


def _description() -> dict[str, Any]:
    flows, entities = FLOW_SIDE.get("describe"), FLOW_SIDE.get("entities")
    queries = VAULT_SIDE.get("queries")
    states = declared_states()
    contracts = [
        {"name": name, "states": [s for s, cls in states if contract_of(cls) is c]}
        for name, c in sorted(CONTRACTS.items())
        if c.verify is not Contract.verify
    ]
    described = [
        {
            "name": name,
            "contract": _contract_name(cls),
            "schema": schema_of(cls),
            **_described_vault(cls),
        }
        for name, cls in states
    ]
    for name, cls in CONSENSUAL_SIDE.get("declared", list)():  # each is its own contract
        contracts.append({"name": name, "states": [name]})
        described.append({"name": name, "contract": name, "schema": schema_of(cls)})
    return {
        "sdk": f"cordapp {__version__}",
        "contracts": sorted(contracts, key=lambda each: str(each["name"])),
        "states": sorted(described, key=lambda each: str(each["name"])),
        "commands": [{"name": n, "schema": schema_of(c)} for n, c in sorted(COMMANDS.items())],
        "flows": flows() if flows else [],
        "entities": entities() if entities else [],
        "queries": queries() if queries else [],
    }


def verify(transaction: str) -> None:
    """Run every contract that governs an input or output state; collect all failures.

    Raises:
        Refused: at least one contract, or the transaction's form, refuses.
    """
    value = json.loads(transaction)
    failures = _consensual_failures(value) if "states" in value else _utxo_failures(value)
    if failures:
        raise Refused(dumps({"failures": failures}))


def _utxo_failures(value: dict[str, Any]) -> list[dict[str, Any]]:
    failures = list(_false_claims(value))
    if failures:
        return failures
    governed: dict[str, list[str]] = {}
    for state in [i["state"] for i in value["inputs"]] + value["outputs"]:
        types = governed.setdefault(state["contract"], [])
        if state["type"] not in types:
            types.append(state["type"])
    return [f for name, types in governed.items() for f in _judge(name, types, value)]


def _consensual_failures(value: dict[str, Any]) -> list[dict[str, Any]]:
    judge: Callable[..., Any] = CONSENSUAL_SIDE.get("failures", _no_consensual_states)
    return [_refusal(name, [name], exc) for name, exc in judge(value)]


def _no_consensual_states(value: dict[str, Any]) -> list[tuple[str, BaseException]]:
    name = str(value["states"][0]["type"])
    return [(name, UnknownTypeError(f"$.states[0]: state type {name!r} is not declared"))]


def run(start: str, host: Host) -> str:
    """Run a flow to its end, or the vault's functions, and answer the result text.

    Raises:
        Failed: the flow raised an exception, or cannot be started.
    """
    try:
        request = json.loads(start)
        if request["flowClass"] == _VAULT:
            return dumps(VAULT_SIDE["record"](request["requestBody"]))
        result: str = FLOW_SIDE.get("run", _no_flows)(request, host)
    except BaseException as exc:  # noqa: BLE001  # the CorDapp's exception is the flow's outcome
        raise Failed(dumps(failure_of(exc))) from None
    return result


def _no_flows(_start: object, _host: Host) -> str:
    raise DeclarationError("this code declares no flows")


def _described_vault(cls: type[Any]) -> dict[str, Any]:
    """`{"vault": ..}` of a state about which the code says something for vaults; else `{}`."""
    contract = contract_of(cls)
    is_visible = contract is not None and contract.is_visible is not Contract.is_visible
    said = VAULT_SIDE["state"](cls) if "state" in VAULT_SIDE else {}
    found = {"visible": is_visible, **said}
    return {"vault": found} if any(found.values()) else {}


def _contract_name(cls: type[Any]) -> str:
    contract = contract_of(cls)
    if contract is None:
        raise DeclarationError(f"state {name_of(cls)} belongs to no contract: add @belongs_to")
    return name_of(contract)


def _false_claims(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    places = [
        *((e["state"], f"$.inputs[{i}].state") for i, e in enumerate(value["inputs"])),
        *((e["state"], f"$.references[{i}].state") for i, e in enumerate(value["references"])),
        *((e, f"$.outputs[{i}]") for i, e in enumerate(value["outputs"])),
    ]
    for entry, path in places:
        try:
            state_from_json(entry, path)
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # becomes a failure
            yield _refusal(entry["contract"], [entry["type"]], exc)
    for index, entry in enumerate(value["commands"]):
        try:
            command_from_json(entry, f"$.commands[{index}]")
        except (Exception, SystemExit) as exc:  # noqa: BLE001  # becomes a failure
            yield _refusal("", [], exc)


def _judge(contract: str, types: list[str], value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        CONTRACTS[contract]().verify(UtxoLedgerTransaction.__from_json__(value))
    except (Exception, SystemExit) as exc:  # noqa: BLE001  # any exception refuses
        yield _refusal(contract, types, exc)


def _refusal(contract: str, types: list[str], exc: BaseException) -> dict[str, Any]:
    failure = {**failure_of(exc), "type": type(exc).__name__}
    failure.pop("class", None)
    return {"contract": contract, "states": types, **failure}


def _prepare() -> None:
    """Make what every first run would make: the forms of declared classes and of transactions."""
    _description()
    nothing = dict.fromkeys(("signatories", "inputs", "references", "outputs", "commands"), ())
    UtxoLedgerTransaction.__from_json__(
        {"id": "", "metadata": {}, "notary": None, "timeWindow": None, **nothing}
    )


# The loader imports this module last, and instances start from the memory of that moment: what is
# made now costs no run anything. A wrong declaration is `describe`'s to report.
with suppress(Exception):
    _prepare()
