from frozendict import deepfreeze, frozendict


def check():
    state = frozendict(amount=1)
    assert state.set("amount", 2) == {"amount": 2}
    assert state["amount"] == 1
    assert hash(state) == hash(frozendict(amount=1))
    assert deepfreeze({"a": [1]})["a"] == (1,)
    try:
        state["amount"] = 3
    except TypeError:
        pass
    else:
        raise AssertionError("a frozen dictionary was changed")
