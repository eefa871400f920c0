import validators


def check():
    assert validators.iban("DE89370400440532013000") is True
    assert not validators.iban("DE00370400440532013000")
    assert validators.email("desk@bank.example")
    assert not validators.email("desk@")
    assert validators.card_number("4242424242424242")
    assert not validators.uuid("no")
    assert validators.isin("US0378331005")
    assert validators.url("https://bank.example/a?b=c")
