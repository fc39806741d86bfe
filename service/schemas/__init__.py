"""Bodies of requests and responses, with examples.

What is stored and queued is `worker.contract`'s.
"""

from service.schemas.identities import (
    Consent,
    ErasureReceipt,
    Identity,
    IdentityList,
    PhotoQuality,
    Refinement,
    RegisterForm,
    RegisterRequest,
    SwapQuality,
)
from service.schemas.jobs import (
    Job,
    JobInput,
    JobList,
    JobProgress,
    JobResultLink,
    JobUrls,
)
from service.schemas.operations import (
    Capacity,
    Health,
    Key,
    KeyList,
    KeyRequest,
    Model,
    ModelList,
    QueueCapacity,
    TenantUse,
    WebhookEndpoint,
    WebhookEndpointList,
    WebhookEndpointRequest,
    WebhookSecret,
)
from service.schemas.problem import JobError, Problem
from service.schemas.reports import (
    AnalysisResult,
    JobEvent,
    JobReport,
    JobStreamEvent,
)
from service.schemas.swaps import (
    AnalysisRequest,
    ExportRequest,
    RequestedOptions,
    SwapForm,
    SwapInput,
    SwapRequest,
    Upload,
)
from service.schemas.trust import VerifyRequest

__all__ = [
    "AnalysisRequest",
    "AnalysisResult",
    "Capacity",
    "Consent",
    "ErasureReceipt",
    "ExportRequest",
    "Health",
    "Identity",
    "IdentityList",
    "Job",
    "JobError",
    "JobEvent",
    "JobInput",
    "JobList",
    "JobProgress",
    "JobReport",
    "JobResultLink",
    "JobStreamEvent",
    "JobUrls",
    "Key",
    "KeyList",
    "KeyRequest",
    "Model",
    "ModelList",
    "PhotoQuality",
    "Problem",
    "QueueCapacity",
    "Refinement",
    "RegisterForm",
    "RegisterRequest",
    "RequestedOptions",
    "SwapForm",
    "SwapInput",
    "SwapQuality",
    "SwapRequest",
    "TenantUse",
    "Upload",
    "VerifyRequest",
    "WebhookEndpoint",
    "WebhookEndpointList",
    "WebhookEndpointRequest",
    "WebhookSecret",
]
