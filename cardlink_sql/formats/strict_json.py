"""Strict JSON: no duplicate fields, no NaN, no numbers that Python cannot read."""

import json
import reprlib
from typing import Any, Final

from cardlink_sql.errors import ValidationError


def load_json(text: str, where: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValidationError: it is not JSON, an object has a field twice, or it is nested too deeply.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}"
        if "\n" in text.rstrip("\n"):
            place = f"line {error.lineno}, {place}"
        raise ValidationError(f"not valid JSON: {error.msg} at {place}", where) from None
    except RecursionError:
        raise ValidationError("the JSON is nested too deeply", where) from None
    except ValidationError as error:
        raise ValidationError(error.what, where) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ValidationError("not valid JSON: a number of so many digits", where) from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValidationError(f"the field {reprlib.repr(twice)} appears twice in an object")
    return fields


def _refuse_constant(name: str) -> Any:
    raise ValidationError(f"{name} is not a JSON number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_refuse_constant)
