from glom import Coalesce, PathAccessError, T, assign, glom


def check():
    book = {"trades": [{"leg": {"amount": 5}}, {"leg": {}}]}
    assert glom(book, ("trades", [Coalesce("leg.amount", default=0)])) == [5, 0]
    assert glom(book, {"first": T["trades"][0]["leg"]["amount"]}) == {"first": 5}
    assert assign({"a": {}}, "a.b", 1) == {"a": {"b": 1}}
    try:
        glom(book, "trades.1.leg.amount")
    except PathAccessError as refused:
        assert refused.part_idx == 3  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a missing value was found")
