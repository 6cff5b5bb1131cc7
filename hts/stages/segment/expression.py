"""Object sets from other object sets: ``cytoplasm = cells - nuclei``."""

from __future__ import annotations

import ast
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hts.stages.segment import Images, Labels


class ExpressionParams(BaseModel):
    """Settings of ``method: expression``; in a recipe the expression alone is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["expression"] = "expression"
    expression: str = Field(description="'a - b': pixels of a outside b; 'a & b': pixels of a inside b")

    @field_validator("expression")
    @classmethod
    def _valid(cls, text: str) -> str:
        names(text)
        return text

    @property
    def roles(self) -> tuple[str, ...]:
        return ()

    @property
    def needs(self) -> tuple[str, ...]:
        return names(self.expression)


class ExpressionSegmenter:
    """Pixels of the first set, restricted by the others; objects keep the numbers of the first."""

    version = 1
    Params = ExpressionParams

    def segment(self, images: Images, labels: Labels, params: ExpressionParams) -> NDArray[np.int32]:
        """Label image (Y, X) int32; an object that loses all its pixels is simply absent."""
        return _evaluate(_parse(params.expression), labels)

    def working_bytes(self, params: ExpressionParams, shape: tuple[int, int]) -> int:
        # Each operator makes a mask (1 byte a pixel) and a label image (4).
        operators = sum(isinstance(node, ast.BinOp) for node in ast.walk(_parse(params.expression)))
        return 5 * operators * shape[0] * shape[1] + 4096


def names(expression: str) -> tuple[str, ...]:
    """Object sets an expression uses; ValueError when it is none of ours."""
    found: list[str] = []
    for node in ast.walk(_parse(expression)):
        if isinstance(node, ast.Name) and node.id not in found:
            found.append(node.id)
    return tuple(found)


def _parse(expression: str) -> ast.expr:
    message = f"{expression!r} is no expression over object sets; write for example 'cells - nuclei'"
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise ValueError(message) from error
    allowed = (ast.BinOp, ast.Name, ast.Sub, ast.BitAnd, ast.Load)
    if not isinstance(tree, ast.BinOp) or not all(isinstance(node, allowed) for node in ast.walk(tree)):
        raise ValueError(message)
    return tree


def _evaluate(node: ast.expr, labels: Labels) -> NDArray[np.int32]:
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, labels), _evaluate(node.right, labels)
        inside = right > 0 if isinstance(node.op, ast.BitAnd) else right == 0
        return np.where(inside, left, 0).astype(np.int32, copy=False)
    return labels[node.id] if isinstance(node, ast.Name) else np.zeros((0, 0), np.int32)
