from simpleeval import EvalWithCompoundTypes, NameNotDefined, simple_eval


def check():
    assert simple_eval("notional * rate / 100", names={"notional": 2000, "rate": 5}) == 100
    assert EvalWithCompoundTypes(functions={"most": max}).eval("most([1, 3, 2])") == 3
    try:
        simple_eval("__import__('os')")
    except Exception as refused:  # noqa: BLE001  # looked at below
        assert type(refused).__name__ in {  # noqa: PT017  # no pytest in a sandbox
            "FunctionNotDefined",
            "FeatureNotAvailable",
            "NameNotDefined",
        }
    else:
        raise AssertionError("a forbidden function was called")
    assert issubclass(NameNotDefined, Exception)
