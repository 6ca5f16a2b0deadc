from decimal import Decimal

from pricing.money import share, to_cents


def test_half_a_cent_goes_up():
    assert to_cents(Decimal("2.345")) == Decimal("2.35")
    assert to_cents(Decimal("2.344")) == Decimal("2.34")


def test_a_share_is_rounded_to_cents():
    assert share(Decimal("9.99"), 5) == Decimal("0.50")
