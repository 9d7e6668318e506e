"""Findings of a review, printed for people, code hosts and programs."""

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from cardlink_sql.cli.shared.json_output import print_json
from cardlink_sql.cli.shared.output import output
from cardlink_sql.review.findings import Finding


class Format(StrEnum):
    """A form of the findings that code hosts read."""

    SARIF = "sarif"
    GITHUB = "github"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="For a code host: SARIF 2.1.0, or the lines that GitHub annotates.",
    ),
]

_PLACE: Final = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+)(?::(?P<column>\d+))?)?")


def print_findings(
    findings: Sequence[Finding],
    conclusion: str,
    form: Format | None,
    document: Any = None,
) -> None:
    """Print findings.

    Args:
        findings: in order.
        conclusion: a sentence for people.
        form: for a code host.
        document: the JSON to print instead; None for people.
    """
    if form is Format.SARIF:
        print_json(_sarif(findings))
    elif form is Format.GITHUB:
        for line in map(_annotation, findings):
            typer.echo(line)
    elif document is not None:
        print_json(document)
    else:
        print_faults(findings)
        output.print(conclusion)


def print_faults(faults: Sequence[Finding]) -> None:
    """Print each fault, and below it what to do."""
    for fault in faults:
        output.print(f"{fault}")
        output.print(f"  {fault.check}: {fault.remedy}")


def _sarif(findings: Sequence[Finding]) -> dict[str, Any]:
    from importlib import metadata  # its import takes long

    rules = sorted({one.check for one in findings})
    driver = {
        "name": "cardlink-db",
        "version": metadata.version("cardlink-sql"),
        "rules": [{"id": rule} for rule in rules],
    }
    results = [
        {
            "ruleId": one.check,
            "ruleIndex": rules.index(one.check),
            "level": "error",
            "message": {"text": _message(one)},
            "locations": [{"physicalLocation": dict(_location(one.where))}],
        }
        for one in findings
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _location(where: str) -> Iterator[tuple[str, Any]]:
    place = _place(where)
    yield "artifactLocation", {"uri": place["file"], "uriBaseId": "%SRCROOT%"}
    region = {
        f"start{part.title()}": int(place[part]) for part in ("line", "column") if place[part]
    }
    if region:
        yield "region", region


def _annotation(one: Finding) -> str:
    place = _place(one.where)
    parts = {"file": place["file"], "line": place["line"], "col": place["column"]}
    given = ",".join(f"{name}={_escaped(text, ':,')}" for name, text in parts.items() if text)
    return f"::error {given},title={one.check}::{_escaped(_message(one))}"


def _escaped(text: str, also: str = "") -> str:
    for character in f"%\r\n{also}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _message(one: Finding) -> str:
    of = " ".join(filter(None, (one.query, one.dialect and f"({one.dialect})")))
    return f"{of}: {one.what}; {one.remedy}".removeprefix(": ")


def _place(where: str) -> dict[str, str]:
    found = _PLACE.fullmatch(where)
    return found.groupdict("") if found else {"file": where, "line": "", "column": ""}
