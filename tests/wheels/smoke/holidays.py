from datetime import date

import holidays


def check():
    swiss = holidays.country_holidays("CH", subdiv="ZH", years=2026)
    assert date(2026, 8, 1) in swiss
    assert date(2026, 8, 3) not in swiss
    exchange = holidays.financial_holidays("NYSE", years=2026)
    assert date(2026, 12, 25) in exchange
