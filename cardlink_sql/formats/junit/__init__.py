"""JUnit XML: test results written as a report, and the reports of other tools read."""

from cardlink_sql.formats.junit.reading import read_report
from cardlink_sql.formats.junit.report import Report
from cardlink_sql.formats.junit.writing import report_of

__all__ = ["Report", "read_report", "report_of"]
