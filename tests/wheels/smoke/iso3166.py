import iso3166


def check():
    assert iso3166.countries.get("ch").alpha3 == "CHE"
    assert iso3166.countries.get(756).alpha2 == "CH"
    assert iso3166.countries.get("Switzerland").numeric == "756"
    assert "XX" not in iso3166.countries
