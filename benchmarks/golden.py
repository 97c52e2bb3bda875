"""Outputs of a small pipeline, kept so that a change of structure can be shown to change no figure.

`python -m benchmarks.golden --write` keeps them; without it they are computed again and compared, to 1e-9. Everything
goes through commands, so names inside the packages are free to change. Figures that come out of training depend on the
processor: compare on the machine that wrote them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "results" / "golden.json"
NETWORKS = ("paper", "paper-heavy", "measured")
SCHEMES = "optimum,jopav1,agdm,equal,greedy,local,edge,random"


def run(module: str, *arguments: object) -> None:
    """Run one command; its output is shown only if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"python -m {module} {' '.join(map(str, arguments))}\n{done.stdout}\n{done.stderr}")


def read(path: Path) -> Any:
    """Parsed JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def fields(content: Any) -> Any:
    """Names of all fields, without their values; lists are represented by their first entry."""
    if isinstance(content, dict):
        return {key: fields(value) for key, value in sorted(content.items())}
    return [fields(content[0])] if isinstance(content, list) and content else None


def steady(profile: dict[str, Any]) -> dict[str, Any]:
    """The profile with times that no clock has touched: 1 ms + batch * FLOP / (50 GFLOP/s)."""
    for model in profile["models"]:
        for cell in model["latency"]:
            p50 = 1e-3 + cell["batch"] * model["flops"] / 50e9
            factors = {"p50_s": 1, "p90_s": 1.1, "p99_s": 1.3, "mean_s": 1, "p50_low_s": 0.99, "p50_high_s": 1.01}
            cell |= {key: p50 * factor for key, factor in factors.items() if key in cell}
    return profile


def bundle_and_profiles(folder: Path) -> dict[str, Any]:
    """Prune, profile, and write the two profiles that the networks are built from."""
    bundle = folder / "bundle"
    run(
        "pruning.run", "--rates", "0.5,0.9", "--width", "0.0625", "--epochs", "3", "--retrain-epochs", "2",
        "--threads", "1", "--out", bundle,
    )  # fmt: skip
    models = read(bundle / "models.json")["models"]
    run(
        "profiling.run", "--models", bundle, "--runtime", "onnxruntime", "--threads", "1", "--batches", "1,2,4",
        "--rounds", "2", "--processes", "1", "--out", folder / "measured.json",
    )  # fmt: skip
    profile = read(folder / "measured.json")
    (folder / "gateway.json").write_text(json.dumps(steady(profile)), encoding="utf-8")
    run("profiling.spec", "--device", "rtx-3070", "--models", bundle, "--out", folder / "edge.json")
    kept = ("rate", "flops", "parameters", "accuracy", "accuracy_before")
    return {
        "bundle": [{key: model[key] for key in kept if key in model} for model in models],
        "profile": {
            "fields": fields({key: value for key, value in profile.items() if key != "capacities"}),
            "models": [
                {key: m[key] for key in ("rate", "flops", "parameters", "accuracy", "relative_accuracy")}
                for m in profile["models"]
            ],
            "accuracy_curve": profile["accuracy_curve"],
        },
    }


def solved(folder: Path) -> dict[str, Any]:
    """Rewards of the optimum in 200 slots, and every scheme's figures, for three networks and three rewards."""
    found = {}
    for network in NETWORKS:
        for reward in ("utilization", "goodput", "delay"):
            out = folder / "solved.json"
            run(
                "optimizer.solve", *network_options(network, folder), "--reward", reward, "--slots", "200",
                "--schemes", SCHEMES, "--json", out,
            )  # fmt: skip
            content = read(out)
            found[f"{network}, {reward}"] = {
                "rewards": [slot["reward"] for slot in content["slots"]],
                "schemes": {run["scheme"]: run["summary"] for run in content["runs"]},
            }
    return found


def network_options(network: str, folder: Path) -> tuple[str, ...]:
    """Options that name a network."""
    if network != "measured":
        return ("--scenario", network, "--sensors", "100")
    gateway, edge = str(folder / "gateway.json"), str(folder / "edge.json")
    papers = ("--execution", "one batch", "--queue", "none")  # measured networks were the paper's
    return ("--gateway", gateway, "--edge", edge, *papers, "--extrapolate", "--sensors", "20")


def learned(folder: Path) -> dict[str, Any]:
    """Two short trainings, and how their policies do."""
    found = {}
    for preset, options in (("default", ("--default.updates", "60")), ("paper", ("--paper.slots", "300"))):
        out = folder / preset
        run("optimizer.train", *network_options("measured", folder), "--preset", preset, *options, "--out", out)
        run("optimizer.evaluate", "--policy", out, "--slots", "200", "--json", folder / "evaluated.json")
        found[preset] = read(folder / "evaluated.json")["policies"]
    return found


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Places where two outputs differ by more than 1e-9."""
    if isinstance(old, dict) and isinstance(new, dict):
        missing = [f"{where}.{key}: only in one" for key in sorted(set(old) ^ set(new))]
        return missing + [d for key in old if key in new for d in differences(old[key], new[key], f"{where}.{key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [d for i, (a, b) in enumerate(zip(old, new, strict=True)) for d in differences(a, b, f"{where}.{i}")]
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (old, new))
    same = abs(old - new) <= 1e-9 * max(1.0, abs(old)) if numbers else old == new
    return [] if same else [f"{where}: was {old!r:.80}, is {new!r:.80}"]


def main() -> None:
    """Compute all outputs; write or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the outputs instead of comparing them")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = bundle_and_profiles(folder)
        found |= {"solved": solved(folder), "learned": learned(folder)}
    if write:
        HERE.write_text(json.dumps(found) + "\n", encoding="utf-8")
        return
    apart = differences(read(HERE), json.loads(json.dumps(found)))
    print("\n".join(apart[:200]) or "equal")
    print(f"{len(apart)} differences")
    raise SystemExit(1 if apart else 0)


if __name__ == "__main__":
    main()
