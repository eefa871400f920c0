"""A contract's run is the same whatever an operator sets: equal receipts, with equal endings."""

import pytest

from host.guests.contract_limits import contract_limits
from sandbox.errors import SandboxError
from tests.isolation.test_isolation_host import ALICE, made, record, run

pytestmark = pytest.mark.slow
CODES = {
    "accepts": "pass",
    "refuses": "raise Refused('no')",
    "catches-memory": """
blocks = []
try:
    while True: blocks.append(bytearray(1 << 20))
except MemoryError: pass
""",
    "recurses": "def f(): f()\nf()",
    "long-text": "raise Refused('x' * 3_000_000)",
}
TIGHT = {
    "quota_fuel_max": 1,
    "quota_memory_bytes_max": 65536,
    "quota_table_elements_max": 1,
    "quota_wall_ms_max": 1,
    "quota_payload_bytes_max": 1024,
    "quota_vault_bytes_max": 1048576,
}
WIDE = {
    "quota_fuel_max": 9_007_199_254_740_991,
    "quota_memory_bytes_max": 4_294_967_296,
    "quota_wall_ms_max": 3_600_000,
    "quota_payload_bytes_max": 134_217_728,
}
OPERATORS = {
    "tight": TIGHT,
    "wide": WIDE,
    "process": {"isolation": "process"},
    "tight-process": {"isolation": "process", **TIGHT},
    "wide-process-that-keeps-nothing": {"isolation": "process", "flow_parked_max": 0, **WIDE},
}


def told(guests, cpi):
    """How each of the codes ended, with its receipt."""
    (cpk,) = cpi.contract_cpks()
    limits = contract_limits({}).limits
    found = {}
    for name, code in CODES.items():
        run(guests, cpi, "result = 1", ALICE)  # a workflow's run before it leaves nothing behind
        try:
            outcome = guests.guest(cpi, cpk, node=ALICE).call("verify", code, limits=limits)
        except SandboxError as ended:
            found[name] = (ended.code, getattr(ended, "receipt", None))
        else:
            found[name] = (str(outcome.value)[:100], outcome.receipt)
    return found


@pytest.fixture(scope="module")
def as_it_comes(sandbox, components, tmp_path_factory):
    """The endings on a host whose operator has set nothing."""
    with made(sandbox, tmp_path_factory.mktemp("verdicts") / "data") as (guests, _):
        return told(guests, record(components))


def test_the_codes_end_in_every_way(as_it_comes):
    assert as_it_comes["catches-memory"][0] == "memory-limit"
    assert len({ending for ending, _ in as_it_comes.values()}) >= 4


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_setting_of_an_operator_changes_a_run(
    sandbox, components, tmp_path, operator, as_it_comes
):
    with made(sandbox, tmp_path / "data", **OPERATORS[operator]) as (guests, _):
        assert told(guests, record(components)) == as_it_comes
