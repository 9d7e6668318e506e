"""Prose is plain English: turns that read translated stay out of the repository."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

# The turn, and the pattern that finds it. What stands in code spans and blocks is not prose.
TURNS: Final = {
    "clause as the subject": r"(?:^|[.:;] )Wh(?:at|o|oever) (?!(?:is|are) the |to )[^.?]{3,}[^?]$",
    "tell, told": r"\b(?:tells?|told|telling)\b",
    "gives": r"\bgives?\b",
    "is no": r"(?<!there )\b(?:is|are) no (?!longer|more|matter)[a-z]",
    "behind": r"\bbehind\b",
    "stands": r"\bstands?\b",
    "alone": r"\w alone\b",
    "beside": r"\bbesides?\b",
    "of its own": r"\bof (?:its|their|his|your) own\b(?! [a-z])",
    "anew": r"\banew\b",
    "lets off": r"\blets? (?:\w+ )?off\b",
    "in the way": r"\bin the way\b",
}
FOUND: Final = {turn: re.compile(pattern, re.MULTILINE) for turn, pattern in TURNS.items()}
# How many are left. It only falls.
ALLOWED: Final = 0

CODE: Final = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)


def comments_of(file: Path, marker: str) -> Iterator[str]:
    """The comments of a file whose comments reach to the end of the line."""
    for line in file.read_text("utf-8").splitlines():
        before, found, comment = line.partition(marker)
        if found and not before.strip():
            yield comment


def blocks_of_comments(text: str) -> Iterator[str]:
    """The comments of Python, those of neighbouring lines as one text."""
    last, block = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != last + 1:
                yield " ".join(block)
                block = []
            block.append(token.string.lstrip("# "))
            last = token.start[0]
    yield " ".join(block)


def prose_of(file: Path) -> Iterator[str]:
    """The prose of a file: Markdown, comments, docstrings, messages."""
    text = file.read_text("utf-8")
    if file.suffix == ".md":
        yield text
    elif file.suffix == ".py":
        yield from blocks_of_comments(text)
        for node in ast.walk(ast.parse(text)):
            # One word is a name or a key.
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield node.value
    else:
        yield from comments_of(file, "--" if file.suffix == ".sql" else "#")


def files() -> list[Path]:
    """The files whose prose people read; a migration that was applied does not change."""
    package = [*(ROOT / "cardlink_sql").rglob("*.py"), *(ROOT / "cardlink_sql").rglob("*.md")]
    scripts = [
        file
        for file in (ROOT / "scripts").iterdir()
        if file.is_file() and file.suffix in {"", ".py", ".sh"}
    ]
    queries = (ROOT / "sql").rglob("*.sql")
    return sorted([ROOT / "README.md", *package, *scripts, *queries])


def turns_of(file: Path) -> Iterator[tuple[str, str]]:
    """Each turn in a file, with the words around it."""
    for prose in prose_of(file):
        plain = CODE.sub("``", prose)
        for turn, pattern in FOUND.items():
            for match in pattern.finditer(plain):
                around = plain[max(match.start() - 30, 0) : match.end() + 20]
                yield turn, " ".join(around.split())


def test_no_turn_comes_back() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {turn}: {around}"
        for file in files()
        for turn, around in turns_of(file)
    ]
    assert len(found) <= ALLOWED, "\n".join(found)


def public_functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a module and the methods of its classes that others may call."""
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "_")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and name[0] != "_":
            yield child
        elif isinstance(child, ast.ClassDef) and name[0] != "_":
            yield from public_functions(child)


def test_the_docstring_of_a_public_function_begins_with_a_verb() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {function.name}: {said}"
        for file in (ROOT / "cardlink_sql").rglob("*.py")
        for function in public_functions(ast.parse(file.read_text("utf-8")))
        if (said := ast.get_docstring(function))
        and re.match(r"(The|An?|Whether|How|What|Where|Every|Each|Its)\b", said)
    ]
    assert found == []
