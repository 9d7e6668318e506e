"""Parameters and results of the gateways: plain dataclasses, one file an entity.

A record does not depend on the database. Times are aware and UTC; durations and latencies are
milliseconds; binary data of the card (ATR, APDU) is upper-case hex text.
"""
