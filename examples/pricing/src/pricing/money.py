"""Amounts in whole cents."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


def to_cents(amount: Decimal) -> Decimal:
    """Round to whole cents; half a cent goes up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def share(amount: Decimal, percent: int) -> Decimal:
    """So many percent of an amount."""
    return to_cents(amount * percent / 100)
