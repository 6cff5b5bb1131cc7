"""Expressions over columns, as people write them in recipes."""

from __future__ import annotations

import ast
import tokenize

QUERY_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
"""What pandas raises for text that is no expression over its columns."""


def expression_names(expression: str) -> tuple[str, ...]:
    """Names used in an expression over columns; ValueError when it is none."""
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is not an expression over columns: {error.msg}") from error
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = (node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in calls)
    return tuple(dict.fromkeys(found))
