"""Profiles: cells become wells, wells meet the plate layout, controls say what is normal and how good the assay is."""

from hts.stages.profile.aggregate import aggregate_cells, profile_columns
from hts.stages.profile.params import ProfileParams, ProfileStage
from hts.stages.profile.plate import PlateProfile, control_kinds, profile_plate

__all__ = [
    "PlateProfile",
    "ProfileParams",
    "ProfileStage",
    "aggregate_cells",
    "control_kinds",
    "profile_columns",
    "profile_plate",
]
