from wcwidth import wcswidth, wcwidth


def check():
    assert wcwidth("漢") == 2
    assert wcwidth("a") == 1
    assert wcswidth("コンニチハ") == 10
    assert wcswidth("e\u0301") == 1
