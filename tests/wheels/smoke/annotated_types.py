from typing import Annotated, get_args

from annotated_types import Ge, Interval, Len


def check():
    Quantity = Annotated[int, Ge(1)]
    assert get_args(Quantity)[1].ge == 1
    assert list(Interval(gt=1, le=5)) != []
    assert Len(1, 3).max_length == 3
