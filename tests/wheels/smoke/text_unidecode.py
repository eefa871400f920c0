from text_unidecode import unidecode


def check():
    assert unidecode("Zürich, Łódź") == "Zurich, Lodz"
