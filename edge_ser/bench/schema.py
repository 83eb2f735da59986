"""What a document holds, field by field; `docs/benchmark-format.md` tells people the same.

A part that was not measured is null, and so is whatever a machine does not tell.
"""

from __future__ import annotations

from edge_ser.bench.fields import (
    Check,
    interval,
    items,
    mapping,
    number,
    one_of,
    optional,
    record,
    text,
    truth,
    whole,
)

__all__ = ["MAJOR", "SCHEMA", "SHAPE", "STAGES"]

STAGES = ("load", "resample", "frontend", "model", "post", "total")
"""From file to label; the last is all of it."""
SCHEMA = "edge-ser-bench/1.0"
MAJOR = 1
MOST_SAMPLES = 1_000_000
"""Of one stage."""

_ms = number(0, 1e9)
_seconds = number(0, 1e9)
_megabytes = number(0, 1e9)
_share = number(0, 1)
_ratio = record(value=number(0, 1e15), low=number(0, 1e15), high=number(0, 1e15))
_samples = items(_ms, MOST_SAMPLES)
_stage = record(
    n=whole(1),
    mean=_ms,
    std=_ms,
    min=_ms,
    p50=_ms,
    p90=optional(_ms),
    p99=optional(_ms),
    max=_ms,
    mean_interval=optional(interval(0, 1e9)),
    p50_interval=optional(interval(0, 1e9)),
    p90_interval=optional(interval(0, 1e9)),
    drift=optional(_ratio),
)
_state = record(
    load=optional(number(0, 1e6)),
    governor=optional(text),
    mhz=optional(number(0, 1e6)),
    celsius=optional(number(-273.15, 1000)),
    throttled=optional(items(text)),
    throttle_count=optional(whole()),
    power=optional(text),
)
_machine = record(
    board=optional(text),
    cpu=optional(text),
    gpu=optional(text),
    cores=optional(whole()),
    affinity=optional(items(whole(), 4096)),
    virtual=optional(truth),
    memory_mb=optional(_megabytes),
    system=optional(text),
    kernel=optional(text),
    machine=optional(text),
    bits=optional(whole()),
    libc=optional(text),
    python=optional(text),
    packages=optional(mapping(text)),
    blas=optional(text),
    blas_threads=optional(whole()),
    thread_variables=optional(mapping(text)),
    version=optional(text),
    commit=optional(text),
)
_cold_times = {
    f"{name}_s": optional(_seconds)
    for name in ("process", "import", "load", "first", "second", "total")
}
_memory = record(
    rss_before_import_mb=optional(_megabytes),
    rss_after_import_mb=optional(_megabytes),
    rss_after_load_mb=optional(_megabytes),
    rss_peak_mb=optional(_megabytes),
    gpu_mb=optional(_megabytes),
)
_peer = record(
    name=text,
    what=text,
    samples_ms=optional(mapping(_samples, 32)),
    p50_ms=optional(_ms),
    ratio=optional(_ratio),
    labels_agree=optional(whole()),
    labels=optional(whole()),
    error=optional(text),
)
_published_row = record(
    kind=optional(text),
    paper=optional(text),
    corpus=optional(text),
    model=optional(text),
    what=optional(text),
    seconds=optional(_seconds),
    megabytes=optional(_megabytes),
    source=optional(text),
    note=optional(text),
)

SHAPE: dict[str, Check] = {
    "schema": text,
    "complete": optional(truth),
    "created": optional(text),
    "command": optional(items(text, 1000)),
    "config": optional(
        record(
            model=optional(text),
            provider=optional(text),
            threads=optional(whole()),
            dataset=optional(text),
            device=optional(text),
            runs=optional(whole()),
            least_s=optional(_seconds),
            most_s=optional(_seconds),
            warm_up_clips=optional(whole()),
            warm_up_s=optional(_seconds),
            cold_starts=optional(whole()),
            hop_s=optional(_seconds),
            stream_s=optional(_seconds),
            seed=optional(whole()),
            mlperf=optional(truth),
        )
    ),
    "conditions": optional(
        record(machine=optional(_machine), before=optional(_state), after=optional(_state))
    ),
    "model": optional(
        record(
            name=optional(text),
            file=optional(text),
            format=optional(text),
            size_bytes=optional(whole()),
            sha256=optional(text),
            frontend_sha256=optional(text),
            parameters=optional(whole()),
            macs_total=optional(whole()),
            macs_by_layer=optional(mapping(whole())),
            untrained=optional(truth),
            runtime=optional(text),
            runtime_version=optional(text),
            provider=optional(text),
            threads=optional(whole()),
            clip_s=optional(_seconds),
            labels=optional(whole()),
        )
    ),
    "workload": optional(
        record(
            name=optional(text),
            kind=optional(one_of("synthetic", "corpus", "folder")),
            clips=optional(whole()),
            seconds_median=optional(_seconds),
            sha256=optional(text),
            seed=optional(whole()),
        )
    ),
    "warm_up": optional(record(clips=whole(), seconds=_seconds, steady=truth)),
    "stages": optional(record(**dict.fromkeys(STAGES, _stage))),
    "mean_per_wav_ms": optional(_ms),
    "rtf": optional(number(0, 1e9)),
    "cpu_ms_per_clip": optional(_ms),
    "samples_ms": optional(record(**dict.fromkeys(STAGES, _samples))),
    "cold": optional(
        record(runs=items(record(**_cold_times), 10_000), medians=optional(record(**_cold_times)))
    ),
    "memory": optional(_memory),
    "energy": optional(
        record(
            measured=truth,
            source=optional(text),
            joules=optional(number(0, 1e12)),
            joules_per_clip=optional(number(0, 1e12)),
            watts=optional(number(0, 1e6)),
            why=optional(text),
        )
    ),
    "floor": optional(record(macs_per_s=number(1, 1e18), floor_ms=_ms, ratio=optional(_ratio))),
    "streaming": optional(
        record(
            mode=optional(text),
            hop_s=optional(_seconds),
            hops=optional(whole()),
            cpu_ms_per_hop=optional(_ms),
            rtf=optional(number(0, 1e9)),
            headroom=optional(number(0, 1e12)),
        )
    ),
    "peers": optional(items(_peer)),
    "correctness": optional(
        record(
            goldens=optional(record(passed=optional(truth), detail=optional(text))),
            accuracy=optional(_share),
            uar=optional(_share),
            clips=optional(whole()),
            protocol=optional(text),
        )
    ),
    "published": optional(
        record(
            device=optional(text),
            title=optional(text),
            note=optional(text),
            host_is_device=optional(truth),
            rows=items(_published_row),
            advice=optional(text),
        )
    ),
    "validity": optional(items(text)),
    "valid": optional(truth),
}
"""The fields of a document, in their order."""
