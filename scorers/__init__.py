"""Pictures to scores: unary u [M] and pairwise b [M, M]. Knows torch and the model libraries, no sampler and no solver."""
