# The service and its framework kinds, one target each:
#   docker build --target service   static readers only; a spec answers with the extra it needs
#   docker build --target keras     service + TensorFlow, Keras
#   docker build --target torch     service + PyTorch
#   docker build                    all of it
# BASE: any image with python3 (3.11 to 3.13) and its venv module. Where pip should look is the caller's business:
#   docker build --secret id=pip,src=pip.conf
# mounts a pip.conf for the install steps only; nothing of it stays in a layer.
ARG BASE=python:3.13-slim

# hadolint ignore=DL3006
FROM ${BASE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/weighbridge
# Slim images come without the standard library's bytecode, and a read-only root could never keep any.
RUN python3 -m compileall -qq -x '/(test|tests|lib2to3)/' "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# --- building: a pip of its own fills the environments, so that none of them carries one ---------------------------
FROM base AS pip
ENV PIP_CONFIG_FILE=/run/secrets/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_INPUT=1 \
    PIP_QUIET=2
COPY pyproject.toml constraints.txt ./
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    python3 -m venv /opt/pip \
    && /opt/pip/bin/python -m pip install --constraint constraints.txt setuptools wheel \
    && /opt/pip/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
       > requirements.txt

# What each environment is made of is written down where it is made (CycloneDX), by a tool that stays behind.
FROM pip AS sbom
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    python3 -m venv /opt/sbom \
    && /opt/sbom/bin/python -m pip install --constraint constraints.txt cyclonedx-bom

FROM pip AS wheel
COPY README.md ./
COPY schemas schemas
COPY service service
RUN /opt/pip/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM pip AS built-service
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    python3 -m venv --without-pip .venv \
    && /opt/pip/bin/python -m pip --python .venv/bin/python install --constraint constraints.txt --requirement requirements.txt
COPY --from=wheel /wheel /wheel
RUN /opt/pip/bin/python -m pip --python .venv/bin/python install --no-index --no-deps /wheel/*.whl
COPY --from=sbom /opt/sbom /opt/sbom
RUN mkdir sbom \
    && /opt/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
       --output-file sbom/weighbridge.cdx.json .venv/bin/python

FROM pip AS built-keras
# C++ headers are for compiling operators, which nobody does here.
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    python3 -m venv --without-pip .venv-keras \
    && /opt/pip/bin/python -m pip --python .venv-keras/bin/python install --constraint constraints.txt \
       tensorflow-cpu keras msgspec numpy \
    && rm -rf .venv-keras/lib/python3*/site-packages/tensorflow/include
COPY --from=wheel /wheel /wheel
RUN /opt/pip/bin/python -m pip --python .venv-keras/bin/python install --no-index --no-deps /wheel/*.whl
COPY --from=sbom /opt/sbom /opt/sbom
RUN mkdir sbom \
    && /opt/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
       --output-file sbom/weighbridge-keras.cdx.json .venv-keras/bin/python

FROM pip AS built-torch
# As above; of torch/bin only the test programs could go, and torch_shm_manager is needed at import.
RUN --mount=type=secret,id=pip,target=/run/secrets/pip \
    python3 -m venv --without-pip .venv-torch \
    && /opt/pip/bin/python -m pip --python .venv-torch/bin/python install --constraint constraints.txt \
       torch transformers msgspec numpy \
    && rm -rf .venv-torch/lib/python3*/site-packages/torch/include .venv-torch/lib/python3*/site-packages/torch/test
COPY --from=wheel /wheel /wheel
RUN /opt/pip/bin/python -m pip --python .venv-torch/bin/python install --no-index --no-deps /wheel/*.whl
COPY --from=sbom /opt/sbom /opt/sbom
RUN mkdir sbom \
    && /opt/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
       --output-file sbom/weighbridge-torch.cdx.json .venv-torch/bin/python

# --- running: read-only root, nobody's uid, data in one volume -----------------------------------------------------
FROM base AS service
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin weighbridge \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=built-service /opt/weighbridge/.venv .venv
COPY --from=built-service /opt/weighbridge/sbom sbom
COPY deploy/gunicorn.conf.py deploy/healthcheck.py deploy/
# `weighbridge` is found by name: `docker exec CONTAINER weighbridge keys add me --role admin` makes the first key.
ENV HOST=0.0.0.0 \
    PORT=8000 \
    PATH=/opt/weighbridge/.venv/bin:$PATH \
    WEIGHBRIDGE_DATA_DIR=/data
VOLUME /data
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["/opt/weighbridge/.venv/bin/python", "-I", "deploy/healthcheck.py"]
# gunicorn's master may be process 1: it waits for any child, so orphans are reaped, and it stops on SIGTERM.
CMD ["/opt/weighbridge/.venv/bin/python", "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "service.wsgi:app"]

FROM service AS keras
COPY --from=built-keras /opt/weighbridge/.venv-keras .venv-keras
COPY --from=built-keras /opt/weighbridge/sbom sbom

FROM service AS torch
COPY --from=built-torch /opt/weighbridge/.venv-torch .venv-torch
COPY --from=built-torch /opt/weighbridge/sbom sbom

FROM service AS all
COPY --from=built-keras /opt/weighbridge/.venv-keras .venv-keras
COPY --from=built-torch /opt/weighbridge/.venv-torch .venv-torch
COPY --from=built-keras /opt/weighbridge/sbom sbom
COPY --from=built-torch /opt/weighbridge/sbom sbom
