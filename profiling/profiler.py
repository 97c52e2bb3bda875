"""Bundle + device -> profile: measure the models in processes of their own and put the profile together."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from rich.console import Console
from safetensors.numpy import save

from data.common.files import write_whole
from data.common.runfolder import only_process
from profiling.assemble import Findings, assemble
from profiling.bundle.subjects import Bundle, read_bundle
from profiling.config import AUTO, RunConfig
from profiling.errors import ProfilingError
from profiling.measuring.campaign import Campaign
from profiling.measuring.device import describe, load
from profiling.measuring.peak import PEAK_FILE
from profiling.measuring.plan import visits_of
from profiling.measuring.race import check_settings, chosen_runtime, race
from profiling.measuring.run_statistics import Visits
from profiling.profile.profile import Profile
from profiling.runtimes.registry import runtime_of


def run_profile(
    config: RunConfig, console: Console | None = None, then: Callable[[Profile], None] | None = None
) -> Profile:
    """Measure a bundle on this device and write the profile and its samples.

    Args:
        config: What to measure and how long.
        console: Where progress is shown; by default nowhere.
        then: Called with the profile once it is written. If it is stopped there, the same call measures nothing anew.

    Raises:
        ProfilingError: A bundle, runtime or device that cannot be used; nothing could be measured.
        PruningError: The bundle is missing, incomplete, altered or of a newer schema.
        UserError: Another process measures into the same folder, or it cannot be written.
    """
    check_settings(config)
    bundle = read_bundle(config.models, need_onnx=config.runtime != AUTO and runtime_of(config.runtime).needs_onnx)
    _check_quantizable(config, bundle)
    with only_process(config.folder):
        campaign = Campaign(config, bundle, console or Console(quiet=True))
        try:
            profile = _measure(campaign)
            if then is not None:
                then(profile)
        finally:
            campaign.journal.close()
        campaign.journal.path.unlink(missing_ok=True)
        (config.folder / PEAK_FILE).unlink(missing_ok=True)
    return profile


def _measure(campaign: Campaign) -> Profile:
    config, bundle, journal = campaign.config, campaign.bundle, campaign.journal
    started, begun, load_before = datetime.now(UTC), time.monotonic(), load()
    if "int8" in config.precisions:
        campaign.quantize_all()
    with campaign.console.status("comparing runtimes ..."):
        trials = race(campaign.plan, journal, campaign.say)
    runtime = chosen_runtime(config, trials)
    campaign.say(f"runtime: {runtime.name} {runtime.version()}, {config.device}, threads {config.resolved_threads}")
    campaign.measure_all(runtime)
    samples = config.folder / "samples.safetensors"
    visits = visits_of(journal)
    write_whole(samples, pack(visits))
    int8 = bundle.subjects if "int8" in config.precisions else []
    findings = Findings(
        runtime=runtime.name,
        trials=trials,
        visits=visits,
        called={e["key"]: e["called"] for e in journal.of("predictions")},
        failed={e["key"]: e["reason"] for e in journal.of("failed")},
        int8={s.entry.rate: campaign.plan.quantized(s) for s in int8},
        samples=samples,
        environment=describe(started, time.monotonic() - begun, load_before, config.device == "cuda"),
    )
    profile = assemble(config, bundle, findings)
    profile.save(config.out)
    return profile


def _check_quantizable(config: RunConfig, bundle: Bundle) -> None:
    missing = [s.name for s in bundle.subjects if s.onnx is None]
    if missing and "int8" in config.precisions:
        raise ProfilingError(f"int8 needs ONNX models; the bundle holds none of {', '.join(missing)}.")


def pack(visits: dict[str, Visits]) -> bytes:
    """All runs as safetensors: float32 seconds, one tensor per visit, named rate/precision/batch/threads/visit."""
    return save(
        {f"{key}/{i}": run.astype(np.float32) for key, own in visits.items() for i, run in enumerate(own.samples)}
    )
