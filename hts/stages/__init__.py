"""The science of `hts`: arrays and tables in, arrays and tables out; no Dask, no Zarr, no paths."""
