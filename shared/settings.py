"""Every environment variable of the service, read here and nowhere else. All start with DREAM_."""

import difflib
import os
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from shared.errors import InvalidSettings
from shared.images.header import Format as ImageFormat
from shared.redis.address import SentinelAddress

PREFIX = "DREAM_"
CLIENT_VARIABLES = ("DREAM_URL", "DREAM_KEY")  # read by the `dream` command
EX_CONFIG = 78  # EX_CONFIG of sysexits.h: lets a supervisor tell a wrong setting from a crash


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    redis_url: Annotated[
        str,
        Field(
            repr=False,
            description="Redis 6.2 or newer; `redis+sentinel://host:26379,host:26379/name/0` for Sentinel.",
        ),
    ] = "redis://127.0.0.1:6379/0"
    redis_timeout_s: Annotated[
        float, Field(gt=0, le=60, description="Longest wait for one answer of Redis, seconds.")
    ] = 3.0

    s3_url: Annotated[str | None, Field(description="S3 endpoint; unset means AWS.")] = None
    s3_public_url: Annotated[str | None, Field(description="The S3 endpoint as browsers reach it.")] = None
    s3_bucket: Annotated[
        str, Field(description="The bucket that holds everything; it must exist, or the keys must allow creating it.")
    ] = "dreamqueue"
    s3_region: Annotated[str, Field(description="S3 region.")] = "us-east-1"
    s3_access_key: Annotated[
        SecretStr | None, Field(description="Access key; unset: boto3's usual credential chain.")
    ] = None
    s3_secret_key: Annotated[SecretStr | None, Field(description="Secret key of the access key.")] = None
    s3_timeout_s: Annotated[float, Field(gt=0, le=300, description="Longest wait for one answer of S3, seconds.")] = (
        10.0
    )

    storage_full: Annotated[
        Literal["wait", "fail"], Field(description="Whether a full object storage makes a job wait for room, or fail.")
    ] = "wait"

    max_pixels: Annotated[int, Field(gt=0, description="Largest image accepted, pixels.")] = 120_000_000
    max_upload_bytes: Annotated[int, Field(gt=0, description="Largest request body accepted, bytes.")] = 256 * 2**20
    max_direct_upload_bytes: Annotated[
        int,
        Field(
            gt=0,
            le=2**40,
            description="Largest image that a client may upload to S3 by parts, bytes. With DREAM_STRIP_INPUTS also at "
            "most a quarter of DREAM_UPLOAD_BUDGET_BYTES.",
        ),
    ] = 5 * 2**30

    max_work: Annotated[
        int,
        Field(
            gt=0,
            description="Largest dream accepted, pixels x iterations over all octaves; a worker with two cores does "
            "the default within a day.",
        ),
    ] = 100_000_000_000
    upload_budget_bytes: Annotated[
        int,
        Field(
            gt=0,
            description="Bytes of images in requests, on the temporary disk, that one API process holds at a time; an "
            "owner gets at most half, or what one submission needs if that is more. Then 503.",
        ),
    ] = 1280 * 2**20

    formats: Annotated[
        tuple[ImageFormat, ...] | None,
        NoDecode,
        Field(description="Image formats that are accepted, separated by commas. Unset: all."),
    ] = None
    strip_inputs: Annotated[
        bool, Field(description="Store photographs without their metadata, like place and date.")
    ] = False

    keys: Annotated[
        Literal["on", "off"] | None,
        Field(description="Whether clients need an API key. Unset: not on loopback, and no start on a public address."),
    ] = None
    admin_key: Annotated[
        SecretStr | None,
        Field(min_length=24, description="Key that may only create, list and revoke API keys."),
    ] = None
    session_days: Annotated[float, Field(gt=0, le=365, description="How long the page stays logged in, days.")] = 14.0

    polls_per_minute: Annotated[int, Field(ge=1, description="Polls of single jobs, per owner.")] = 6000
    requests_per_minute: Annotated[int, Field(ge=1, description="Requests of any other kind, per owner.")] = 3000
    submissions_per_minute: Annotated[int, Field(ge=1, description="Jobs and uploads, per owner.")] = 600
    unauthenticated_per_minute: Annotated[
        int, Field(ge=1, description="Requests without a valid key, per address and API process.")
    ] = 60
    trusted_proxies: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="Number of trusted proxies in front of the API, whose X-Forwarded-For counts. Too high "
            "a number lets clients forge their address.",
        ),
    ] = 0
    max_queued: Annotated[int, Field(ge=1, description="Waiting jobs per owner.")] = 10_000
    max_running: Annotated[int, Field(ge=1, description="Running jobs per owner while other owners' jobs wait.")] = 4
    max_streams: Annotated[
        int, Field(ge=0, description="Open streams and `Prefer: wait` requests, per API process.")
    ] = 220
    max_owner_streams: Annotated[int, Field(ge=1, description="Of these, per owner, where callers need keys.")] = 50
    stream_limit_s: Annotated[
        float, Field(gt=0, description="Longest event stream, seconds; clients reconnect by themselves.")
    ] = 300.0
    public_url: Annotated[
        str | None,
        Field(
            description="The API's address as clients reach it, for links in webhooks. Unset: the address to which a "
            "job was submitted."
        ),
    ] = None
    webhook_networks: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(description="Private networks that webhooks may reach, separated by commas: 10.1.0.0/16."),
    ] = ()

    lease_s: Annotated[
        float,
        Field(ge=1, le=600, description="A worker that does not renew its lease for this long loses its job, seconds."),
    ] = 15.0
    max_deaths: Annotated[
        int, Field(ge=1, le=100, description="Worker deaths without a new checkpoint after which a job fails.")
    ] = 3
    checkpoint_interval_s: Annotated[
        float,
        Field(
            gt=0,
            description="Time between checkpoints within an octave, seconds; longer where they would cost over 3 % "
            "of the time.",
        ),
    ] = 60.0
    progress_interval_s: Annotated[float, Field(gt=0, description="Interval between progress updates, seconds.")] = 0.3
    caretaker_interval_s: Annotated[
        float, Field(gt=0, description="Interval between rounds of the caretaker, seconds.")
    ] = 1.0
    reconcile_interval_s: Annotated[
        float, Field(gt=0, description="Interval between comparisons of S3 with Redis, seconds.")
    ] = 60.0
    retention_days: Annotated[
        float | None,
        Field(gt=0, description="Days after which ended jobs lose their images; unset keeps them."),
    ] = None

    worker_name: Annotated[str, Field(description="Name of this worker, unique in the fleet.")] = Field(
        default_factory=socket.gethostname
    )
    models: Annotated[
        tuple[str, ...] | None,
        NoDecode,
        Field(
            description="Models that this worker serves, separated by commas; unset: all whose weights are installed."
        ),
    ] = None
    model_dir: Annotated[Path, Field(description="Folder of fetched weights.")] = Path("models")
    model_memory_bytes: Annotated[
        int,
        Field(ge=0, description="Weights kept in memory, bytes; the least recently used network is unloaded first."),
    ] = 512 * 2**20
    fetch_models: Annotated[
        bool, Field(description="Whether workers fetch missing weights that a waiting job needs.")
    ] = False
    catalog: Annotated[Path | None, Field(description="TOML file with your own networks.")] = None
    memory: Annotated[
        int | None,
        Field(
            ge=2**30,
            description="Memory that a worker may take, bytes; unset: nine tenths of the container's limit, else half "
            "of the machine's. More memory means larger tiles, and less time per pixel of large images.",
        ),
    ] = None
    tile_measurement_s: Annotated[
        float,
        Field(
            ge=0,
            le=60,
            description="Longest time, seconds, that a worker measures which tiles are fastest, at its first use of a "
            "network on this machine; kept in DREAM_MODEL_DIR. 0: never.",
        ),
    ] = 15.0
    mixed_precision: Annotated[
        bool,
        Field(
            description="Whether NVIDIA GPUs since Ampere multiply in TensorFloat-32: faster, with other pixels. The "
            "report's `versions` then have `precision`."
        ),
    ] = False
    tile_threads: Annotated[
        int | None, Field(ge=1, le=256, description="Tiles computed in parallel; unset: one per core.")
    ] = None

    share_dreams: Annotated[
        bool,
        Field(description="Whether idle workers compute tiles of another worker's dream; it has the same bytes then."),
    ] = True
    share_memory: Annotated[
        bool,
        Field(
            description="Whether tiles go to idle workers of the same host through memory that both map (Linux); "
            "otherwise they go through Redis."
        ),
    ] = True
    share_bytes: Annotated[
        int,
        Field(
            gt=0,
            description="Bytes of tiles that one shared dream may have on their way at a time, in Redis or in its "
            "worker's memory: about 24 MB for each tile of 1024 x 1024 pixels, and two such tiles for each helper.",
        ),
    ] = 256 * 2**20

    liveness_file: Annotated[
        Path | None, Field(description="File that a worker or caretaker touches every 5 s, for liveness probes.")
    ] = None
    metrics_host: Annotated[
        str, Field(description="Address on which worker and caretaker serve metrics; 0.0.0.0 in a container.")
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int | None,
        Field(ge=1, le=65535, description="Port of the metrics, one per process; unset: none. The API has `/metrics`."),
    ] = None

    @field_validator("redis_url", "s3_url", "s3_public_url", "public_url")
    @classmethod
    def _has_scheme(cls, value: str | None, field: ValidationInfo) -> str | None:
        schemes = ("redis", "rediss", "redis+sentinel") if field.field_name == "redis_url" else ("http", "https")
        if value is not None and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if value is not None and (field.field_name != "redis_url" or SentinelAddress.parse(value) is None):
            urlsplit(value).port  # noqa: B018 - raises ValueError for a wrong one
        return value

    @field_validator("formats", "models", "webhook_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


@cache
def load() -> Settings:
    """Returns the settings of this process. Raises InvalidSettings, which names each wrong variable."""
    try:
        return Settings()
    except ValidationError as exc:
        wrong = "; ".join(f"{PREFIX}{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in exc.errors())
        raise InvalidSettings(f"An environment variable has an invalid value. {wrong}.") from exc
    except SettingsError as exc:  # a structured variable is not JSON
        raise InvalidSettings(f"An environment variable can't be read: {exc}.") from exc


def load_or_exit() -> Settings:
    """Returns the settings; ends the process with one sentence when they are wrong."""
    try:
        return load()
    except InvalidSettings as exc:
        sys.stderr.write(f"{exc}\n")
        raise SystemExit(EX_CONFIG) from None


def misspelled() -> dict[str, str | None]:
    """Returns DREAM_ variables that nothing reads, each with the variable that was probably meant."""
    known = [*(f"{PREFIX}{name}".upper() for name in Settings.model_fields), *CLIENT_VARIABLES]
    unknown = [name for name in os.environ if name.startswith(PREFIX) and name not in known]
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in unknown}
