from iso4217 import Currency


def check():
    assert Currency("CHF").number == 756
    assert Currency.eur.exponent == 2
    assert Currency("JPY").exponent == 0
