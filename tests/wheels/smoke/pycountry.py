import pycountry


def check():
    assert pycountry.countries.get(alpha_2="CH").alpha_3 == "CHE"
    assert pycountry.currencies.get(alpha_3="EUR").name == "Euro"
