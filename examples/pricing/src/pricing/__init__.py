"""Volume prices and baskets of a small shop."""

from pricing.basket import Line, line_total, total
from pricing.pricelist import price_list
from pricing.volume import STANDARD_BREAKS, Break, percent_off

__all__ = ["STANDARD_BREAKS", "Break", "Line", "line_total", "percent_off", "price_list", "total"]
