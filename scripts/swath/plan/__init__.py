"""The plan: config and scenes become trials, keys and shards. Pure, fast, free of torch and Raster Vision."""
