"""`contract fuzz`: reaches the contract, and shrinks what it answers with a crash."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from click import UsageError
from hypothesis import given, settings
from hypothesis import strategies as st

from cordapp.contracts import StateRef
from cordapp.schema import from_json, schema_of
from host.tools.contracts.inputs import TransactionFileError, parse_transaction
from host.tools.contracts.verification import CpiContracts
from host.tools.fuzz.coverage import covered
from host.tools.fuzz.facts import facts, near_facts
from host.tools.fuzz.hunt import FuzzExtraMissingError, FuzzResult, declared_types, fuzz
from host.tools.fuzz.participants import (
    FuzzedType,
    alone,
    learn,
    participants_of,
    sample,
    state_entry,
)
from host.tools.fuzz.report import as_document, summary, warnings
from host.tools.fuzz.values import values
from tests.support.properties import examples

pytestmark = pytest.mark.timeout(600)  # images are made, which takes seconds of CPU

CONTRACT = """
    from dataclasses import dataclass
    from cordapp.contracts import Command, Contract, ContractState, belongs_to, require

    @dataclass(frozen=True)
    class Split(Command):
        parts: int

    class TooMuchError(Exception):
        pass

    class PotContract(Contract):
        def verify(self, transaction):
            pots = transaction.get_output_states(Pot)
            for split in transaction.get_commands(Split):
                require(split.parts >= 0, "parts are positive")
                for pot in pots:
                    pot.amount // split.parts
            for pot in pots:
                if pot.keepers:
                    raise TooMuchError("too many keepers")
                while pot.amount > 50:
                    pass

    @belongs_to(PotContract)
    @dataclass(frozen=True)
    class Pot(ContractState):
        note: str
        amount: int
        keepers: list[str]
        founder: str

        @property
        def participants(self):
            return [self.founder, *self.keepers]
    """


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    at: datetime
    data: bytes
    price: Decimal


@dataclass(frozen=True)
class Everything:
    inner: Inner
    colour: Colour
    mode: Literal["a", 1]
    either: int | str | None
    pairs: tuple[str, int]
    many: tuple[Inner, ...]
    names: Mapping[str, int]
    items: Sequence[bool]
    short: Annotated[str, {"minLength": 2, "maxLength": 5}]
    even: Annotated[int, {"multipleOf": 2, "minimum": 0, "maximum": 10}]
    ref: StateRef
    ratio: float
    anything: Any
    like: "tuple[Everything, ...]" = ()
    days: Mapping[date, timedelta] = field(default_factory=dict)
    nothing: None = None
    wire: int = field(default=1, metadata={"json": "onTheWire"})


@pytest.fixture(scope="module")
def pot(tmp_path_factory: pytest.TempPathFactory, make_cpi: Any) -> Any:
    folder = tmp_path_factory.mktemp("pot")
    (folder / "contracts").mkdir()
    (folder / "contracts" / "pot.py").write_text(dedent(CONTRACT))
    (folder / "cordapp.toml").write_text(
        '[cordapp]\nname = "pot"\nversion = "1.0.0"\nvendor = "V"\nlicence = "L"\n'
        '[contract]\nname = "pot"\nsource = "contracts"\nmodules = ["pot"]\nversion = 1\n'
        "[limits]\nfuelMax = 15000000\n"
    )
    return make_cpi(folder)


def fuzz_pot(run: Any, pot: Any, *options: str) -> tuple[int, Any]:
    words = ["fuzz", pot.cpi, "--certificate", pot.certificate, "--output", "json", *options]
    code, out, _ = run(*words)
    return code, json.loads(out)


def test_each_kind_of_crash_is_shrunk(run: Any, pot: Any, tmp_path: Path) -> None:
    code, document = fuzz_pot(run, pot, "--examples", "200")
    crashes = {crash["type"]: crash["transaction"] for crash in document["crashes"]}
    assert set(crashes) == {"ZeroDivisionError", "TooMuchError", "out-of-fuel"}
    assert code == 1
    divided = crashes["ZeroDivisionError"]
    assert divided["commands"] == [{"type": "pot.Split", "value": {"parts": 0}}]
    assert divided["inputs"] == []
    assert [o["value"]["keepers"] for o in divided["outputs"]] == [[]]
    assert [o["value"]["amount"] for o in crashes["out-of-fuel"]["outputs"]] == [51]
    (tmp_path / "crash.json").write_text(json.dumps(divided))
    certificate = ("--certificate", pot.certificate)
    code, out, _ = run("verify", pot.cpi, tmp_path / "crash.json", *certificate)
    assert (code, "ZeroDivisionError" in out) == (1, True)


@pytest.mark.slow
def test_equal_seeds_give_equal_results(run: Any, pot: Any) -> None:
    results = [fuzz_pot(run, pot, "--examples", "40", "--seed", s)[1] for s in ("1", "1", "2")]
    assert results[0] == results[1]
    assert results[0]["runs"] > 0
    assert results[0] != results[2]


def test_an_exception_can_be_declared_a_verdict(run: Any, pot: Any) -> None:
    verdicts = ("ZeroDivisionError", "TooMuchError", "out-of-fuel")
    options = [word for name in verdicts for word in ("--verdict", name)]
    code, document = fuzz_pot(run, pot, "--examples", "60", *options)
    assert (code, document["crashes"]) == (0, [])


def test_the_sample_gives_verdicts_only(contracts: CpiContracts) -> None:
    said: set[str] = set()

    def verify(transaction: Any) -> Any:
        failures = contracts.verify(transaction).failures
        said.update(str(failure["message"]) for failure in failures)
        return failures

    own_rules = {
        "An IOU transaction has exactly one command",
        "An issue consumes no IOU",
        "An IOU's amount must be positive",
        "A transfer changes the lender",
    }
    # Which rules one seed reaches also depends on the constants that hypothesis finds in sources.
    for seed in range(8):
        result = fuzz(declared_types(contracts.cpi), verify, examples=400, seed=seed)
        assert (result.crashes, result.unconfirmed) == ((), ())
        assert result.runs >= 400
        if own_rules <= said:
            break
    assert own_rules <= said  # the contract's own rules are reached, not only the checks before


def test_fuzzing_leaves_nothing_in_the_working_directory(
    contracts: CpiContracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = declared_types(contracts.cpi)
    fuzz(declared, lambda t: contracts.verify(t).failures, examples=2, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.startswith(("hypothesis", "host.tools.fuzz."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(FuzzExtraMissingError, match=r"cordbox\[fuzz\]"):
        fuzz({"states": [], "commands": []}, lambda _: [], examples=1, seed=0)


@settings(max_examples=examples(50), deadline=None, database=None)
@given(st.data())
def test_values_fit_their_schema_and_decode(data: st.DataObject) -> None:
    schema = schema_of(Everything)
    value = data.draw(values(schema))
    jsonschema.validate(value, schema)
    from_json(Everything, json.loads(json.dumps(value)))


def test_a_sample_fits_its_schema() -> None:
    schema = schema_of(Everything)
    value = sample(schema, "value")
    jsonschema.validate({**value, "even": 2, "short": "ab"}, schema)
    assert from_json(Everything, {**value, "even": 2, "short": "ab"}).ref == StateRef(
        "SHA-256D:AB", 0
    )


@pytest.mark.parametrize("order", [(), ("b",), ("a", "b"), ("b", "a"), ("c", "a"), ("a", "d")])
def test_participants_are_learned_by_asking(order: tuple[str, ...]) -> None:
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    nested = {"type": "object", "properties": {"key": text}}
    properties = {"x": {"type": "integer"}, "a": text, "b": text, "c": texts, "d": nested}
    state = {"name": "S", "contract": "C", "schema": {"type": "object", "properties": properties}}
    paths = [(name, "key") if name == "d" else (name,) for name in order]

    def refusals(entry: Mapping[str, Any]) -> set[str]:
        right = entry["participants"] == participants_of(entry["value"], paths)
        return set() if right else {"ParticipantsError"}

    assert learn(state, refusals) == (tuple(paths), True)


def test_participants_that_nobody_checks_are_guessed() -> None:
    properties = {"owner_key": {"type": "string"}, "note": {"type": "string"}}
    state = {"name": "S", "contract": "C", "schema": {"type": "object", "properties": properties}}
    assert learn(state, lambda _: {"KeyError"}) == ((("owner_key",),), False)


DEAL = """
    from dataclasses import dataclass, replace
    from decimal import Decimal
    from enum import Enum
    from cordapp.contracts import Command, Contract, ContractState, belongs_to, require

    class Stage(Enum):
        PROPOSED = "proposed"
        AGREED = "agreed"
        PAID = "paid"

    @dataclass(frozen=True)
    class Propose(Command):
        pass

    @dataclass(frozen=True)
    class Agree(Command):
        pass

    @dataclass(frozen=True)
    class Pay(Command):
        rate: int

    class DealContract(Contract):
        def verify(self, transaction):
            (command,) = transaction.commands
            if isinstance(command, Propose):
                require(not transaction.get_input_states(Deal), "a proposal consumes nothing")
                (deal,) = transaction.get_output_states(Deal)
                require(deal.stage is Stage.PROPOSED, "a new deal is proposed")
                require(deal.amount > 0, "the amount is positive")
                require(deal.buyer != deal.seller, "nobody deals with himself")
                return
            (before,) = transaction.get_input_states(Deal)
            (after,) = transaction.get_output_states(Deal)
            require(set(before.participants) <= set(transaction.signatories), "both sign")
            if isinstance(command, Agree):
                require(before.stage is Stage.PROPOSED, "what was proposed is agreed")
                require(after == replace(before, stage=Stage.AGREED), "agreeing changes the stage")
            else:
                require(before.stage is Stage.AGREED, "what was agreed is paid")
                require(after == replace(before, stage=Stage.PAID), "paying changes the stage")
                before.amount // command.rate

    @belongs_to(DealContract)
    @dataclass(frozen=True)
    class Deal(ContractState):
        buyer: str
        seller: str
        amount: int
        stage: Stage

        @property
        def participants(self):
            return [self.buyer, self.seller]
    """


@pytest.fixture(scope="module")
def deal(tmp_path_factory: pytest.TempPathFactory, make_cpi: Any) -> Any:
    folder = tmp_path_factory.mktemp("deal")
    (folder / "contracts").mkdir()
    (folder / "contracts" / "deal.py").write_text(dedent(DEAL))
    (folder / "cordapp.toml").write_text(
        '[cordapp]\nname = "deal"\nversion = "1.0.0"\nvendor = "V"\nlicence = "L"\n'
        '[contract]\nname = "deal"\nsource = "contracts"\nmodules = ["deal"]\nversion = 1\n'
    )
    return make_cpi(folder)


CHECKED = ("--verdict", "ValueError")  # of `(command,) = …`


def fuzz_deal(run: Any, deal: Any, *options: str | Path) -> tuple[Any, str]:
    words = ("--certificate", deal.certificate, "--output", "json", *CHECKED, *options)
    code, out, err = run("fuzz", deal.cpi, *words)
    document = json.loads(out)
    assert code == (1 if document["crashes"] else 0)
    return document, err


@pytest.mark.slow
def test_a_crash_three_steps_deep_is_found_without_any_known_transaction(
    run: Any, deal: Any
) -> None:
    document, err = fuzz_deal(run, deal, "--examples", "4000", "--seed", "3")
    (crash,) = document["crashes"]
    assert crash["type"] == "ZeroDivisionError"
    paid = crash["transaction"]
    assert paid["commands"] == [{"type": "deal.Pay", "value": {"rate": 0}}]
    assert paid["inputs"][0]["state"]["value"]["stage"] == "agreed"
    (file,) = document["coverage"]
    assert (file["file"], file["missed"], file["reached"]) == ("deal.py", [], file["lines"])
    assert "warning" not in err


def _agreement(amount: int) -> dict[str, Any]:
    def state(stage: str) -> dict[str, Any]:
        value = {"buyer": "a", "seller": "b", "amount": amount, "stage": stage}
        described = {"name": "deal.Deal", "contract": "deal.DealContract"}
        return state_entry(described, value, ["a", "b"])

    before = {"stateRef": f"SHA-256D:{'1' * 64}:0", "state": state("proposed")}
    return {
        **alone(state("agreed")),
        "inputs": [before],
        "commands": [{"type": "deal.Agree", "value": {}}],
        "signatories": ["a", "b"],
    }


def test_a_recorded_transaction_shortens_the_way(run: Any, deal: Any, tmp_path: Path) -> None:
    recorded = tmp_path / "known.jsonl"
    recorded.write_text(f"{json.dumps(_agreement(7))}\n")
    document, _ = fuzz_deal(run, deal, "--examples", "300", "--recorded", recorded)
    (crash,) = document["crashes"]
    assert crash["type"] == "ZeroDivisionError"
    assert document["runs"] < 1500  # without it, thousands are needed


def test_what_is_no_transaction_is_refused_before_anything_runs(
    run: Any, deal: Any, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text("{}")
    options = ("--certificate", deal.certificate, "--recorded", tmp_path / "x.json")
    with pytest.raises(UsageError, match=r"x\.json: no ledger transaction"):
        run("fuzz", deal.cpi, *options)


def test_nothing_accepted_is_warned_of(run: Any, deal: Any) -> None:
    document, err = fuzz_deal(run, deal, "--examples", "1")
    assert document["accepted"] == 0
    assert "no transaction was accepted" in err
    (file,) = document["coverage"]
    assert 0 < file["reached"] < file["lines"]
    assert len(file["missed"]) == file["lines"] - file["reached"]


def _declared(*contracts: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"owner": {"type": "string"}}}
    states = [{"name": f"{name}State", "contract": name, "schema": schema} for name in contracts]
    return {"states": states, "commands": []}


def _refusing(*contracts: str) -> Any:
    """Judges as the host does: nobody refuses what has no states."""

    def verify(transaction: Any) -> list[dict[str, Any]]:
        states = [*(entry["state"] for entry in transaction["inputs"]), *transaction["outputs"]]
        return [
            {"contract": state["contract"], "type": "RequirementError", "message": "never"}
            for state in states
            if state["contract"] in contracts
        ]

    return verify


def test_a_transaction_that_no_contract_judges_is_no_acceptance() -> None:
    result = fuzz(_declared("C"), _refusing("C"), examples=60, seed=0)
    assert (result.runs >= 60, result.accepted) == (True, 0)
    assert "no transaction was accepted" in list(warnings(result))[-1]


def test_each_contract_that_accepted_nothing_is_warned_of() -> None:
    result = fuzz(_declared("A", "B"), _refusing("B"), examples=60, seed=0)
    assert result.accepted
    assert result.never_accepted == ("B",)
    assert list(warnings(result))[-1].startswith("B: no transaction with its states was accepted")
    assert as_document(result, (), seed=0)["neverAccepted"] == ["B"]
    assert fuzz(_declared("A", "B"), _refusing(), examples=60, seed=0).never_accepted == ()


def test_a_report_names_ranges_of_lines() -> None:
    text = "def f(x):\n    'doc'\n    if x:\n        return 1\n    y = 2\n    return y\n"
    (file,) = covered({"a.py": text, "unused.py": text}, frozenset({("a.py", 3), ("a.py", 4)}))
    assert (file.reached, file.lines, file.missed) == (2, 4, (5, 6))
    result = FuzzResult(crashes=(), runs=3, accepted=1, unconfirmed=())
    assert list(summary(result, [file], seed=5)) == [
        "a.py: 2 of 4 lines; not reached: 5-6",
        "3 runs, 1 accepted, 0 crashes (seed 5)",
    ]


MINUTES = """
    from dataclasses import dataclass
    from cordapp.consensual import ConsensualState
    from cordapp.contracts import require

    @dataclass(frozen=True)
    class Minutes(ConsensualState):
        text: str
        pages: int
        chair: str
        members: list[str]

        @property
        def participants(self):
            return [self.chair, *self.members]

        def verify(self, transaction):
            require(self.text != "", "Minutes have a text")
            require(self.chair not in self.members, "The chair is no member")
            len(transaction.get_states(Minutes)) // self.pages
    """


def test_states_of_the_consensual_ledger_are_fuzzed(
    run: Any, make_cpi: Any, tmp_path: Path
) -> None:
    """The smallest transaction that crashes is one state, and `contract verify` takes it."""
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "minutes.py").write_text(dedent(MINUTES))
    (tmp_path / "cordapp.toml").write_text(
        '[cordapp]\nname = "minutes"\nversion = "1.0.0"\nvendor = "V"\nlicence = "L"\n'
        '[contract]\nname = "minutes"\nsource = "contracts"\nmodules = ["minutes"]\nversion = 1\n'
    )
    made = make_cpi(tmp_path)
    code, document = fuzz_pot(run, made, "--examples", "150")
    assert (code, document["unconfirmed"]) == (1, [])
    assert document["accepted"] > 0
    (crash,) = document["crashes"]
    assert (crash["contract"], crash["type"]) == ("minutes.Minutes", "ZeroDivisionError")
    (state,) = crash["transaction"]["states"]
    assert state["value"]["pages"] == 0
    assert crash["transaction"]["signatories"] == state["participants"]
    right = {**state, "value": {**state["value"], "pages": 1}}
    lines = (crash["transaction"], {**crash["transaction"], "states": [right]})
    (tmp_path / "facts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    certificate = ("--certificate", made.certificate)
    code, out, _ = run("verify", made.cpi, tmp_path / "facts.jsonl", *certificate)
    assert (code, "ZeroDivisionError" in out) == (1, True)
    assert out.splitlines()[-1].endswith(":2: accepted")


@settings(max_examples=30, deadline=None, database=None)
@given(st.data())
def test_facts_have_a_state_and_are_signed_by_all_participants(data: st.DataObject) -> None:
    schema = {
        "type": "object",
        "properties": {"owner": {"type": "string"}, "pages": {"type": "integer"}},
        "required": ["owner", "pages"],
        "additionalProperties": False,
    }
    kind = FuzzedType(name="S", schema=schema, contract="S", participants=(("owner",),))
    known = data.draw(facts([kind]))
    near = list(near_facts([kind], known))
    for each in (known, *near, data.draw(facts([kind], [known]))):
        assert each["states"]
        owners = [state["value"]["owner"] for state in each["states"]]
        assert each["signatories"] == list(dict.fromkeys(owners))
        assert [state["participants"] for state in each["states"]] == [[owner] for owner in owners]
    pages = {state["value"]["pages"] for each in near for state in each["states"]}
    assert len(pages) > 1


@pytest.mark.parametrize("fact", [{}, {"states": []}, {"states": [{"type": 1}]}, {"states": {}}])
def test_what_is_no_transaction_of_the_consensual_ledger(fact: Any) -> None:
    whole = {"id": "i", "timestamp": "t", "signatories": [], **fact}
    with pytest.raises(TransactionFileError, match="no ledger transaction"):
        parse_transaction(json.dumps(whole).encode(), "here")
