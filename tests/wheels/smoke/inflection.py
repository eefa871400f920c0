import inflection


def check():
    assert inflection.underscore("SettlementDate") == "settlement_date"
    assert inflection.camelize("settlement_date", False) == "settlementDate"
    assert inflection.pluralize("currency") == "currencies"
    assert inflection.singularize("legs") == "leg"
