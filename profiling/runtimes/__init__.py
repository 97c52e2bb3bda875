"""The runtimes that execute a model, behind one interface: onnxruntime, OpenVINO and PyTorch.

In: a model file, a batch size, a precision. Out: a `Session` that runs one batch and says how long it took. Start
reading at `registry`, which lists every runtime, then `session`, the interface. May import `profiling.profile` and
`data.common`; each runtime's own library is imported only when a session of it is opened.
"""
