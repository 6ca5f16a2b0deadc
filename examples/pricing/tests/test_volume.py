import pytest

from pricing.volume import Break, percent_off


def test_small_quantities_earn_nothing():
    assert percent_off(1) == 0
    assert percent_off(9) == 0


def test_the_highest_break_that_is_reached_counts():
    assert percent_off(11) == 5
    assert percent_off(49) == 5
    assert percent_off(60) == 10
    assert percent_off(99) == 10
    assert percent_off(250) == 15


def test_breaks_may_come_in_any_order():
    assert percent_off(30, [Break(20, 8), Break(5, 2)]) == 8


@pytest.mark.parametrize("quantity", [0, -3])
def test_there_is_no_empty_order(quantity):
    with pytest.raises(ValueError, match="at least 1"):
        percent_off(quantity)


def test_a_break_applies_from_its_own_quantity_on():
    assert percent_off(10) == 5
    assert percent_off(50) == 10
    assert percent_off(100) == 15
