"""The data sets that `--data` and `python -m data.fetch` know, by name.

To add one, write a module with a `Source` (see `data.readers.source`) and name it in `DATASETS`: the options of every
command follow.
"""

from data.readers import cwru, folder, mfpt, simulated
from data.readers.source import Source

DATASETS: dict[str, Source] = {
    source.name: source for source in (simulated.SOURCE, cwru.SOURCE, mfpt.SOURCE, folder.SOURCE)
}
