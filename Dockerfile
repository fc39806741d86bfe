# docker build -t likeness .
# docker build -t likeness:gpu --build-arg EXTRA=gpu .
# podman and buildah read it too; docs/operations.md has the variants.

# Any Debian or Ubuntu image with python3 (3.11 or newer) and its venv module will do.
ARG BASE=docker.io/library/python:3.12-slim-bookworm

FROM ${BASE} AS build
# Extras of pyproject.toml: cpu or gpu, and refine with either ("cpu,refine").
ARG EXTRA=cpu
WORKDIR /opt/likeness
RUN python3 -m venv /opt/venv
COPY pyproject.toml requirements.lock ./
# Your pip.conf, for an index or a certificate of your own: --secret id=pip,src=pip.conf
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/venv/bin/pip install --no-cache-dir -c requirements.lock ".[${EXTRA}]" \
    && case ",${EXTRA}," in *,gpu,*) \
        # Both of them are the module onnxruntime: the one for the GPU takes the other's place.
        /opt/venv/bin/pip uninstall --yes onnxruntime \
        && /opt/venv/bin/pip install --no-cache-dir --force-reinstall --no-deps \
            -c requirements.lock onnxruntime-gpu ;; esac
COPY models models
# Where there is no compiler and none can be had, numpy does what the kernels do.
RUN command -v cc > /dev/null \
    || (apt-get -q -o Acquire::Retries=0 -o Acquire::http::Timeout=20 update \
        && apt-get -q install --yes --no-install-recommends gcc libc6-dev) \
    || true; /opt/venv/bin/python -m models kernels
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/venv/bin/python -m models --root /opt/packs pull open

FROM ${BASE} AS runtime
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Likeness" \
      org.opencontainers.image.description="Face swapping in images and videos as an HTTP service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# NVIDIA's container runtime puts only the driver in, and only where these ask for it: CUDA's and
# cuDNN's libraries come with the extra gpu.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/likeness \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LIKENESS_HOST=0.0.0.0 \
    LIKENESS_DATA_DIR=/data \
    LIKENESS_PACKS_DIR=/opt/packs
# The volume inherits this directory's owner, so that no process ever needs root.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
WORKDIR /opt/likeness
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/packs /opt/packs
COPY LICENSE NOTICE ./
COPY models models
COPY --from=build /opt/likeness/models/inference/native models/inference/native
COPY worker worker
COPY service service
COPY clients/python clients/python
COPY likeness likeness
# The root is read-only when this runs, so that every start would compile the modules again.
RUN python3 -m compileall -q models worker service clients likeness
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python3", "-m", "service", "serve"]
