"""A made-up but valid profile, for tests of what reads profiles."""

import copy
from typing import Any

from profiling import Profile
from profiling.datasheet import datasheet_profile
from profiling.spec import SpecConfig

BASE = datasheet_profile(SpecConfig()).model_dump(mode="json", by_alias=True)
MEASURED = {
    "runtime": "onnxruntime",
    "device": "cpu",
    "threads": [2],
    "batches": [1, 2, 4],
    "precisions": ["fp32"],
    "grade": "quick",
    "noisy_cells": 0,
    "cells": 21,
    "drift": 0.0,
    "rounds": 8,
    "processes": 2,
    "protocol": "made up",
    "samples": None,
    "samples_sha256": None,
    "chosen_from": [],
}


def content(factor: float = 1.0, spread: float = 0.002) -> dict[str, Any]:
    """`profile.json` of a device that takes 1 ms + batch * FLOP / (768 GFLOP/s), times a factor."""
    made = copy.deepcopy(BASE) | {"kind": "measured", "measurement": copy.deepcopy(MEASURED), "capacities": []}
    made["bundle"] = {
        "sha256": "0" * 64,
        "data": "made up",
        "split": "load",
        "size": 32,
        "classes": 3,
        "method": "mask",
    }
    for model in made["models"]:
        model["latency"] = [
            {**model["latency"][0], "batch": batch, "threads": 2, "count": 100, "notes": [], **times(seconds, spread)}
            for batch in (1, 2, 4)
            for seconds in [factor * (1e-3 + batch * model["flops"] / 768e9)]
        ]
    return made


def times(seconds: float, spread: float) -> dict[str, float]:
    return {
        "p50_s": seconds,
        "p90_s": 1.1 * seconds,
        "p99_s": 1.3 * seconds,
        "mean_s": seconds,
        "p50_low_s": seconds * (1 - spread),
        "p50_high_s": seconds * (1 + spread),
    }


def profile(factor: float = 1.0, spread: float = 0.002) -> Profile:
    return Profile.parse(content(factor, spread), "made up")
