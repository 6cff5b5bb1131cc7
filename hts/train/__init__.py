"""Making models: networks are trained here, and used in :mod:`hts.stages`."""
