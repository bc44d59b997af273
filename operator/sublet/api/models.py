"""The model of each kind: what its objects are read as, and what its CRD is generated from."""

from collections.abc import Mapping
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gpustatement import GpuStatement
from sublet.api.gputenant import GpuTenant
from sublet.api.kinds import CLAIMS, CLASSES, LEASES, STATEMENTS, TENANTS
from sublet.api.schema import ApiModel

MODELS: Final[Mapping[str, type[ApiModel]]] = {
    LEASES.name: GpuLease,
    CLASSES.name: GpuClass,
    TENANTS.name: GpuTenant,
    CLAIMS.name: GpuClaim,
    STATEMENTS.name: GpuStatement,
}
