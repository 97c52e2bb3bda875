"""A model bundle as the profiler sees it: verified files, and the FLOPs of each ONNX graph.

In: the folder that `pruning.run` wrote. Out: the list of models to measure, each with its cost. Start reading at
`subjects`, then `flops` (one table of operators). May import `profiling.profile`, `data.common` and the bundle's format
(`pruning.bundle`).
"""
