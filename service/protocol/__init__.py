"""HTTP, whatever the resource: bodies, problems, OpenAPI texts, paging, idempotency, delivery, logs
and metrics.
"""
