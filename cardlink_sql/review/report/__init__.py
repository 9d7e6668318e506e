"""The report: static HTML of every query and the schema, for a browser or a printer.

``facts`` gathers what is told, ``comparison`` finds where the forms of a query differ, ``layout``
places the entity diagram that ``diagram`` draws; a module a page puts these into the tree that
``elements`` writes as HTML, and ``folder`` puts the files where they belong. No scripts, nothing
from elsewhere.
"""

from importlib.resources import files

from cardlink_sql.model.tables import metadata
from cardlink_sql.review.report.facts import Facts, gather
from cardlink_sql.review.report.folder import check_folder, write_folder
from cardlink_sql.review.report.gateway_page import render_gateway
from cardlink_sql.review.report.index_page import render_index
from cardlink_sql.review.report.matrix_page import render_matrix
from cardlink_sql.review.report.places import INDEX, MATRIX, STYLE, gateway_file, table_file
from cardlink_sql.review.report.table_page import render_table

__all__ = ["INDEX", "check_folder", "gather", "render", "write_folder"]


def render(facts: Facts) -> dict[str, str]:
    """The files of the report: the same facts give the same text."""
    return {
        INDEX: render_index(facts),
        MATRIX: render_matrix(facts),
        **{gateway_file(one.name): render_gateway(facts, one) for one in facts.gateways},
        **{table_file(of.name): render_table(facts, of) for of in metadata.tables.values()},
        STYLE: files("cardlink_sql.review.report").joinpath(STYLE).read_text("utf-8"),
    }
