"""The check digit of an ICCID."""


def luhn_is_right(number: str) -> bool:
    """Return whether the last digit of an ICCID is its Luhn check digit (ITU-T E.118).

    An ICCID with hex letters has none, so it is never wrong.
    """
    if not number.isdecimal():
        return True
    total = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
