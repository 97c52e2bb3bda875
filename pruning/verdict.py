"""What a reader of a bundle must know before any figure of it, in plain words."""

from pruning.bundle import BaselineEntry, Manifest


def better_baseline(manifest: Manifest) -> BaselineEntry | None:
    """The more accurate baseline if it beats the dense model by more than the paired interval; otherwise None."""
    if not manifest.baselines:
        return None
    best = max(manifest.baselines, key=lambda own: own.accuracy.value)
    return best if best.difference.low > 0 else None


def notices(manifest: Manifest) -> list[str]:
    """Sentences that stand above the results; empty if there is nothing to say."""
    found = []
    best = better_baseline(manifest)
    if best is not None:
        gain = best.difference
        found.append(
            f"A {best.words} is more accurate than the dense VGG-16: {100 * best.accuracy.value:.1f} % against "
            f"{100 * manifest.models[0].accuracy:.1f} %, on the same {manifest.data.windows['test']} test windows "
            f"({100 * gain.value:+.1f} points, 95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
        )
    if manifest.weak is not None:
        found.append(manifest.weak)
    return found
