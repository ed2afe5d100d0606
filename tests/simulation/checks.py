"""Checks what must be true once all faults have ended."""

from collections import defaultdict
from collections.abc import Iterator

from shared.jobs.job import JobState, Outcome
from shared.s3 import object_keys
from shared.webhooks import dispatcher
from tests.simulation.world import World

KNOWN_FAILURES = {"out_of_memory", "deadline_exceeded", "worker_died", "local_disk_error"}


def violations(world: World, reference: "dict[int, bytes]") -> list[str]:
    """Lists the violations, each a sentence that begins with its kind."""
    broken = [f"crash: {crash}" for crash in world.scheduler.crashes]
    broken += [*world.witness.broken, *world.witness.late_starts.values()]
    jobs = _folders(world)
    delete_requested = world.witness.delete_requested()
    for seed, sending in world.witness.sendings.items():
        mine = [job_id for job_id, made in world.witness.seed_of.items() if made == seed]
        for job_id in sending.answered:
            if job_id not in delete_requested and _outcome(world, job_id) is None:
                broken.append(f"lost: {job_id} was accepted and has not ended")
        ran = [job_id for job_id in mine if job_id in jobs and _outcome(world, job_id) is not None]
        if sending.key is not None and len(ran) > 1:
            broken.append(f"key doubled: one submission with a key created {ran}")
    for job_id in jobs:
        broken += _check_job(world, job_id, reference)
    for job_id in world.witness.deleted:
        if job_id in world.redis.jobs:
            broken.append(f"deleted job returned: {job_id} is in Redis")
    broken += [f"left over: {key}" for key in _left_over(world, jobs)]
    broken += _webhooks(world)
    broken += [f"stuck: {job.id} is {job.state}" for job in world.redis.jobs.values() if not job.state.is_terminal]
    return broken


def _folders(world: World) -> dict[str, set[str]]:
    """Returns the keys of each job's folder, without submissions that were given up."""
    jobs: dict[str, set[str]] = defaultdict(set)
    for key in world.s3.objects:
        if key.startswith(object_keys.JOBS):
            jobs[key.split("/")[1]].add(key)
    return {job_id: keys for job_id, keys in jobs.items() if not _is_void(world, job_id)}


def _is_void(world: World, job_id: str) -> bool:
    """Returns True for a submission that was given up: its manifest is void."""
    return b'"void"' in world.s3.objects.get(object_keys.manifest(job_id), b"")


def _outcome(world: World, job_id: str) -> Outcome | None:
    retry_counts = [
        object_keys.outcome_retry_count(key) for key in world.s3.objects if key.startswith(object_keys.job(job_id))
    ]
    latest = max((retry_count for retry_count in retry_counts if retry_count is not None), default=None)
    if latest is None:
        return None
    return Outcome.model_validate_json(world.s3.objects[object_keys.outcome(job_id, latest)])


def _check_job(world: World, job_id: str, reference: dict[int, bytes]) -> Iterator[str]:
    witness = world.witness
    outcome, known = _outcome(world, job_id), world.redis.jobs.get(job_id)
    if outcome is None:
        if object_keys.tombstone(job_id) not in world.s3.objects and object_keys.manifest(job_id) in world.s3.objects:
            yield f"lost: {job_id} has no outcome"
        return
    if object_keys.tombstone(job_id) in world.s3.objects:
        yield f"left over: {job_id} is deleted and has objects"
        return
    for retry_count in (retry_count for job, retry_count in witness.retried if job == job_id):
        if retry_count > outcome.retry_count:
            yield f"lost: {job_id}'s retry {retry_count} was accepted and has not ended"
    if known is None or known.state not in {outcome.state, JobState.EXPIRED}:
        yield f"disagree: {job_id} is {outcome.state} in S3 and {known and known.state} in Redis"
    yield from _how_it_ended(world, job_id, outcome, reference, expired=known and known.state is JobState.EXPIRED)
    for (job, retry_count), at in witness.canceled.items():
        if job == job_id:
            yield from _cancel_kept(world, job_id, retry_count, at)


def _how_it_ended(
    world: World, job_id: str, outcome: Outcome, reference: dict[int, bytes], *, expired
) -> Iterator[str]:
    witness = world.witness
    if outcome.state is JobState.SUCCEEDED and not expired:
        picture = world.s3.objects.get(object_keys.output(job_id, outcome.claim or "", "result.png"))
        if picture != reference[witness.seed_of[job_id]]:
            yield f"result: {job_id}'s image is {'missing' if picture is None else 'not the undisturbed one'}"
        if object_keys.image(job_id) not in world.s3.objects:
            yield f"result: {job_id}'s photograph is missing"
    if outcome.state is JobState.CANCELED and ("cancel", job_id) not in witness.requests:
        yield f"canceled without a request: {job_id}"
    if outcome.error and outcome.error.code not in KNOWN_FAILURES:
        yield f"failed: {job_id} with {outcome.error.code}: {outcome.error.message}"
    if outcome.error and outcome.error.code == "worker_died":
        received = witness.received_claims[job_id, outcome.retry_count]
        if received < world.settings.max_deaths:
            yield f"worker_died: {job_id} though only {received} attempts ever began"


def _cancel_kept(world: World, job_id: str, retry_count: int, at: float) -> Iterator[str]:
    document = world.s3.objects.get(object_keys.outcome(job_id, retry_count))
    state = Outcome.model_validate_json(document).state if document else None
    began = world.witness.settling.get((job_id, retry_count))
    if state is not JobState.CANCELED and not (began is not None and began <= at):
        yield f"cancel forgotten: {job_id} retry {retry_count} is {state}"


def _left_over(world: World, jobs: dict[str, set[str]]) -> Iterator[str]:
    for key in world.s3.objects:
        if key.startswith((object_keys.PENDING, "webhooks/")):
            yield key
    for job_id, keys in jobs.items():
        outcome, known = _outcome(world, job_id), world.redis.jobs.get(job_id)
        if outcome is None or object_keys.tombstone(job_id) in world.s3.objects:
            yield from keys
            continue
        expired = known is not None and known.state is JobState.EXPIRED
        for key in keys:
            if not _is_needed(key, job_id, outcome, expired=expired):
                yield key


def _is_needed(key: str, job_id: str, outcome: Outcome, *, expired: bool) -> bool:
    name = key.removeprefix(object_keys.job(job_id))
    if object_keys.outcome_retry_count(key) is not None or name == "manifest.json" or name.startswith("sequel-"):
        return True
    if expired:
        return False
    if name.startswith("checkpoints/"):
        return outcome.state in {JobState.FAILED, JobState.CANCELED}
    if name.startswith("attempts/"):
        return outcome.claim is not None and name.startswith(f"attempts/{outcome.claim}/")
    return name == "input" or name.startswith("cancel")


def _webhooks(world: World) -> Iterator[str]:
    witness = world.witness
    for message, bodies in witness.delivered.items():
        job_id, retry_count, event = message.split("-")
        document = witness.outcomes.get(object_keys.outcome(job_id, int(retry_count)))
        if event == "completed":
            states = {body["data"]["state"] for body in bodies}
            if document is None or states != {Outcome.model_validate_json(document).state}:
                yield f"webhook wrong: {message} says {states}"
    for key, document in witness.outcomes.items():
        job_id = key.split("/")[1]
        sending = witness.sendings.get(witness.seed_of.get(job_id, 0))
        if sending is None or not sending.webhook or job_id in witness.delete_requested():
            continue
        outcome = Outcome.model_validate_json(document)
        completed = f"{job_id}-{outcome.retry_count}-completed"
        if not _is_delivered(world, completed, attempts=len(dispatcher.WAITS_S) + 1):
            yield f"webhook lost: {completed}"
        started = f"{job_id}-{outcome.retry_count}-started"
        ran = outcome.state is JobState.SUCCEEDED
        if ran and not _is_delivered(world, started, attempts=dispatcher.STARTED_ATTEMPTS):
            yield f"webhook lost: {started}"


def _is_delivered(world: World, message: str, *, attempts: int) -> bool:
    """Returns whether the message was delivered, or refused as often as makes the service give it up."""
    witness = world.witness
    return bool(witness.delivered[message]) or message in witness.gone or witness.refusals[message] >= attempts
