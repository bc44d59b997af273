"""The operator's settings: environment variables `SUBLET_…`, each with its default and unit.

Read once at start. An unknown `SUBLET_` variable is an error, so that a misspelt one is never silently ignored.
"""

import os
import re
import socket
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sublet.api.urls import host_of

PREFIX = "SUBLET_"
_URL = r"^(https?://\S+)?$"
_STEP = r"([^/]*[^/.][^/]*|\.{3,})"
PLACE_OF_FILES = rf"^(|/.+|s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](/+{_STEP}(/{_STEP})*)?/*)$"
PLACE_WANTED = "give the whole path of a directory, as /var/lib/sublet/focus, or s3://bucket/prefix"
_IN_MEMORY = re.compile(r"sqlite:/{0,3}(:memory:)?(\?.*)?")
LONGEST_TOKEN_SECONDS = 86_400
"""What the policies of leased clusters hold the operator's credential to, whatever it is set to."""


class Settings(BaseSettings):
    """All settings of the operator."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = (
        "sublet-system"
    )
    """The operator's own namespace on the hub: credentials of leased clusters and the Lease live there."""
    identity: Annotated[str, Field(min_length=1)] = Field(
        default_factory=lambda: f"{socket.gethostname()}_{os.getpid()}"
    )
    """This replica's name in leader election. Up to a `_` it is the pod's name: by that the command line finds the leader."""
    database_url: str = "sqlite:////var/lib/sublet/ledger.sqlite"
    """Where the ledger is: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."""
    kubeconfig: str | None = None
    """The hub's kubeconfig; without it the pod's own ServiceAccount, else KUBECONFIG."""
    hub_tenant_server: Annotated[str, Field(pattern=_URL)] = ""
    """The hub's URL as tenants reach it, for leases of the hub's own nodes; without it the operator's own way."""
    default_tenant: str | None = None
    """GpuTenant of namespaces that no tenant names (single-team installs)."""
    refusal_detail: Literal["full", "coarse"] = "full"
    """full, or coarse: what claims are told leaves out how many GPUs there are, and how many are free."""
    allow_local_clusters: bool = False
    """Accept leased clusters on loopback and link-local addresses (local development)."""
    token_life_seconds: Annotated[int, Field(ge=600, le=LONGEST_TOKEN_SECONDS)] = 21_600
    """Life of the tenants' tokens; renewed at half of it. How long access survives without the hub."""
    argocd_namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = ""
    """Argo CD's namespace on the hub: it reads the Secrets of claims there as clusters to deploy into. None without."""
    plan_quiet_seconds: Annotated[float, Field(gt=0, le=1)] = 0.05
    """The planner waits for so long without events …"""
    plan_wait_seconds: Annotated[float, Field(gt=0, le=10)] = 1.0
    """… but never longer than this after the first one."""
    accounts_seconds: Annotated[float, Field(gt=0, le=3_600)] = 30.0
    """How often tenants' spend and usage are read from the ledger; the store may be slow, planning doesn't wait for it."""
    usage_half_life_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    """After which time GPUs held in the past count half in fair share; 0: only what is held now counts."""
    rates_file: str = ""
    """Table of dated exchange rates into one reporting currency (YAML); read at start and when it changes. None without."""
    statement_seconds: Annotated[float, Field(ge=1)] = 3_600.0
    """How often billing periods that are over are closed, and GpuStatements are compared with the ledger."""
    close_after_days: Annotated[int, Field(ge=0, le=90)] = 3
    """So many days after its end a billing period is closed; what comes later is corrected in the next one."""
    relist_seconds: Annotated[float, Field(ge=10)] = 600.0
    """How often the hub is listed again (metadata only) to catch what a watch lost."""
    probe_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How often each leased cluster is asked who it is; three failures in a row make it Unknown."""
    gpu_settle_seconds: Annotated[float, Field(ge=0)] = 600.0
    """How long GPUs that were missing and came back must stay before their node is sold again."""
    isolation_seconds: Annotated[float, Field(ge=10)] = 3_600.0
    """How often isolation is proven anew in each leased cluster."""
    drift_seconds: Annotated[float, Field(ge=1)] = 120.0
    """How often what Sublet made in each leased cluster is compared with what should be there; kubeconfigs, every fifth time."""
    requests_per_cluster: Annotated[int, Field(ge=1, le=256)] = 24
    """Requests under way to one leased cluster at once."""
    leader_election: bool = True
    """Only the holder of the Lease writes; off only in tests and single-replica installs."""
    lease_seconds: Annotated[float, Field(ge=3)] = 15.0
    """Life of the Lease; renewed every 2 seconds (a sixth of it if shorter), given up after two thirds without renewal."""
    listen_host: str = "0.0.0.0"  # noqa: S104  a pod's probes and scrapes come from outside the pod
    """Address of /healthz, /readyz and /metrics; `::` where pods have IPv6 addresses alone."""
    listen_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port of /healthz, /readyz and /metrics; 0 picks a free one."""
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    """Port of the admin endpoint, on loopback only; 0 picks a free one. Port-forwards of the command line lead to 8081."""
    metrics_auth: bool = True
    """/metrics asks the hub who may read it (TokenReview, SubjectAccessReview)."""
    metrics_per_claim: bool = True
    """Export series per claim."""
    metrics_claim_limit: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Claims that have series of their own; those beyond are counted in sublet_series_suppressed."""
    metrics_retention_seconds: Annotated[int, Field(ge=60, le=2_592_000)] = 3_600
    """How long the series of a claim stay after its end; longer than two scrapes."""
    metrics_opencost: bool = False
    """Export node_gpu_count and node_gpu_hourly_cost too, as OpenCost names them."""
    events_url: Annotated[str, Field(pattern=_URL)] = ""
    """Where each line of the ledger goes as a CloudEvent, by POST; nowhere without. It names leases: the platform team's, no tenant's."""
    events_token_file: str | None = None
    """File with the bearer token for it; read at each request."""
    events_batch: Annotated[int, Field(ge=1, le=500)] = 1
    """Above 1: so many events in one request, in CloudEvents' batch mode."""
    export_target: str = ""
    """Where FOCUS files go by themselves: a directory's whole path, or s3://bucket/prefix; nowhere without."""
    export_endpoint: Annotated[str, Field(pattern=_URL)] = ""
    """The S3 server's URL, if it isn't AWS."""
    export_region: str = ""
    """The bucket's region; without it AWS_REGION, else us-east-1."""
    export_seller: str = ""
    """Who sells to tenants, as their files say it; needed where there is a target."""
    export_version: Literal["1.4", "1.2"] = "1.4"
    """Of FOCUS."""
    export_formats: Literal["parquet", "csv", "parquet,csv"] = "parquet"
    """Of files."""
    export_grid: Literal["hour", "day"] = "hour"
    """How fine rows are cut."""
    export_hour: Annotated[int, Field(ge=0, le=23)] = 1
    """Hour of the day (UTC) at which open billing periods are exported; a period that is closed is exported at once."""
    export_shows_host: bool = False
    """Tenants' files name whose hardware it is."""
    record_passes: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How many of the last passes that decided something are kept as files for `sublet replay`; 0: none."""
    record_directory: str = "/var/lib/sublet/passes"
    """Where they are kept; they hold names and prices of all parties."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """json, console, or auto: console on a terminal."""

    @field_validator("database_url")
    @classmethod
    def _names_a_file(cls, url: str) -> str:
        if _IN_MEMORY.fullmatch(url):
            raise ValueError(
                "without a file the ledger would be lost at the next start; say sqlite:///FILE"
            )
        return url

    @field_validator("export_target")
    @classmethod
    def _is_a_place(cls, target: str) -> str:
        if not re.fullmatch(PLACE_OF_FILES, target):
            raise ValueError(PLACE_WANTED)
        return target

    @field_validator("events_url", "export_endpoint", "hub_tenant_server")
    @classmethod
    def _has_a_host(cls, url: str) -> str:
        if url and not host_of(url):
            raise ValueError("a URL with a host is wanted, as https://host.example.org")
        return url

    @model_validator(mode="after")
    def _has_two_ports(self) -> Self:
        if self.listen_port == self.admin_port != 0:
            raise ValueError(
                f"SUBLET_LISTEN_PORT and SUBLET_ADMIN_PORT must differ: both are {self.admin_port}"
            )
        return self

    @model_validator(mode="after")
    def _names_the_seller(self) -> Self:
        if self.export_target and not self.export_seller.strip():
            raise ValueError(
                "SUBLET_EXPORT_SELLER must say who sells where there is an export target"
            )
        return self


def load_settings() -> Settings:
    """Read the environment; ValueError with one line that says what to mend."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(v for v in os.environ if v.startswith(PREFIX) and v not in known)
    if unknown:
        raise ValueError(
            f"unknown setting {unknown[0]}; the settings are listed in docs/settings.md"
        )
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ValueError(said) from error
        name = f"{PREFIX}{str(first['loc'][0]).upper()}"
        raise ValueError(f"{name}: {said}") from error
