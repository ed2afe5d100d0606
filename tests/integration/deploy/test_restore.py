"""Restores as docs/UPGRADES.md describes: Redis is lost, the bucket is a copy, and no accepted job is missing."""

from dataclasses import dataclass

import boto3
import pytest
from botocore.config import Config

from deploy.local.embedded_services import StackState, embedded_s3
from deploy.local.process import Child
from shared.clock import SystemClock
from shared.jobs.job import Job, JobState, Manifest, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.redis.job_store import RedisJobStore
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.conftest import empty_redis
from tests.fakes import documents
from tests.fakes.job_factory import a_manifest
from tests.fakes.object_storage import MemoryNotifier
from worker.recovery.caretaker import Caretaker


def s3(settings):
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(s3={"addressing_style": "path"}),
    )


@pytest.fixture
def elsewhere(tmp_path, settings) -> Settings:
    """Settings that point at the same Redis, and at another S3 that has never seen a bucket."""
    part, moved = embedded_s3(tmp_path / "other s3", StackState(), settings)
    child = Child(part, tmp_path / "s3.log")
    try:
        child.wait_until_ready()
        yield moved
    finally:
        child.stop()


def copy_bucket(source: Settings, target: Settings) -> None:
    """Copies a bucket as `aws s3 sync` and `rclone sync` do."""
    S3ObjectStorage.connect(target).check()  # makes the bucket
    reader, writer = s3(source), s3(target)
    for page in reader.get_paginator("list_objects_v2").paginate(Bucket=source.s3_bucket):
        for item in page.get("Contents", ()):
            body = reader.get_object(Bucket=source.s3_bucket, Key=item["Key"])["Body"].read()
            writer.put_object(Bucket=target.s3_bucket, Key=item["Key"], Body=body)
    reader.close()
    writer.close()


@dataclass
class Service:
    store: RedisJobStore
    storage: S3ObjectStorage

    @classmethod
    def on(cls, settings):
        return cls(RedisJobStore.connect(settings), S3ObjectStorage.connect(settings))

    def accept(self, **fields) -> Job:
        manifest: Manifest = a_manifest(**fields)
        documents.accepted(self.storage, manifest, b"photograph")
        job = Job.from_manifest(manifest)
        self.store.create(job)
        return job

    def end(self, job, state, claim=None):
        if claim:
            self.storage.put(object_keys.output(job.id, claim, "result.png"), b"dream")
        outcome = Outcome(retry_count=0, state=state, finished_at=job.created_at + 5, claim=claim, attempt=1)
        JobLifecycle(self.storage, self.store, MemoryNotifier()).settle(job.id, outcome)


def test_a_restore_brings_back_every_accepted_job_in_its_state(settings, elsewhere):
    # given: one of each kind
    before = Service.on(settings)
    waiting, running, done, failed, deleted = (before.accept() for _ in range(5))
    before.end(done, JobState.SUCCEEDED, claim="c1")
    before.end(failed, JobState.FAILED)
    documents.deleted(before.storage, deleted.id)
    before.store.forget(deleted.id)
    before.storage.put(object_keys.checkpoint(running.id, 1, 3, "c2"), b"a checkpoint's bytes")

    # when: the bucket is copied, Redis is empty, the service starts on both
    copy_bucket(settings, elsewhere)
    empty_redis(settings)
    after = Service.on(elsewhere)
    caretaker = Caretaker(
        store=after.store,
        storage=after.storage,
        notifier=MemoryNotifier(),
        clock=SystemClock(),
        settings=elsewhere.model_copy(update={"caretaker_interval_s": 5.0}),
    )
    caretaker.run_round()

    # then
    states = {job.id: job.state for job in after.store.list_jobs("local")}
    assert states == {
        waiting.id: JobState.QUEUED,
        running.id: JobState.QUEUED,
        done.id: JobState.SUCCEEDED,
        failed.id: JobState.FAILED,
    }
    assert after.storage.get(object_keys.output(done.id, "c1", "result.png")) == b"dream"
    assert after.storage.get(object_keys.checkpoint(running.id, 1, 3, "c2")) == b"a checkpoint's bytes"
    assert after.store.get(deleted.id) is None
    assert after.store.queue_stats().jobs["dream", JobState.QUEUED] == 2


def test_documents_of_a_newer_version_are_read_without_what_is_not_known_yet(settings):
    service = Service.on(settings)
    job = service.accept()
    key = object_keys.manifest(job.id)
    document = service.storage.get(key)
    service.storage.put(key, document[:-1] + b',"invented_tomorrow":{"a":1}}')
    empty_redis(settings)

    restored = JobLifecycle(service.storage, service.store, MemoryNotifier()).restore(job.id, now=0)

    assert restored is not None
    assert restored.state is JobState.QUEUED
    assert restored.params == job.params
