"""The components of CardLink that are installed with the layer."""

from importlib.metadata import entry_points
from typing import Final

GROUP: Final = "cardlink_sql.settings"


def load_components() -> None:
    """Import each module of the entry points ``cardlink_sql.settings``, which declare settings.

    Without it the command line would not know which stored values are secrets.
    """
    for component in entry_points(group=GROUP):
        component.load()
