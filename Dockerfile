# syntax=docker/dockerfile:1
# docker build -t likeness .
# docker build -t likeness:gpu --build-arg PROCESSOR=gpu .
ARG PROCESSOR=cpu

FROM python:3.12-slim-bookworm AS base-cpu

FROM nvidia/cuda:13.0.1-base-ubuntu24.04 AS base-gpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

FROM base-${PROCESSOR} AS build
ARG PROCESSOR
WORKDIR /opt/likeness
RUN python3 -m venv /opt/venv
COPY pyproject.toml requirements.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir -c requirements.lock ".[${PROCESSOR}]"
COPY models models
RUN /opt/venv/bin/python -m models --root /opt/packs pull open

FROM base-${PROCESSOR} AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LIKENESS_HOST=0.0.0.0 \
    LIKENESS_DATA_DIR=/data \
    LIKENESS_PACKS_DIR=/opt/packs
# The volume inherits this folder's owner, so that no process ever needs root.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
WORKDIR /opt/likeness
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/packs /opt/packs
COPY LICENSE NOTICE ./
COPY models models
COPY worker worker
COPY service service
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python3", "-m", "service", "serve"]
