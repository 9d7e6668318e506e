"""The colours of statuses."""

from typing import Final

from cardlink_sql.model.choices import SessionStatus, TestStatus

# In the order in which they are counted.
SESSION_STYLES: Final = {
    SessionStatus.COMPLETED: "green",
    SessionStatus.FAILED: "red",
    SessionStatus.TIMEOUT: "yellow",
    SessionStatus.ACTIVE: "cyan",
    SessionStatus.PENDING: "",
}
TEST_STYLES: Final = {
    TestStatus.PASSED: "green",
    TestStatus.FAILED: "red",
    TestStatus.ERROR: "bold red",
    TestStatus.SKIPPED: "yellow",
}
