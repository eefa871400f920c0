"""What a fuzzing run found, as lines of text and as JSON. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from host.domain.json import JsonObject
from host.tools.fuzz.coverage import FileCoverage
from host.tools.fuzz.hunt import FuzzResult


def warnings(result: FuzzResult) -> Iterator[str]:
    """Reasons why the run may have reached little of the contracts."""
    for name in result.unconfirmed:
        yield f"{name}: its participants are not known; fields that looked like some were used"
    if result.runs and not result.accepted:
        yield (
            "no transaction was accepted, so only refusals were tried: give known transactions"
            " with --recorded, or try more examples"
        )
        return
    for contract in result.never_accepted if result.runs else ():
        yield (
            f"{contract}: no transaction with its states was accepted, so only its refusals were"
            " tried: give known transactions with --recorded, or try more examples"
        )


def summary(result: FuzzResult, covered: Sequence[FileCoverage], *, seed: int) -> Iterator[str]:
    """The lines reached of each file, then the counts."""
    for file in covered:
        missed = f"; not reached: {_ranges(file.missed)}" if file.missed else ""
        yield f"{file.file}: {file.reached} of {file.lines} lines{missed}"
    counts = f"{result.runs} runs, {result.accepted} accepted, {len(result.crashes)} crashes"
    yield f"{counts} (seed {seed})"


def as_document(
    result: FuzzResult, covered: Sequence[FileCoverage], *, seed: int
) -> dict[str, object]:
    """`{"seed", "crashes", "runs", "accepted", "neverAccepted", "unconfirmed", "coverage"}`."""
    crashes: list[JsonObject] = [asdict(crash) for crash in result.crashes]
    return {
        "seed": seed,
        "crashes": crashes,
        "runs": result.runs,
        "accepted": result.accepted,
        "neverAccepted": list(result.never_accepted),
        "unconfirmed": list(result.unconfirmed),
        "coverage": [asdict(file) for file in covered],
    }


def _ranges(numbers: Sequence[int]) -> str:
    """`3-5, 9` of ascending numbers; statements on neighbouring lines are one range."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
