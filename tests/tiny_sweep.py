"""`python -m pruning.run` on the tiny data set with one rare class: a command that tests start, alone or by torchrun.

With `DIE_AFTER=1` it writes a checkpoint after every epoch and ends, as by `kill -9`, after that of epoch 1. With
`FAIL_IN=1` process 1 of torchrun's fails in its third update.
"""

import os
import signal
from dataclasses import replace

import numpy as np
from conftest import tiny_dataset
from pictures import save_fingerprint

import pruning.figures
import pruning.jobfolder
import pruning.sweep
import pruning.train
import pruning.training
from pruning.errors import PruningError
from pruning.run import main


def rare_class():
    """The tiny data set with 6 of the 16 training windows of its last class."""
    whole = tiny_dataset()
    part = whole.train
    kept = (part.labels < 2) | (np.arange(len(part)) < 18)
    arrays = (part.images[kept], part.labels[kept], part.recordings[kept], part.starts_s[kept])
    return replace(whole, train=type(part)(*arrays))


updates = 0
real_update, real_save = pruning.train.Trainer._update, pruning.jobfolder.JobFolder.save_checkpoint


def failing_update(self, chosen, lr, generator):
    global updates
    updates += 1
    if updates == 3 and os.environ.get("RANK") == os.environ["FAIL_IN"]:
        raise PruningError("a test's failure.")
    return real_update(self, chosen, lr, generator)


def save_and_die(self, tensors, state):
    real_save(self, tensors, state)
    if state["epoch"] == int(os.environ["DIE_AFTER"]):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    pruning.sweep.build_dataset = lambda config, cache: rare_class()
    pruning.figures.save_png = save_fingerprint
    if "DIE_AFTER" in os.environ:
        pruning.training.CHECKPOINT_EVERY_S = 0.0
        pruning.jobfolder.JobFolder.save_checkpoint = save_and_die
    if "FAIL_IN" in os.environ:
        pruning.train.Trainer._update = failing_update
    main()
