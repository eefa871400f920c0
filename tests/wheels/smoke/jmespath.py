import jmespath


def check():
    book = {"trades": [{"id": "a", "amount": 5}, {"id": "b", "amount": 50}]}
    assert jmespath.search("trades[?amount > `10`].id", book) == ["b"]
    assert jmespath.compile("sum(trades[].amount)").search(book) == 55
