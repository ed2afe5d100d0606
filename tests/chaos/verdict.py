"""Checks what must be true once all faults have ended, and makes a table of results."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from statistics import median

from shared.celery_app import CeleryNotifier
from shared.clock import SystemClock
from shared.interfaces import ObjectStorage
from shared.jobs.job import Job, JobState, Manifest
from shared.jobs.lifecycle import JobLifecycle
from shared.networks.network_size import octave_sizes
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from shared.settings import Settings
from tests.chaos.storm import Storm
from worker.recovery.housekeeping import Housekeeping

HOURS_S = 4 * 3600
RESUMABLE = (JobState.FAILED, JobState.CANCELED)  # keep their checkpoints, canceled ones for a day
ENDING = (object_keys.PENDING, object_keys.webhook(""))  # nothing is left there once all jobs have ended


@dataclass
class Verdict:
    jobs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    resumed: int = 0
    shared: set[str] = field(default_factory=set)  # jobs of which a helper computed tiles
    attempts: int = 0
    repeated_s: float = 0.0
    broken: list[str] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)  # what the faults left for housekeeping, by kind

    def table(self, storm: Storm) -> str:
        rows = [("jobs accepted", self.jobs), *(("  " + state, n) for state, n in sorted(self.states.items()))]
        rows += [("faults", storm.faults.total()), *(("  " + kind, n) for kind, n in sorted(storm.faults.items()))]
        rows += [
            ("kills of a worker with a running job", storm.inside),
            ("requests that had to be repeated", storm.crowd.refused),
        ]
        rows += [("lost", len(self.lost)), ("doubled", len(self.doubled)), ("other violations", len(self.broken))]
        rows += [
            ("left for housekeeping", self.left.total()),
            *(("  " + kind, n) for kind, n in sorted(self.left.items())),
        ]
        rows += [("attempts", self.attempts), ("resumed from a checkpoint", self.resumed)]
        rows += [("dreams with tiles of helpers", len(self.shared | storm.shared))]
        rows += [(f"  {role} hit in the middle", n) for role, n in sorted(storm.shared_hits.items())]
        rows += [("seconds of work repeated", round(self.repeated_s, 1))]
        return "\n".join(f"{name:<36}{value:>8}" for name, value in rows)

    @property
    def complaints(self) -> list[str]:
        return [*(f"lost: {x}" for x in self.lost), *(f"doubled: {x}" for x in self.doubled), *self.broken]


class Later(SystemClock):
    """Runs hours ahead, so that housekeeping removes submissions that were never accepted."""

    def now(self) -> float:
        return super().now() + HOURS_S


def examine(storm: Storm, references: dict[int, bytes]) -> Verdict:
    """Checks every job. Call it while the stack is still running.

    references: the undisturbed results by seed.
    """
    verdict = Verdict(broken=[*storm.broken, *storm.observer.broken, *storm.crowd.broken])
    storage, store = storm.storage, storm.store
    lifecycle = JobLifecycle(storage, store, CeleryNotifier.connect(storm.stack.settings))
    verdict.left = _left(storm)  # counted before housekeeping removes it
    housekeeping = Housekeeping(lifecycle=lifecycle, store=store, storage=storage, clock=Later(), settings=Settings())
    housekeeping.go_on(for_s=600)
    accepted = set(storm.crowd.asked) | _stored(storage)
    verdict.jobs = len(accepted)
    for job_id in sorted(accepted):
        _examine_job(storm, job_id, references, verdict)
    verdict.broken += [f"{key} is left" for prefix in ENDING for key in storage.keys(prefix)]
    for key in storage.keys(object_keys.DELETED):
        if store.get(key.removeprefix(object_keys.DELETED)) or list(
            storage.keys(object_keys.job(key.removeprefix(object_keys.DELETED)))
        ):
            verdict.broken.append(f"{key} came back")
    _read_logs(storm, verdict)
    return verdict


def _stored(storage: ObjectStorage) -> set[str]:
    """Returns the ids of the jobs in S3, without submissions that were given up: nobody was told that they are jobs.

    SeaweedFS lists a folder for a while after its last object is removed: an empty folder is not a job.
    """
    records = JobRecords(storage)
    folders = storage.folders(object_keys.JOBS)
    return {job_id for job_id in folders if any(records.keys(job_id)) and records.fate(job_id) != "void"}


def _left(storm: Storm) -> Counter[str]:
    """Counts the objects that no job needs: crashes leave them, and only housekeeping removes them."""
    storage, records, left = storm.storage, JobRecords(storm.storage), Counter()
    for job_id, keys in groupby(storage.keys(object_keys.JOBS), lambda key: key.split("/")[1]):
        found = list(keys)
        job = records.recall(job_id)
        if records.is_deleted(job_id):
            left["objects of deleted jobs"] += len(found)
        elif job is None:
            left["objects of submissions that were not accepted"] += len(found)
        else:
            left["objects of attempts that lost"] += len(list(_orphans(found, job)))
    return +left


def _examine_job(storm: Storm, job_id: str, references: dict[int, bytes], verdict: Verdict) -> None:
    records = JobRecords(storm.storage)
    asked = storm.crowd.asked.get(job_id, {})
    if records.is_deleted(job_id):
        verdict.states["deleted"] += 1
        if not asked.get("deleted?"):
            verdict.broken.append(f"{job_id} was deleted without a request")
        return
    job = records.recall(job_id)
    if job is None or not job.state.is_terminal:
        response = "accepted with 202" if asked else "without a response"
        verdict.lost.append(f"{job_id}, {response}, is {job.state if job else 'gone'}")
        return
    verdict.states[job.state] += 1
    known = storm.store.get(job_id)
    if known is None or known.state is not job.state:
        verdict.broken.append(f"{job_id} is {job.state} in S3 and {known and known.state} in Redis")
    verdict.broken += _unasked(job, asked)
    if job.state is JobState.SUCCEEDED:
        picture = storm.storage.get(object_keys.output(job_id, job.claim or "", "result.png"))
        if picture != references[job.params.seed]:
            verdict.broken.append(f"{job_id}: its result differs from the undisturbed one")
    if orphans := list(_orphans(list(storm.storage.keys(object_keys.job(job_id))), job)):
        verdict.broken.append(f"{job_id} left {orphans}")


def _unasked(job: Job, asked: dict[str, object]) -> Iterator[str]:
    if asked.get("deleted"):
        yield f"{job.id} was deleted and is {job.state}"
    if job.state is JobState.CANCELED and not asked.get("canceled?"):
        yield f"{job.id} was canceled without a request"
    if job.state is JobState.FAILED and not asked.get("damaged"):
        yield f"{job.id} failed: {job.error}"


def _orphans(keys: list[str], job: Job) -> Iterator[str]:
    winner = object_keys.output(job.id, job.claim, "") if job.claim else None
    for key in keys:
        name = key.removeprefix(object_keys.job(job.id))
        if name.startswith("attempts/") and not (winner and key.startswith(winner)):
            yield key
        if name.startswith("checkpoints/") and job.state not in RESUMABLE:
            yield key


def _read_logs(storm: Storm, verdict: Verdict) -> None:
    """Reads from the logs the attempts, the repeated work, and the jobs that two attempts report as settled by them."""
    won: Counter[str] = Counter()
    spans: dict[str, list[float]] = defaultdict(list)
    for record in _records(storm.home / "logs"):
        if record.get("event") == "job_settled" and record.get("won"):
            won[f"{record['job_id']} retry_count {record.get('retry_count', 0)}"] += 1
        if record.get("event") == "tiles_computed_by_helpers":
            verdict.shared.add(record["job_id"])
        if record.get("event") == "dream_started":
            verdict.attempts += 1
            verdict.resumed += record["resumed_from"] is not None
            spans[record["job_id"]].append(_fraction(storm, record))
    verdict.doubled = [job for job, times in won.items() if times > 1]
    for job_id, starts in spans.items():
        furthest = [f for (seen, _), f in sorted(storm.observer.furthest.items()) if seen == job_id]
        for again, start in enumerate(starts[1:]):
            if again < len(furthest):
                verdict.repeated_s += max(0.0, furthest[again] - start) * storm.undisturbed_s


def _fraction(storm: Storm, record: dict) -> float:
    """Returns the progress, 0..1, of the checkpoint from which that attempt resumed."""
    if record["resumed_from"] is None:
        return 0.0
    document = storm.storage.get(object_keys.manifest(record["job_id"]))
    if document is None:
        return 0.0
    manifest = Manifest.model_validate_json(document)
    octave, iteration = map(int, record["resumed_from"].split("-"))
    params = manifest.params
    sizes = octave_sizes(
        manifest.input.height, manifest.input.width, octaves=params.octaves, scale=params.octave_scale, minimum_px=64
    )
    areas = [height * width for height, width in sizes]
    done = sum(areas[:octave]) * params.iterations + areas[octave] * iteration
    return done / (sum(areas) * params.iterations)


def _records(folder: Path) -> Iterator[dict]:
    lines = []
    for log in sorted(folder.glob("worker-*.log")):
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                record = json.loads(line)
                lines.append((record.get("timestamp", ""), record))
    return (record for _, record in sorted(lines, key=lambda line: line[0]))


def undisturbed(storm: Storm, seeds: tuple[int, ...]) -> dict[int, bytes]:
    """Returns each seed's result without faults; also measures how long one job takes."""
    jobs = {seed: storm.crowd.submit(seed) for seed in seeds}
    storm.calm_wait(list(jobs.values()))
    took, pictures = [], {}
    for seed, job_id in jobs.items():
        job = storm.store.get(job_id)
        took.append(job.finished_at - job.started_at)
        picture = storm.storage.get(object_keys.output(job_id, job.claim, "result.png"))
        pictures[seed] = picture
    storm.undisturbed_s = median(took)
    return pictures
