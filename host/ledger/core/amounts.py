"""Amounts of tokens: decimal texts that add up without rounding. Pure."""

import re
from collections.abc import Iterable
from decimal import Context, Decimal

DIGITS_MAX = 38
SCALE_MAX = 18
_AMOUNT = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EXACT = Context(prec=200)
"""Of sums: 10^120 amounts of 38 digits have fewer digits."""


class AmountInvalidError(ValueError):
    """A text is no positive amount of at most 38 digits, 18 of them behind the point."""


def amount_of(text: str) -> Decimal:
    """The amount that a text says.

    Raises:
        AmountInvalidError: it says none.
    """
    match = _AMOUNT.fullmatch(text) if len(text) <= 2 * DIGITS_MAX else None
    if match is None:
        raise AmountInvalidError(
            f"expected an amount such as '12.50', without sign and exponent, found {text[:80]!r}"
        )
    amount = Decimal(text)
    whole, _, behind = text.partition(".")
    scale = len(behind.rstrip("0"))
    if len(whole.lstrip("0")) + scale > DIGITS_MAX or scale > SCALE_MAX:
        raise AmountInvalidError(
            f"an amount has at most {DIGITS_MAX} digits, {SCALE_MAX} of them behind the point"
        )
    if not amount:
        raise AmountInvalidError("an amount is more than 0")
    return amount


def amount_text(text: str) -> str:
    """An amount as it is stored: without leading and trailing zeros.

    Raises:
        AmountInvalidError: it is none.
    """
    return plain(amount_of(text))


def plain(amount: Decimal) -> str:
    """An amount or a sum in digits, without an exponent."""
    text = format(amount.normalize(_EXACT), "f")
    return "0" if not amount else text


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, with all digits."""
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total
