"""Computes the expected contents of Redis's indexes from the job hashes, one by one."""

from collections import Counter, defaultdict

import redis

TERMINAL = {"succeeded", "failed", "canceled", "expired"}
DERIVED = ("state", "owner", "waiting", "turns", "owned")


def disagreements(client: redis.Redis) -> list[str]:
    """Lists the indexes that disagree with the hashes, each with its actual and its expected contents."""
    sets: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for key in client.keys("dream:job:*"):
        _enter(client.hgetall(key), sets, counts)
    expected = {name: set(members) for name, members in sets.items()}
    held = {
        key: set(client.zrange(key, 0, -1))
        for key in client.keys("dream:*")
        if key.split(":")[1] in {"state", "owner", "waiting", "turns", "leases", "deadlines"}
    }
    wrong = [
        f"{key}: {held.get(key)} for {expected.get(key)}"
        for key in held | expected
        if held.get(key) != expected.get(key)
    ]
    tallies = {
        key: client.hgetall(key) for key in client.keys("dream:*") if key.split(":")[1] in {"owned", "models", "counts"}
    }
    meant = {key: {name: str(n) for name, n in tally.items()} for key, tally in counts.items()}
    return wrong + [
        f"{key}: {tallies.get(key)} for {meant.get(key)}"
        for key in tallies | meant
        if tallies.get(key) != meant.get(key)
    ]


def _enter(job: dict[str, str], sets: dict[str, set[str]], counts: dict[str, Counter[str]]) -> None:
    job_id, state = job["id"], job["state"]
    sets[f"dream:state:{state}"].add(job_id)
    sets[f"dream:owner:{job['owner']}:{state}"].add(job_id)
    counts["dream:counts"][f"{job['kind']}:{state}"] += 1
    if state == "queued":
        sets[f"dream:waiting:{job['priority']}"].add(job_id)
        sets[f"dream:waiting:{job['priority']}:{job['owner']}:{job['model']}"].add(job_id)
        sets[f"dream:turns:{job['priority']}"].add(job["owner"])
        sets[f"dream:turns:{job['priority']}:{job['model']}"].add(job["owner"])
        counts["dream:models"][job["model"]] += 1
        counts[f"dream:owned:{job['priority']}"][job["owner"]] += 1
    if state in {"running", "canceling"}:
        sets["dream:leases"].add(job_id)
    if "deadline_at" in job and state not in TERMINAL:
        sets["dream:deadlines"].add(job_id)
