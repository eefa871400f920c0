import ply.lex as lex
import ply.yacc as yacc


def check():
    class Formula:
        tokens = ("NUMBER", "PLUS")
        t_PLUS = r"\+"
        t_ignore = " "

        def t_NUMBER(self, found):
            r"[0-9]+"
            found.value = int(found.value)
            return found

        def t_error(self, found):
            raise ValueError(found.value)

        def p_sum(self, p):
            """sum : sum PLUS NUMBER"""
            p[0] = p[1] + p[3]

        def p_number(self, p):
            """sum : NUMBER"""
            p[0] = p[1]

        def p_error(self, found):
            raise ValueError("no formula")

    formula = Formula()
    lexer = lex.lex(module=formula)
    parser = yacc.yacc(module=formula, write_tables=False, debug=False, errorlog=yacc.NullLogger())
    assert parser.parse("1 + 20 + 300", lexer=lexer) == 321
