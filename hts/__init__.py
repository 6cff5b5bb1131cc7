"""`hts`: from a folder of microscope images to per-well profiles."""

__version__ = "0.1.0"
