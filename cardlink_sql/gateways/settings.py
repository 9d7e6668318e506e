"""Settings: ``sql/*/settings.sql``."""

from cardlink_sql.gateways.base import Gateway
from cardlink_sql.records import Setting
from cardlink_sql.tables import settings


class SettingGateway(Gateway[Setting]):
    """The settings, ordered by key where nothing else is said."""

    __slots__ = ()
    name = "settings"
    table = settings
    record = Setting
    key = "key"
    default_order = "key"
