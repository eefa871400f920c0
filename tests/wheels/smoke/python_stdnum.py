from stdnum import bic, cusip, figi, iban, imo, isin, lei, luhn
from stdnum.ch import vat as swiss_vat
from stdnum.exceptions import InvalidChecksum
from stdnum.gb import sedol


def check():
    assert isin.validate("US0378331005") == "US0378331005"
    assert isin.from_natid("US", "037833100") == "US0378331005"
    assert lei.validate("213800KUD8LAJWSQ9D15")
    assert bic.is_valid("DEUTDEFF")
    assert cusip.is_valid("037833100")
    assert figi.is_valid("BBG000BLNQ16")
    assert sedol.is_valid("B15KXQ8")
    assert luhn.is_valid("78949")
    assert iban.validate("DE89 3704 0044 0532 0130 00") == "DE89370400440532013000"
    assert swiss_vat.is_valid("CHE-107.787.577 IVA")
    assert imo.is_valid("IMO 9319466")
    try:
        isin.validate("US0378331004")
    except InvalidChecksum:
        pass
    else:
        raise AssertionError("a wrong ISIN was taken")
