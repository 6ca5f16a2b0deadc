import re
from decimal import Decimal

from pricing.pricelist import price_list


def test_the_list_names_every_break():
    header = price_list({"tea": Decimal("4.20")}).splitlines()[0]
    assert re.split(r"\s{2,}", header) == ["article", "1 piece", "from 10", "from 50", "from 100"]


def test_the_list_shows_the_unit_price_at_every_break():
    rows = price_list({"tea": Decimal("4.20"), "jug": Decimal("60.00")}).splitlines()[1:]
    assert [row.split() for row in rows] == [
        ["jug", "60.00", "57.00", "54.00", "51.00"],
        ["tea", "4.20", "3.99", "3.78", "3.57"],
    ]
