"""JUnit XML: test results written as a report, and the reports of other tools read."""

from cardlink_sql.junit.reading import read_report
from cardlink_sql.junit.report import Report
from cardlink_sql.junit.writing import report_of

__all__ = ["Report", "read_report", "report_of"]
