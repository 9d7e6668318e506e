"""The report: static HTML of every query and the schema, for a browser or a printer.

``facts`` gathers what the pages say, ``comparison`` finds where the forms of a query differ,
``layout`` places the entity diagram, ``templates/`` holds the HTML and its style, ``pages`` renders
it and ``folder`` writes the files. The pages run no scripts and load nothing from elsewhere.
"""

from cardlink_sql.review.report.facts import gather
from cardlink_sql.review.report.folder import INDEX, check_folder, write_folder
from cardlink_sql.review.report.pages import render

__all__ = ["INDEX", "check_folder", "gather", "render", "write_folder"]
