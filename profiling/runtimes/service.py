"""A model in service: opened once, it answers batches of any size, as a gateway's process does."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from profiling.runtimes.session import Images, Request, Session


class Service:
    """A model that is open for batches of any size up to the request's.

    Args:
        request: The model; its batch is the largest.
        opener: Opens a session, as `registry.open_session` does.
        dynamic: Whether one session can take all sizes. Otherwise a session is opened for each size that comes.
    """

    def __init__(self, request: Request, opener: Callable[[Request], Session], *, dynamic: bool) -> None:
        self._request, self._opener = request, opener
        self._whole = opener(replace(request, dynamic=True)) if dynamic else None
        self._sized: dict[int, Session] = {}

    def serve(self, images: Images) -> tuple[float, Int64[np.ndarray, " batch"]]:
        """Seconds from a batch in memory to its answers in memory, and the predicted class of each image."""
        return self._session(len(images)).serve(images)

    def _session(self, size: int) -> Session:
        if self._whole is not None:
            return self._whole
        if size not in self._sized:
            self._sized[size] = self._opener(replace(self._request, batch=size))
        return self._sized[size]
