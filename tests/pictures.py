"""Pictures without their rendering, which is most of the time of a sweep of a tiny data set."""

import hashlib
import json
from pathlib import Path

import numpy as np
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from data.common.files import write_whole


def _content(artist) -> list:
    """What an artist shows: numbers, text, colour."""
    if isinstance(artist, Text):
        return [artist.get_text(), artist.get_color()]
    if isinstance(artist, Line2D):
        return [np.asarray(artist.get_xydata(), float).tolist(), artist.get_color(), artist.get_label()]
    if isinstance(artist, AxesImage):
        return [np.asarray(artist.get_array(), float).tolist()]
    if isinstance(artist, Patch):
        return [
            artist.get_path().vertices.tolist(),
            artist.get_patch_transform().get_matrix().tolist(),
            artist.get_facecolor(),
        ]
    if isinstance(artist, Collection):
        return [[p.vertices.tolist() for p in artist.get_paths()], np.asarray(artist.get_offsets(), float).tolist()]
    return []


def save_fingerprint(figure: Figure, path: Path) -> None:
    """In place of `save_png`: a hash of all that the figure shows. The same figure gives the same bytes."""
    import matplotlib.pyplot as plt

    shown = [[type(a).__name__, *_content(a)] for a in figure.findobj()]
    plt.close(figure)
    write_whole(path, hashlib.sha256(json.dumps(shown, default=str).encode()).hexdigest().encode())
