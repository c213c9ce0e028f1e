"""Units that answers come in, with exact factors to one unit a dimension.

Units of no fixed size (months, years, tons, currencies against each other) are left out: they count as words.
Volumes are those of the United States.
"""

from __future__ import annotations

import re
from fractions import Fraction

_TABLE: dict[str, dict[str, str]] = {
    "length": {
        "m meter meters metre metres": "1",
        "km kilometer kilometers kilometre kilometres": "1000",
        "cm centimeter centimeters centimetre centimetres": "0.01",
        "mm millimeter millimeters millimetre millimetres": "0.001",
        "inch inches": "0.0254",
        "ft foot feet": "0.3048",
        "yd yard yards": "0.9144",
        "mi mile miles": "1609.344",
    },
    "mass": {
        "kg kilogram kilograms": "1",
        "g gram grams": "0.001",
        "mg milligram milligrams": "0.000001",
        "lb lbs pound pounds": "0.45359237",
        "oz ounce ounces": "0.028349523125",
    },
    "time": {
        "s sec secs second seconds": "1",
        "min mins minute minutes": "60",
        "h hr hrs hour hours": "3600",
        "day days": "86400",
        "week weeks": "604800",
    },
    "volume": {
        "l liter liters litre litres": "1",
        "ml milliliter milliliters millilitre millilitres": "0.001",
        "gallon gallons": "3.785411784",
        "quart quarts": "0.946352946",
        "pint pints": "0.473176473",
        "cup cups": "0.2365882365",
    },
    "dollars": {"$ dollar dollars": "1", "¢ cent cents": "0.01"},
    "euros": {"€ euro euros": "1"},
    "pounds sterling": {"£": "1"},
    "yen": {"¥ yen": "1"},
    "rupees": {"₹ rupee rupees": "1"},
}

UNITS: dict[str, tuple[str, Fraction]] = {
    name: (dimension, Fraction(factor))
    for dimension, units in _TABLE.items()
    for names, factor in units.items()
    for name in names.split()
}
"""Name of a unit → its dimension and its size in the dimension's first unit."""

UNIT_AFTER_NUMBER = re.compile(
    r"[\s-]?\s?(" + "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True)) + r")(?![A-Za-z0-9²³^/])"
)
"""A unit right behind a number; case counts ("M" is no metre), and squares, cubes and rates are no unit of here."""
