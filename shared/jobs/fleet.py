"""What the live workers can run now, and what they could run once they have fetched its weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from zlib import crc32

from shared.interfaces import WeightsFetch, WorkerInfo

Availability: TypeAlias = Literal["ready", "fetchable", "unavailable"]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Summarizes the live workers, by model."""

    workers: int = 0
    served: frozenset[str] = frozenset()
    fetchable: frozenset[str] = frozenset()  # when somebody asks for it
    fetched_on_demand: frozenset[str] = frozenset()  # of these, a waiting job is enough
    fetches: tuple[WeightsFetch, ...] = ()  # in progress or failed

    @classmethod
    def of(cls, workers: Sequence[WorkerInfo]) -> "Fleet":
        return cls(
            workers=len(workers),
            served=frozenset(model for worker in workers for model in worker.models),
            fetchable=frozenset(model for worker in workers for model in worker.fetchable),
            fetched_on_demand=frozenset(
                model for worker in workers if worker.fetches_on_demand for model in worker.fetchable
            ),
            fetches=tuple(worker.fetch for worker in workers if worker.fetch is not None),
        )

    def availability(self, model: str) -> Availability:
        """Returns whether a worker serves the model, would fetch its weights when asked, or neither."""
        if model in self.served:
            return "ready"
        return "fetchable" if model in self.fetchable else "unavailable"

    def fetch_of(self, model: str) -> WeightsFetch | None:
        """Returns the fetch of the model's weights that is furthest; a failed one only if no other is in progress."""
        found = [fetch for fetch in self.fetches if fetch.model == model]
        return max(found, key=lambda fetch: (fetch.error is None, fetch.fetched_bytes), default=None)

    def waits_for(self, model: str) -> str | None:
        """Returns what a queued job of that model waits for besides its turn, as a sentence; None if nothing."""
        if model in self.served:
            return None
        if not self.workers:
            return "No worker is running; the job starts as soon as one is."
        fetch = self.fetch_of(model)
        if fetch is not None and fetch.error is None:
            return f"A worker is fetching the weights of the model '{model}'; the job starts when it has them."
        if model in self.fetched_on_demand:
            failed = " The last try failed." if fetch is not None else ""
            return f"A worker will fetch the weights of the model '{model}' before the job starts.{failed}"
        if model in self.fetchable:
            return (
                f"No running worker has the weights of the model '{model}'; the job starts once an operator has had "
                f"them fetched (`dream fetch {model}`)."
            )
        return f"No running worker serves the model '{model}'; the job starts as soon as one does."

    def tag(self) -> str:
        """Returns a tag that changes with what `waits_for` returns."""
        fetching = sorted((fetch.model, fetch.error is None) for fetch in self.fetches)
        models = [sorted(found) for found in (self.served, self.fetchable, self.fetched_on_demand)]
        state = (self.workers > 0, models, fetching)
        return f"{crc32(repr(state).encode()):08x}"
