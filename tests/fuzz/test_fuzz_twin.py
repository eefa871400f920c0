"""The fuzz targets without a fuzzer: hypothesis changes the committed seeds."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS, seeds

pytestmark = pytest.mark.property
_RELAXED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


def test_the_harness_tells_how_it_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "nothing"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        "usage: python -m tests.fuzz {manifest,archive,cms,descriptor,group_policy}" in done.stderr
    )
