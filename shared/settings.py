"""Every environment variable, read here and nowhere else. All start with DREAM_."""

import difflib
import os
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from shared.errors import InvalidSettings

PREFIX = "DREAM_"
CLIENT_VARIABLES = ("DREAM_URL", "DREAM_KEY")  # read by the `dream` command
EX_CONFIG = 78  # what sysexits.h has for it: a supervisor can tell it from a crash


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    redis_url: Annotated[str, Field(repr=False, description="Redis 6.2 or newer, `noeviction`, append-only.")] = (
        "redis://127.0.0.1:6379/0"
    )
    redis_timeout_s: Annotated[float, Field(gt=0, le=60, description="Longest wait for one Redis answer.")] = 3.0

    s3_url: Annotated[str | None, Field(description="S3 endpoint; unset means AWS.")] = None
    s3_public_url: Annotated[str | None, Field(description="The S3 endpoint as browsers see it.")] = None
    s3_bucket: Annotated[str, Field(description="One bucket holds everything; it must exist or be creatable.")] = (
        "dreamqueue"
    )
    s3_region: Annotated[str, Field(description="S3 region.")] = "us-east-1"
    s3_access_key: Annotated[SecretStr | None, Field(description="Unset: boto3's usual chain of credentials.")] = None
    s3_secret_key: Annotated[SecretStr | None, Field(description="Belongs to the access key.")] = None
    s3_timeout_s: Annotated[float, Field(gt=0, le=300, description="Longest wait for one S3 answer.")] = 10.0

    storage_full: Annotated[
        Literal["wait", "fail"], Field(description="A full object storage makes a job wait for room, or fail.")
    ] = "wait"

    max_pixels: Annotated[int, Field(gt=0, description="Largest image accepted, pixels.")] = 120_000_000
    max_upload_bytes: Annotated[int, Field(gt=0, description="Largest request body accepted, bytes.")] = 256 * 2**20

    keys: Annotated[
        Literal["on", "off"] | None,
        Field(description="Whether callers need an API key. Unset: not on loopback, and no start on a public address."),
    ] = None
    admin_key: Annotated[
        SecretStr | None, Field(min_length=24, description="May make, list and revoke API keys, and nothing else.")
    ] = None
    session_days: Annotated[float, Field(gt=0, le=365, description="How long the page stays logged in.")] = 14.0

    polls_per_minute: Annotated[int, Field(ge=1, description="Looks at single jobs, per owner.")] = 6000
    requests_per_minute: Annotated[int, Field(ge=1, description="Requests of any other kind, per owner.")] = 3000
    submissions_per_minute: Annotated[int, Field(ge=1, description="Jobs and uploads, per owner.")] = 600
    unauthenticated_per_minute: Annotated[
        int, Field(ge=1, description="Requests without a valid key, per address and process of the api.")
    ] = 60
    trusted_proxies: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="Reverse proxies in front of the api, one behind the other: whose word in X-Forwarded-For is "
            "taken for where a request comes from. Too many let callers make it up.",
        ),
    ] = 0
    max_queued: Annotated[int, Field(ge=1, description="Jobs of one owner that may wait at once.")] = 10_000
    max_streams: Annotated[int, Field(ge=0, description="Open event streams and waits, per process of the api.")] = 220
    stream_limit_s: Annotated[
        float, Field(gt=0, description="An event stream ends after this long; clients come back by themselves.")
    ] = 300.0
    webhook_networks: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="Private networks that webhooks may reach all the same, separated by commas: 10.1.0.0/16."),
    ] = ()

    lease_s: Annotated[float, Field(ge=1, le=600, description="A worker silent for this long loses its job.")] = 15.0
    max_deaths: Annotated[
        int, Field(ge=1, le=100, description="Deaths without a new checkpoint before a job is failed.")
    ] = 3
    checkpoint_interval_s: Annotated[
        float, Field(gt=0, description="A checkpoint inside an octave at least this often.")
    ] = 60.0
    progress_interval_s: Annotated[float, Field(gt=0, description="How often progress is published.")] = 0.3
    caretaker_interval_s: Annotated[float, Field(gt=0, description="How often the caretaker looks around.")] = 1.0
    reconcile_interval_s: Annotated[
        float, Field(gt=0, description="How often what S3 owes is compared with Redis.")
    ] = 60.0
    retention_days: Annotated[
        float | None, Field(gt=0, description="Ended jobs are removed after this; unset keeps them.")
    ] = None

    worker_name: Annotated[str, Field(description="How this worker calls itself; unique in the fleet.")] = Field(
        default_factory=socket.gethostname
    )
    models: Annotated[
        tuple[str, ...] | None,
        NoDecode,
        Field(description="The models that this worker serves, separated by commas; unset: all that are ready."),
    ] = None
    model_dir: Annotated[Path, Field(description="Where fetched weights are kept.")] = Path("models")
    model_memory_bytes: Annotated[
        int, Field(ge=0, description="Weights kept in memory at once; the least recently used network goes first.")
    ] = 512 * 2**20
    fetch_models: Annotated[
        bool, Field(description="Workers fetch the weights that a waiting job needs and that are not here.")
    ] = False
    catalog: Annotated[Path | None, Field(description="A TOML file with networks of your own.")] = None
    tile_threads: Annotated[int | None, Field(ge=1, le=256, description="Tiles side by side; unset: one per core.")] = (
        None
    )

    liveness_file: Annotated[
        Path | None, Field(description="A file that a worker's parent touches every 5 s, for liveness probes.")
    ] = None
    metrics_host: Annotated[
        str, Field(description="The address on which worker and caretaker serve metrics; 0.0.0.0 in a container.")
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int | None,
        Field(ge=1, le=65535, description="The port for it, one per process; unset: none. The api has `/metrics`."),
    ] = None

    @field_validator("redis_url", "s3_url", "s3_public_url")
    @classmethod
    def _has_scheme(cls, value: str | None, field: ValidationInfo) -> str | None:
        schemes = ("redis", "rediss") if field.field_name == "redis_url" else ("http", "https")
        if value is not None and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"it has to begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return value

    @field_validator("models", "webhook_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


@cache
def load() -> Settings:
    """The settings of this process. Raises InvalidSettings, naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as exc:
        wrong = "; ".join(f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in exc.errors())
        raise InvalidSettings(f"An environment variable has a value that can't be used. {wrong}.") from exc
    except SettingsError as exc:  # not even JSON where a variable holds a structure
        raise InvalidSettings(f"An environment variable can't be read: {exc}.") from exc


def load_or_exit() -> Settings:
    """The settings, for a process that starts. Ends it with one sentence when they are wrong."""
    try:
        return load()
    except InvalidSettings as exc:
        sys.stderr.write(f"{exc}\n")
        raise SystemExit(EX_CONFIG) from None


def misspelled() -> dict[str, str | None]:
    """Variables of ours in the environment that nothing reads, each with the one that was probably meant."""
    known = [*(f"{PREFIX}{name}".upper() for name in Settings.model_fields), *CLIENT_VARIABLES]
    strange = [name for name in os.environ if name.startswith(PREFIX) and name not in known]
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in strange}
