import pyparsing as pp


def check():
    number = pp.Word(pp.nums).set_parse_action(lambda found: int(found[0]))
    condition = pp.Word(pp.alphas)("name") + pp.one_of("< > =")("op") + number("limit")
    found = condition.parse_string("price < 100")
    assert (found["name"], found["op"], found["limit"]) == ("price", "<", 100)
    formula = pp.infix_notation(number, [("*", 2, pp.OpAssoc.LEFT), ("+", 2, pp.OpAssoc.LEFT)])
    assert formula.parse_string("1+2*3").as_list() == [[1, "+", [2, "*", 3]]]
    try:
        condition.parse_string("price ? 1")
    except pp.ParseException as refused:
        assert refused.col == 7  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("a wrong condition was taken")
