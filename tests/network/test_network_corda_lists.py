"""Every test of Corda's network lists is named once in the page, with a test here or a reason.

`corda_test_names.json` has Corda's names by test class, in Corda's order.
"""

import json
from pathlib import Path

import pytest

from tests.support.corda_lists import wrong_rows

NAMES = json.loads((Path(__file__).parent / "corda_test_names.json").read_text(encoding="utf-8"))
SIZES = {
    "GatewayIntegrationTest": 17,
    "RevocationCheckerTest": 5,
    "P2PLayerEndToEndTest": 5,
    "MembershipPersistenceTest": 26,
    "SynchronisationIntegrationTest": 2,
    "MemberProcessorIntegrationTest": 5,
}


def test_the_lists_of_networks_are_complete():
    assert {test_class: len(set(names)) for test_class, names in NAMES.items()} == SIZES


@pytest.mark.parametrize("test_class", SIZES)
def test_every_name_of_networks_is_proved_or_excused_once(test_class):
    assert wrong_rows(test_class, NAMES[test_class]) == {}


def test_a_name_that_is_left_out_or_not_proved_is_found():
    assert wrong_rows("RevocationCheckerTest", ["another"])["another"] == "missing"
