"""Readers of recordings: CWRU, MFPT, folders of your own, and the simulated bearing.

In: files (.mat, .npy, .csv, .parquet, .wav, .flac, .h5, .tdms) or a seed. Out: `Recording`s with labels and sampling
rates. Start reading at `folder` (your own recordings) or `simulated`. May import `data.recording` and `data.common`.
"""
