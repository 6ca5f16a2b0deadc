from decimal import Decimal

from pricing.basket import Line, line_total, total


def test_a_few_pieces_cost_their_price():
    assert line_total(Line("tea", Decimal("4.20"), 3)) == Decimal("12.60")


def test_a_volume_discount_is_taken_off_the_line():
    assert line_total(Line("tea", Decimal("4.20"), 12)) == Decimal("47.88")


def test_a_coupon_comes_after_the_volume_discount():
    lines = [Line("tea", Decimal("4.20"), 12), Line("jug", Decimal("60.00"), 1)]
    assert total(lines, coupon_percent=10) == Decimal("97.09")


def test_shipping_is_charged_below_the_limit():
    assert total([Line("tea", Decimal("4.20"), 3)]) == Decimal("17.50")


def test_shipping_is_free_from_the_limit_on():
    assert total([Line("jug", Decimal("75.00"), 1)]) == Decimal("75.00")


def test_an_empty_basket_costs_nothing():
    assert total([]) == Decimal("0.00")
