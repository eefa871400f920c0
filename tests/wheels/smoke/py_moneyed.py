from moneyed import CHF, EUR, Money, get_currency


def check():
    price = Money("10.50", EUR)
    assert price + Money("1.25", EUR) == Money("11.75", EUR)
    assert price * 2 == Money(21, EUR)
    assert get_currency("CHF") == CHF
    assert get_currency(iso="756") == CHF
    try:
        price + Money(1, CHF)
    except TypeError:
        pass
    else:
        raise AssertionError("two currencies were added")
