"""`describe` and `verify` of the guest, over contracts declared here."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from cordapp import guest, registry
from cordapp.contracts import (
    Command,
    Contract,
    ContractState,
    PublicKey,
    StateRef,
    TimeWindow,
    UtxoLedgerTransaction,
    WrongContractError,
    belongs_to,
    require,
    state_to_json,
)
from cordapp.registry import DeclarationError, name_of
from cordapp.schema import CodecError, from_json, schema_of, to_json

TX = "SHA-256D:" + "AB" * 32


@dataclass(frozen=True)
class Move(Command):
    steps: int


class Stop(Command):
    """No fields."""


class TokenContract(Contract):
    made = 0

    def __init__(self):
        type(self).made += 1

    def verify(self, transaction):
        require(transaction.get_commands(Move), "Move needed")
        if any(t.value < 0 for t in transaction.get_output_states(Token)):
            raise ArithmeticError("negative")


class CoinContract(Contract):
    def verify(self, transaction):
        raise SystemExit("coins leave")


@belongs_to(TokenContract)
@dataclass(frozen=True)
class Token(ContractState):
    owner: PublicKey
    value: int = 1

    @property
    def participants(self):
        return [self.owner]


@belongs_to(CoinContract)
@dataclass(frozen=True)
class Coin(ContractState):
    participants: list[PublicKey]


@dataclass(frozen=True)
class Stray(ContractState):
    participants: list[PublicKey]


@pytest.fixture(autouse=True)
def only_these(monkeypatch):
    """The registries as a bundle with this module alone fills them."""
    for kind in ("CONTRACTS", "STATES", "CONSENSUAL_STATES", "COMMANDS", "FLOWS", "ENTITIES"):
        classes = getattr(registry, kind)
        own = {n: c for n, c in classes.items() if c.__module__ == __name__ and c is not Stray}
        before = dict(classes)
        classes.clear()
        classes.update(own)
        monkeypatch.setattr(registry, f"_saved_{kind}", before, raising=False)
    yield
    for kind in ("CONTRACTS", "STATES", "CONSENSUAL_STATES", "COMMANDS", "FLOWS", "ENTITIES"):
        getattr(registry, kind).update(getattr(registry, f"_saved_{kind}"))


def transaction(**changes):
    value = {
        "id": TX,
        "metadata": {"cpkMetadata": []},
        "notary": None,
        "timeWindow": None,
        "signatories": ["K"],
        "inputs": [],
        "references": [],
        "outputs": [state_to_json(Token("K"))],
        "commands": [{"type": name_of(Move), "value": {"steps": 1}}],
    }
    return json.dumps({**value, **changes})


def failures(text):
    with pytest.raises(guest.Refused) as refused:
        guest.verify(text)
    return json.loads(refused.value.payload)["failures"]


def test_describe_lists_what_is_declared():
    described = json.loads(guest.describe())
    assert described["contracts"] == [
        {"name": name_of(CoinContract), "states": [name_of(Coin)]},
        {"name": name_of(TokenContract), "states": [name_of(Token)]},
    ]
    assert [s["name"] for s in described["states"]] == [name_of(Coin), name_of(Token)]
    assert described["states"][1]["contract"] == name_of(TokenContract)
    assert described["states"][1]["schema"]["required"] == ["owner"]
    assert [c["name"] for c in described["commands"]] == [name_of(Move), name_of(Stop)]
    assert described["commands"][1]["schema"]["properties"] == {}
    assert described["flows"] == described["entities"] == []


def test_describe_refuses_a_state_without_contract():
    registry.STATES[name_of(Stray)] = Stray
    with pytest.raises(DeclarationError, match="Stray belongs to no contract: add @belongs_to"):
        guest.describe()
    with pytest.raises(WrongContractError, match="Stray has no @belongs_to") as refused:
        state_to_json(Stray(["K"]))
    assert refused.value.code == "wrong-contract"


@pytest.mark.parametrize("value", [{"owner": "K"}, None, "K", Token, Move(1), [Token("K")]])
def test_what_is_no_state_is_named_as_the_developer_wrote_it(value):
    with pytest.raises(CodecError, match=r"expected a state, .*found") as refused:
        state_to_json(value)
    assert "__contract__" not in str(refused.value)
    assert refused.value.code == "value-not-of-type"


def test_verify_accepts_and_uses_a_new_contract_each_time():
    made = TokenContract.made
    guest.verify(transaction())
    guest.verify(transaction())
    assert TokenContract.made == made + 2


def test_verify_collects_the_failures_of_all_contracts():
    outputs = [state_to_json(s) for s in (Token("K", -1), Coin(["K"]), Token("K", 2))]
    found = failures(transaction(outputs=outputs))
    assert [failure.pop("trace")[-1]["function"] for failure in found] == ["verify", "verify"]
    assert found == [
        {
            "contract": name_of(TokenContract),
            "states": [name_of(Token)],
            "type": "ArithmeticError",
            "message": "negative",
        },
        {
            "contract": name_of(CoinContract),
            "states": [name_of(Coin)],
            "type": "SystemExit",
            "message": "coins leave",
        },
    ]


def test_contract_runs_for_input_states_and_not_for_references():
    coin = {"stateRef": f"{TX}:0", "state": state_to_json(Coin(["K"]))}
    guest.verify(transaction(references=[coin]))
    assert [f["message"] for f in failures(transaction(inputs=[coin], outputs=[]))] == [
        "coins leave"
    ]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"type": "x.Unknown"}, "UnknownTypeError", "state type 'x.Unknown' is not declared"),
        ({"contract": name_of(CoinContract)}, "WrongContractError", "belongs to"),
        ({"participants": ["K", "L"]}, "ParticipantsError", "participants differ"),
        ({"value": {"owner": 1}}, "CodecError", "$.outputs[0].value.owner: expected a string"),
    ],
)
def test_verify_refuses_false_claims_about_a_state(changes, kind, message):
    state = {**state_to_json(Token("K")), **changes}
    [failure] = failures(transaction(outputs=[state]))
    assert failure["type"] == kind
    assert message in failure["message"]
    assert failure["states"] == [state["type"]]


def test_verify_refuses_unknown_commands():
    [failure] = failures(transaction(commands=[{"type": "x.Y", "value": {}}]))
    assert failure["type"] == "UnknownTypeError"


def test_transaction_decodes_every_part():
    token = state_to_json(Token("K"), "tag")
    value = json.loads(
        transaction(
            notary={"name": "O=N, L=L, C=GB", "key": "PEM"},
            timeWindow={"from": None, "until": "2026-01-01T00:00:00.000000Z"},
            inputs=[{"stateRef": f"{TX}:3", "state": token}],
            references=[{"stateRef": f"{TX}:4", "state": token}],
        )
    )
    seen = UtxoLedgerTransaction.__from_json__(value)
    assert (seen.notary.name, seen.notary.key) == ("O=N, L=L, C=GB", "PEM")
    assert seen.time_window == TimeWindow(None, datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.input_state_and_refs[0].ref == StateRef(TX, 3)
    assert seen.input_state_and_refs[0].encumbrance == "tag"
    assert seen.output_state_and_refs[0].ref == StateRef(TX, 0)
    assert seen.get_input_states(Token) == seen.get_reference_states(Token) == [Token("K")]
    assert seen.get_commands(Stop) == []
    assert seen.commands == (Move(1),)


def test_time_window_is_half_open():
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    window = TimeWindow(start, end)
    assert window.contains(start)
    assert not window.contains(end)
    assert to_json(window)["from"] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("text", ["", "x", "a:b:", "a:b:-1", "a:b:x", "a:b:²"])
def test_state_ref_refuses(text):
    with pytest.raises(CodecError):
        StateRef.parse(text)


def test_state_ref_is_text_in_json():
    ref = StateRef(TX, 7)
    assert from_json(StateRef, to_json(ref)) == ref
    assert schema_of(list[StateRef])["items"]["type"] == "string"
