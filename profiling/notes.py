"""Sentences about a profile that its reader should not miss: what pruning, precision and layer widths bring."""

import numpy as np

from profiling.bundle.subjects import Subject
from profiling.profile.entries import Model


def width_note(subjects: list[Subject], device: str) -> list[str]:
    """What narrow vector blocks lose; 64 x 64 ... 162 channels are padded to the next 16 by blocked layouts."""
    odd = [s.name for s in subjects if s.entry.method == "structural" and any(w % 8 for w in s.entry.widths)]
    if not odd or device != "cpu":
        return []
    return [
        f"Widths of {', '.join(odd)} are not multiples of 8, and CPU runtimes pad them: the same FLOPs run faster with "
        "python -m pruning.run --round-to 16 (at 128 pixels and rate 0.9, onnxruntime: 9.6 instead of 6.0 times as "
        "fast as the dense model; python -m benchmarks.latency --parts speed)."
    ]


def speed_notes(models: list[Model], threads: int) -> list[str]:
    """What pruning and precision brought, at the batch size nearest to 8, in words."""
    first = models[0].precision

    def seconds(model: Model) -> dict[int, float]:
        return {x.batch: x.p50_s for x in model.latency if x.threads == threads}

    own = [m for m in models if m.precision == first]
    dense, most = own[0], own[-1]
    shared = sorted(set(seconds(dense)) & set(seconds(most)), key=lambda b: abs(b - 8))
    notes = []
    if shared and most.rate > 0:
        batch = shared[0]
        ratio = seconds(dense)[batch] / seconds(most)[batch]
        if most.method == "mask":
            notes.append(
                f"Masked pruning gains nothing here: at rate {most.rate:g} and batch {batch} the model takes "
                f"{1 / ratio:.2f} times the dense model's time. Zeros are multiplied like other numbers: the hardware "
                f"executes {most.flops / dense.flops:.0%} of the FLOPs, not the nominal {1 - most.rate:.0%}."
            )
        else:
            notes.append(
                f"At batch {batch} the model of rate {most.rate:g} runs {ratio:.1f} times as fast as the dense one, "
                f"with {dense.flops / most.flops:.1f} times fewer FLOPs."
            )
    for precision in dict.fromkeys(m.precision for m in models if m.precision != first):
        pairs = [(m, n) for m in own for n in models if n.precision == precision and n.rate == m.rate]
        ratios = [seconds(m)[b] / seconds(n)[b] for m, n in pairs for b in set(seconds(m)) & set(seconds(n))]
        changes = [n.accuracy_change or 0.0 for _, n in pairs]
        if ratios:
            notes.append(
                f"{precision} runs {np.median(ratios):.2f} times as fast as {first} (median of {len(ratios)} cells); "
                f"accuracy changes by {100 * min(changes):+.2f} to {100 * max(changes):+.2f} points."
            )
    return notes
