"""What a reader of a bundle must know before any figure of it, in plain words."""

from pruning.bundle import BaselineEntry, Manifest
from pruning.entries import WORDS, CrossEntry, CrossValidation, LearningCurve


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
    cross = manifest.cross_validation
    if cross is not None:
        found += _cross_notices(cross)
    elif best is not None:
        gain = best.difference
        found.append(
            f"A {best.words} is more accurate than the dense VGG-16: {100 * best.accuracy.value:.1f} % against "
            f"{100 * manifest.models[0].accuracy:.1f} %, on the same {manifest.data.windows['test']} test windows "
            f"({100 * gain.value:+.1f} points, 95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
        )
    if manifest.weak is not None:
        found.append(manifest.weak)
    if manifest.learning_curve is not None:
        found.append(curve_words(manifest.learning_curve))
    return found


def _accuracy_words(own: CrossEntry) -> str:
    rate = own.accuracy
    return f"{100 * rate.value:.1f} % (95 % interval {100 * rate.low:.0f} to {100 * rate.high:.0f} %)"


def _cross_notices(cross: CrossValidation) -> list[str]:
    """How sure the accuracies are, which groups were mistaken, and whether a simple detector is better."""
    dense = cross.entry("dense")
    assert dense is not None
    unequal = " of unequal length" if dense.accuracy.count < len(cross.groups) else ""
    found = [
        f"Cross-validated on {cross.words} in {cross.folds} folds: the dense VGG-16 is right for "
        f"{_accuracy_words(dense)} of {cross.windows} windows that it did not learn from. The interval counts "
        f"{cross.words}{unequal} as {dense.accuracy.count} trials, because the windows of one stand and fall together."
    ]
    wrong = [g for g in cross.groups if g.right["dense"] < g.windows]
    if wrong:
        worst = sorted(wrong, key=lambda g: (g.right["dense"] / g.windows, g.name))
        told = "; ".join(f"{g.name} ({g.right['dense']} of {g.windows} right)" for g in worst[:3])
        found.append(f"Its mistakes are in {len(wrong)} of {cross.words}: {told}{'; ...' if len(wrong) > 3 else ''}.")
    simple = [own for own in cross.entries if own.kind in WORDS]
    best = max(simple, key=lambda own: own.accuracy.value, default=None)
    if best is not None and best.difference.low > 0:
        gain = best.difference
        found.append(
            f"A {WORDS[best.kind]} is more accurate: {_accuracy_words(best)}, {100 * gain.value:+.1f} points (95 % "
            f"interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f})."
        )
    return found


SURE = 0.995  # picked by hand: above it a learning curve has nowhere to rise to


def curve_words(curve: LearningCurve) -> str:
    """Whether more recordings would help, in plain words."""
    names = {"dense": "dense VGG-16", **WORDS}
    told = [
        f"{100 * own.gain.value:+.1f} points for the {names[own.kind]} (95 % interval {100 * own.gain.low:+.1f} to "
        f"{100 * own.gain.high:+.1f})"
        for own in curve.gains
    ]
    first = curve.gains[0]
    more, like = (
        ("recording time", "more stretches of the same recordings")
        if curve.unit == "time blocks"
        else (curve.unit, f"more {curve.unit} like these")
    )
    head = (
        f"Would more {more} help? From {first.fewer:.0f} to {first.more:.0f} {curve.unit} learned from, accuracy "
        f"on the others changed by {', '.join(told)}."
    )
    last = {own.kind: max(p.accuracy.value for p in curve.points if p.kind == own.kind) for own in curve.gains}
    if any(own.gain.low > 0 and last[own.kind] < SURE for own in curve.gains):
        return f"{head} So more {more} would probably help."
    if max(last.values()) >= SURE:
        return f"{head} There is next to nothing left to gain from {like}."
    return f"{head} No gain is sure: {like} may change little, or these are too few to tell."
