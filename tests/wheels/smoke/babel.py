from decimal import Decimal

from babel.numbers import format_currency, format_decimal, parse_decimal


def check():
    assert format_currency(Decimal("1234.5"), "EUR", locale="de_DE") == "1.234,50\xa0€"
    assert format_decimal(1234567, locale="en_US") == "1,234,567"
    assert parse_decimal("1.234,5", locale="de") == Decimal("1234.5")
