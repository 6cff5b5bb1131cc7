"""The built-in feature families, one module each; found through the entry-point group ``hts.features``."""
