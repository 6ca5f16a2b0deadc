"""The price list as a table."""

from collections.abc import Mapping
from decimal import Decimal

from tabulate import tabulate

from pricing.money import share
from pricing.volume import STANDARD_BREAKS


def price_list(unit_prices: Mapping[str, Decimal]) -> str:
    """One row for each article, with its unit price at every break."""
    headers = ["article", "1 piece", *(f"from {step.minimum}" for step in STANDARD_BREAKS)]
    rows = [
        [article, f"{price:.2f}", *(f"{price - share(price, step.percent):.2f}" for step in STANDARD_BREAKS)]
        for article, price in sorted(unit_prices.items())
    ]
    return tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True)
