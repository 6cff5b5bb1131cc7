"""Scores against ground truth.

>>> import numpy as np
>>> from hts.evaluate import score_objects
>>> truth = np.zeros((8, 8), np.int32)
>>> truth[1:4, 1:4], truth[5:8, 5:8] = 1, 2
>>> prediction = np.where(truth == 1, truth, 0)
>>> scores = score_objects(truth, prediction)
>>> scores.hits[0]
Hits(tp=1, fp=0, fn=1)
>>> round(scores.f1, 3), scores.missed
(0.667, 1)
"""

from hts.evaluate.evaluation import Evaluation, ImageScores, evaluate_objects
from hts.evaluate.output import save_evaluation
from hts.evaluate.scores import IOU_THRESHOLDS, Hits, ObjectScores, Partition, pool, score_objects

__all__ = [
    "IOU_THRESHOLDS",
    "Evaluation",
    "Hits",
    "ImageScores",
    "ObjectScores",
    "Partition",
    "evaluate_objects",
    "pool",
    "save_evaluation",
    "score_objects",
]
