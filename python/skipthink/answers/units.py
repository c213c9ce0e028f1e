"""Units of answers, with exact factors to one base unit per dimension.

Units without a fixed size (months, years, tons, exchange rates of currencies) are left out and count as words.
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

_SCALE_WORDS = {
    100: "hundred hundreds 百 백",
    10**3: "k thousand thousands tausend mille mil 千 천",
    10**4: "万 萬 만",
    10**5: "lakh lakhs",
    10**6: "m mn million millions millionen millón millones milhão milhões",
    10**7: "crore crores",
    10**8: "亿 億 억",
    10**9: "b bn billion billions milliarde milliarden milliard milliards bilhão bilhões",
    10**12: "trillion trillions",
}
SCALES: dict[str, int] = {word: scale for scale, words in _SCALE_WORDS.items() for word in words.split()}
"""Word behind a number → what it multiplies by; of the long and the short scale only what English texts mean."""

_LATIN = sorted((word for word in SCALES if word < "\u0250" and len(word) > 2), key=len, reverse=True)
_OTHER = [word for word in SCALES if word >= "\u0250"]
SCALE_AFTER_NUMBER = re.compile(
    rf"\s?(?:(?:{'|'.join(_LATIN)})\b|(?:{'|'.join(_OTHER)})(?![克米瓦卡帕赫升]))",
    re.IGNORECASE,
)
"""A scale right behind a number; "5千克" are five kilograms, not five thousand."""
