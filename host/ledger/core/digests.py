"""Digests of contract runs: what two nodes compare of the same transaction's verification.

`outcome` is equal wherever the same code judged the same ledger transaction, whatever the node's
limits and engine; `run` is equal where the engine is equal as well. Both are `SHA-256:HEX` of
canonical JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from host.domain.json import JsonObject, canonical_json, digest_of
from host.ports.requests import check_fields, take_int, take_text

FORM = 1
"""The form of the digested JSON; digests of different forms are not compared."""
ACCEPTED, REFUSED = "accepted", "refused"
_DIGEST_CHARACTERS_MAX = 80
_FUEL_MAX = 2**53 - 1
_FIELDS = ("cpk", "form", "code", "outcome", "run", "engine", "fuel", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """One contract CPK's verdict on one transaction.

    Attributes:
        cpk: file checksum.
        code: digest of the CPK's image or component.
        engine: digest of the engine's profile.
        fuel: instructions that the run took.
        verdict: `accepted` or `refused`.
    """

    cpk: str
    form: int
    code: str
    outcome: str
    run: str
    engine: str
    fuel: int
    verdict: str

    def to_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in _FIELDS}


def verification_of(cpk: str, receipt: str) -> Verification | None:
    """What the receipt of a run by a contract CPK says; None if the run gave no verdict.

    Args:
        cpk: file checksum.
        receipt: canonical JSON (docs/reference/host-api.md has its form).
    """
    fields = json.loads(receipt)
    code, engine, outcome = fields["code"], fields["engine"], fields["outcome"]
    if outcome["kind"] not in ("ok", "error"):
        return None
    named = code.get("image", code.get("component"))
    verdict = ACCEPTED if outcome["kind"] == "ok" else REFUSED
    judged: JsonObject = {
        "form": FORM,
        "code": named,
        "runtime": code["runtime"],
        "argument": fields["input"]["argument"],
        "verdict": verdict,
    }
    fuel = fields["usage"]["fuel"]
    run = {**judged, "engine": engine["profile"], "fuel": fuel}
    return Verification(
        cpk=cpk,
        form=FORM,
        code=named,
        outcome=_digest(judged),
        run=_digest(run),
        engine=engine["profile"],
        fuel=fuel,
        verdict=verdict,
    )


def read_verification(item: JsonObject) -> Verification:
    """Read a counterparty's verification.

    Raises:
        CapabilityError: `request-invalid`.
    """
    check_fields(item, _FIELDS)
    texts = {
        name: take_text(item, name, characters_max=_DIGEST_CHARACTERS_MAX)
        for name in ("cpk", "code", "outcome", "run", "engine", "verdict")
    }
    return Verification(
        form=take_int(item, "form", minimum=1, maximum=1000),
        fuel=take_int(item, "fuel", minimum=0, maximum=_FUEL_MAX),
        **texts,
    )


def other_outcomes(
    own: Sequence[Verification], others: Sequence[Verification]
) -> list[Verification]:
    """Those of `others` that judged the same CPK in the same form and came to another outcome."""
    known = {(each.cpk, each.form): each.outcome for each in own}
    return [
        each for each in others if known.get((each.cpk, each.form), each.outcome) != each.outcome
    ]


def other_runs(own: Sequence[Verification], others: Sequence[Verification]) -> list[Verification]:
    """Those of `others` with an equal outcome and engine whose run differs all the same."""
    known = {(each.cpk, each.outcome, each.engine): each.run for each in own}
    return [
        each
        for each in others
        if known.get((each.cpk, each.outcome, each.engine), each.run) != each.run
    ]


def verification_text(verification: Verification) -> str:
    """The canonical JSON that the vault stores."""
    return canonical_json(verification.to_json()).decode()


def _digest(value: JsonObject) -> str:
    return f"SHA-256:{digest_of(value).upper()}"
