from pyrsistent import PClass, field, freeze, m, pmap, pvector, s, thaw


def check():
    first = pvector([1, 2])
    assert first.append(3) == pvector([1, 2, 3])
    assert first == pvector([1, 2])
    state = freeze({"legs": [{"amount": 1}]})
    changed = state.transform(["legs", 0, "amount"], 5)
    assert thaw(changed) == {"legs": [{"amount": 5}]}
    assert thaw(state) == {"legs": [{"amount": 1}]}

    class Amount(PClass):
        value = field(type=int, invariant=lambda value: (value >= 0, "negative"))

    assert Amount(value=1).set(value=2).value == 2
    assert m(a=1).set("b", 2) == pmap({"a": 1, "b": 2})
    assert len(s(1, 1)) == 1
