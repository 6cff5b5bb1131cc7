"""Training of a Cellpose network on random scenes: what ``hts train cellpose`` runs.

The networks that the package ships, ``builtin:nuclei`` and ``builtin:cells``, were made by it; their recipes lie
beside this file, their logs beside the weights.
"""

from __future__ import annotations

from hts.train.cellpose.make import MadeModel, make_model
from hts.train.cellpose.settings import TrainingRecipe, load_training_recipe, parse_settings

__all__ = ["MadeModel", "TrainingRecipe", "load_training_recipe", "make_model", "parse_settings"]
