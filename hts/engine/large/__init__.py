"""Fields too large for one task: cut into blocks, each a Dask task that reads its pixels with a halo from the store.

A field goes through four steps. Every block is segmented (:func:`hts.engine.large.blocks.segment_block`) and leaves
its labels and border records in the results folder; one task decides which objects stand (``resolve_field``); every
block writes the label files that it owns and measures the objects that it stands for (``measure_block``); the task of
the well puts tables and small pyramid levels together (:mod:`hts.engine.large.gather`). Through Dask goes only whether
a step succeeded, and each step that has left its file is not done again, whatever ended the run.
"""
