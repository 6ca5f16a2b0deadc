"""A shop whose limit is wrong, and tests that do not tell a right limit from others."""

from __future__ import annotations

RATE = "tests/test_rate.py::test_many"
SHOP = """
    LIMIT = 10


    def rate(count):
        if count > LIMIT + 5:
            return 5
        return 0
    """
WEAK = """
    from shop import rate


    def test_many():
        assert rate(14) == 5


    def test_few():
        assert rate(6) == 0
    """
