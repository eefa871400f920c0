"""Amounts of tokens, and which tokens a claim takes."""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.ledger.core.amounts import AmountInvalidError, amount_of, amount_text, plain, total_of
from host.ledger.core.model import StateRef
from host.ledger.core.selection import (
    TOKENS_MAX,
    Candidate,
    ClaimTooLargeError,
    select_tokens,
)

TX = "SHA-256D:" + "AB" * 32


@pytest.mark.parametrize(
    ("text", "stored"),
    [("1", "1"), ("1.50", "1.5"), ("007", "7"), ("0.000000000000000001", "0.000000000000000001"),
     ("9" * 38, "9" * 38), ("9" * 20 + "." + "9" * 18, "9" * 20 + "." + "9" * 18),
     ("100", "100"), ("0.50", "0.5"), ("1.0000000000000000000000", "1")],
)  # fmt: skip
def test_amounts_are_stored_in_digits(text, stored):
    assert amount_text(text) == stored
    assert amount_of(stored) == amount_of(text)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.00", "-1", "+1", "1e3", "1.", ".5", " 1", "NaN", "Infinity", "9" * 39, "1_0",
     "0.0000000000000000001", "9" * 21 + "." + "9" * 18, "\N{ARABIC-INDIC DIGIT ONE}", "1" * 200],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(AmountInvalidError):
        amount_of(text)


@given(st.lists(st.decimals(min_value="0.000000000000000001", max_value=10**19, places=18)))
def test_sums_lose_nothing(amounts):
    expected = sum(int(_exact(amount).scaleb(18, _WIDE)) for amount in amounts)
    assert int(_exact(total_of(amounts)).scaleb(18, _WIDE)) == expected
    assert Decimal(plain(total_of(amounts))) == total_of(amounts)
    assert "E" not in plain(total_of(amounts))


_WIDE = Context(prec=300)


def _exact(amount):
    return _WIDE.create_decimal(amount)


def candidates(*amounts):
    return [
        Candidate(seq=seq, ref=StateRef(TX, seq), amount=Decimal(amount))
        for seq, amount in enumerate(amounts)
    ]


def test_tokens_are_taken_in_order_until_the_amount_is_reached():
    found = candidates(1, 2, 2, 2, 3)
    assert [t.seq for t in select_tokens(found, Decimal(5))] == [0, 1, 2]
    assert [t.seq for t in select_tokens(found, Decimal("5.01"))] == [0, 1, 2, 3]
    assert len(select_tokens(found, Decimal(10))) == 5
    assert select_tokens(found, Decimal("10.000000000000000001")) is None
    assert select_tokens([], Decimal(1)) is None


def test_a_claim_has_a_number_of_tokens_at_most():
    found = candidates(*[1] * (TOKENS_MAX + 1))
    assert len(select_tokens(found, Decimal(TOKENS_MAX))) == TOKENS_MAX
    with pytest.raises(ClaimTooLargeError):
        select_tokens(found, Decimal(TOKENS_MAX + 1))
    assert select_tokens(found[:-1], Decimal(TOKENS_MAX + 1)) is None
