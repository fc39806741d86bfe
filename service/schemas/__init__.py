"""Bodies of requests and responses, with examples.

What is stored and queued is `worker.contract`'s.
"""

from service.schemas.batches import Batch
from service.schemas.batches import BatchCounts
from service.schemas.batches import BatchEvent
from service.schemas.batches import BatchItem
from service.schemas.batches import BatchList
from service.schemas.batches import BatchRequest
from service.schemas.consent import Consent
from service.schemas.identities import (
    ErasureReceipt,
    Identity,
    IdentityChange,
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
    Delivery,
    DeliveryList,
    EndpointTest,
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
    OneCallForm,
    RequestedOptions,
    SwapForm,
    SwapInput,
    SwapRequest,
)
from service.schemas.tokens import BrowserToken, TokenRequest
from service.schemas.trust import VerifyRequest
from service.schemas.uploads import (
    PartialUpload,
    PresignedRequest,
    PresignedUpload,
    Upload,
    UploadList,
)

__all__ = [
    "AnalysisRequest",
    "AnalysisResult",
    "Batch",
    "BatchCounts",
    "BatchEvent",
    "BatchItem",
    "BatchList",
    "BatchRequest",
    "BrowserToken",
    "Capacity",
    "Consent",
    "Delivery",
    "DeliveryList",
    "EndpointTest",
    "ErasureReceipt",
    "ExportRequest",
    "Health",
    "Identity",
    "IdentityChange",
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
    "OneCallForm",
    "PartialUpload",
    "PhotoQuality",
    "PresignedRequest",
    "PresignedUpload",
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
    "TokenRequest",
    "Upload",
    "UploadList",
    "VerifyRequest",
    "WebhookEndpoint",
    "WebhookEndpointList",
    "WebhookEndpointRequest",
    "WebhookSecret",
]
