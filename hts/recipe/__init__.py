"""Recipes: what the user asks for, as typed sections in YAML, with a fingerprint for every stage."""

from hts.recipe.fingerprint import fingerprint
from hts.recipe.load import builtin_names
from hts.recipe.model import Recipe

__all__ = ["Recipe", "builtin_names", "fingerprint"]
