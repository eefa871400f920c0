from jsonpath_ng import parse
from jsonpath_ng.ext import parse as parse_extended


def check():
    book = {"trades": [{"id": "a", "amount": 5}, {"id": "b", "amount": 50}]}
    assert [found.value for found in parse("$.trades[*].id").find(book)] == ["a", "b"]
    assert str(parse("$..amount").find(book)[1].full_path) == "trades.[1].amount"
    assert [m.value["id"] for m in parse_extended("$.trades[?(@.amount > 10)]").find(book)] == ["b"]
