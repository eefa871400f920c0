from schwifty import BIC, IBAN


def check():
    iban = IBAN("DE89370400440532013000")
    assert iban.country_code == "DE"
    assert iban.bank_code == "37040044"
    assert iban.account_code == "0532013000"
    assert IBAN.generate("DE", bank_code="10010010", account_code="12345").is_valid
    assert BIC("DEUTDEFF").country_code == "DE"
