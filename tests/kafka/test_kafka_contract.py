"""The contract of stores, with work that a real broker carries: the same tests as for the others."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from host.ports.units import FlowStore
from tests.contract import (
    test_contract_accounts,
    test_contract_bus,
    test_contract_node_records,
    test_contract_units,
    test_contract_work,
)
from tests.contract.conftest import MovableClock
from tests.kafka.carrying import Carriage, SettledStore
from tests.support.kafka import KafkaServer

LEFT_OUT = {
    # Positions of different topics are in the order of arrival, not of publishing.
    "test_the_work_of_a_node_comes_in_the_order_of_positions",
}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def store(
    request: pytest.FixtureRequest, kafka_server: KafkaServer, clock: MovableClock
) -> Iterator[FlowStore]:
    made = SettledStore(request.getfixturevalue("postgres_flows"), clock=clock)
    made.carriage = Carriage(kafka_server, "contract.", made)
    yield made
    made.close()


def in_module(module: ModuleType) -> dict[str, object]:
    """The tests of a module that take a store."""
    return {
        name: found
        for name, found in vars(module).items()
        if name.startswith("test_") and callable(found) and name not in LEFT_OUT
    }


for _module in (
    test_contract_accounts,
    test_contract_bus,
    test_contract_node_records,
    test_contract_units,
    test_contract_work,
):
    globals().update(in_module(_module))
