"""Long runs that are cut into shards: the folder that outlives an interruption, and workers on a Dask cluster."""
