"""The fuzz targets without a fuzzer: hypothesis changes the committed seeds."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS, seeds, within_cost
from tests.steps import steps_of
from tests.support.properties import examples

pytestmark = pytest.mark.property
_RELAXED = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_COSTLY = settings(_RELAXED, max_examples=25, derandomize=True)
"""Counting is slow; the examples are the same at every run."""
_SLACK = 3_000
"""Steps by which an error that is met later may differ from one that is met sooner."""
_WORDS = [b"PK\3\4", b"\r\n\r\n", b"\0", b"\xff\xff\xff\xff", b'"":', b"\x30\x80", b"Name: ", b"[["]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted_or_refused_as_their_names_say(name: str) -> None:
    paths = [p for p in sorted((SEEDS / name).iterdir()) if p.name != "content"]
    assert len(paths) >= 2
    for path in paths:
        assert TARGETS[name](path.read_bytes()) is not path.name.startswith("refused-"), path
        assert path.stat().st_size < 8192


@st.composite
def _changed(draw: st.DrawFn, name: str) -> bytes:
    """A seed after some of a fuzzer's usual changes."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                data[at:at] = draw(st.sampled_from(_WORDS))
            case 2:
                del data[at : at + draw(st.integers(1, 40))]
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case _:
                data[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@_RELAXED
@given(data=st.data())
def test_changed_seeds(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(_changed(name)))


@pytest.mark.parametrize("name", TARGETS)
@_RELAXED
@given(noise=st.binary(max_size=400))
def test_noise(name: str, noise: bytes) -> None:
    TARGETS[name](noise)


@pytest.mark.parametrize("name", TARGETS)
@_COSTLY
@given(data=st.data())
def test_costs_are_bounded_by_the_size(name: str, data: st.DataObject) -> None:
    """Any slice of a seed, repeated: twice as often costs no more than twice as much."""
    seed = data.draw(st.sampled_from(seeds(name)))
    at = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(at, min(len(seed), at + 64)))
    place = data.draw(st.integers(0, len(seed)))
    once = max(1, 600 // max(1, end - at))
    grown = [seed[:place] + seed[at:end] * (once * k) + seed[place:] for k in (1, 2, 4)]
    one, two, four = (_steps(name, changed) for changed in grown)
    assert four - two <= 2.5 * max(two - one, 0) + _SLACK, (one, two, four)


@pytest.mark.parametrize("name", TARGETS)
@_COSTLY
@given(data=st.data())
def test_changed_seeds_cost_little(name: str, data: st.DataObject) -> None:
    within_cost(name, data.draw(_changed(name)))


def test_a_quadratic_parser_would_be_found() -> None:
    """The counter sees what it is for."""

    def steps(size: int) -> int:
        def loop() -> None:
            data = bytes(size)
            for one in data:
                for other in data:
                    if one != other:
                        return

        return steps_of(loop)

    one, two, four = steps(50), steps(100), steps(200)
    assert four - two > 2.5 * (two - one) + _SLACK


def _steps(name: str, data: bytes) -> int:
    return steps_of(lambda: TARGETS[name](data))


def test_the_harness_tells_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "nothing"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"usage: python -m tests.fuzz {{{','.join(TARGETS)}}}[-cost]" in done.stderr
