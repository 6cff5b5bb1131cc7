"""What is wrong with anybody's OME-Zarr plate or image, in plain words.

The rules are those of OME-Zarr 0.4 and 0.5 (https://ngff.openmicroscopy.org). :func:`validate` looks at what is on
disk; the ``check_`` functions are pure and look at one document's attributes.
"""

from hts.store.validate.findings import Finding, Validation
from hts.store.validate.image import check_image
from hts.store.validate.label import check_label, check_labels
from hts.store.validate.plate import check_plate, check_well
from hts.store.validate.walk import validate

__all__ = [
    "Finding",
    "Validation",
    "check_image",
    "check_label",
    "check_labels",
    "check_plate",
    "check_well",
    "validate",
]
