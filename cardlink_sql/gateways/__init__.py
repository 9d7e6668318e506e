"""The gateways: one class a table, one SQL file a gateway, one query a method."""

from cardlink_sql.gateways.cards import CardGateway
from cardlink_sql.gateways.devices import DeviceGateway
from cardlink_sql.gateways.exchange import ExchangeGateway
from cardlink_sql.gateways.logs import LogGateway
from cardlink_sql.gateways.server import ServerGateway
from cardlink_sql.gateways.sessions import SessionGateway
from cardlink_sql.gateways.settings import SettingGateway
from cardlink_sql.gateways.statistics import StatisticsGateway
from cardlink_sql.gateways.tests import TestGateway
from cardlink_sql.outbox.gateway import OutboxGateway

__all__ = [
    "CardGateway",
    "DeviceGateway",
    "ExchangeGateway",
    "LogGateway",
    "OutboxGateway",
    "ServerGateway",
    "SessionGateway",
    "SettingGateway",
    "StatisticsGateway",
    "TestGateway",
]
