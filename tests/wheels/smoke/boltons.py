from boltons.dictutils import OMD, FrozenDict, subdict
from boltons.mathutils import clamp
from boltons.setutils import IndexedSet
from boltons.strutils import camel2under, pluralize
from boltons.typeutils import make_sentinel


def check():
    assert OMD([("a", 1), ("a", 2)]).getlist("a") == [1, 2]
    assert subdict({"a": 1, "b": 2}, keep=["a"]) == {"a": 1}
    assert hash(FrozenDict({"a": 1})) == hash(FrozenDict({"a": 1}))
    assert list(IndexedSet([3, 1, 3, 2]))[0:2] == [3, 1]
    assert clamp(12, lower=0, upper=10) == 10
    assert camel2under("SettlementDate") == "settlement_date"
    assert pluralize("leg") == "legs"
    assert not make_sentinel("none")
