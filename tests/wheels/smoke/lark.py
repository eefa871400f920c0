from lark import Lark, Transformer, UnexpectedInput, v_args


def check():
    GRAMMAR = """
        ?sum: product | sum "+" product -> add
        ?product: atom | product "*" atom -> mul
        ?atom: NUMBER -> number | "(" sum ")"
        %import common.NUMBER
        %import common.WS
        %ignore WS
    """

    @v_args(inline=True)
    class Sum(Transformer):
        number = int

        def add(self, left, right):
            return left + right

        def mul(self, left, right):
            return left * right

    parser = Lark(GRAMMAR, start="sum", parser="lalr", transformer=Sum())
    assert parser.parse("2 * (3 + 4)") == 14
    assert Lark(GRAMMAR, start="sum").parse("1+2*3").data == "add"
    try:
        parser.parse("2 *")
    except UnexpectedInput as refused:
        assert refused.line in (1, -1)  # noqa: PT017  # no pytest in a sandbox
    else:
        raise AssertionError("half a formula was taken")
