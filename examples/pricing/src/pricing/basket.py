"""What a customer pays."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.money import share, to_cents
from pricing.volume import percent_off

FREE_SHIPPING_FROM = Decimal("75.00")
SHIPPING = Decimal("4.90")


@dataclass(frozen=True)
class Line:
    """So many pieces of one article."""

    article: str
    unit_price: Decimal
    quantity: int


def line_total(line: Line) -> Decimal:
    """The price of one line, volume discount taken off."""
    gross = to_cents(line.unit_price * line.quantity)
    return gross - share(gross, percent_off(line.quantity))


def total(lines: Sequence[Line], coupon_percent: int = 0) -> Decimal:
    """The price of a basket: its lines, less the coupon, plus shipping."""
    if not lines:
        return Decimal("0.00")
    goods = sum((line_total(line) for line in lines), Decimal("0.00"))
    goods -= share(goods, coupon_percent)
    return goods if goods >= FREE_SHIPPING_FROM else goods + SHIPPING
