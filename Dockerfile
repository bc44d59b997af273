# The operator's image: a virtual environment in a slim Python, and nothing that could build another one.
#
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim --build-arg PYTHON_DIGEST=sha256:… -t sublet:0.1.0 .
#
# The base is an argument, so that it can come from any registry, or from none. Every package is checked against its hash in
# tools/image/*.lock. Nothing here needs BuildKit.
ARG PYTHON_IMAGE=python:3.11-slim
ARG PYTHON_DIGEST=

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
COPY tools/image/build.lock tools/image/runtime.lock tools/image/
# wheels alone: what would have to be compiled is refused
RUN python3 -m venv /opt/build \
 && python3 -m venv --without-pip /opt/sublet \
 && /opt/build/bin/pip install --only-binary :all: --require-hashes -r tools/image/build.lock \
 && /opt/build/bin/pip --python /opt/sublet/bin/python install --only-binary :all: --require-hashes -r tools/image/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/sublet/bin/python install --no-deps --no-index /wheels/*.whl \
 && /opt/sublet/bin/sublet version

FROM ${PYTHON_IMAGE}${PYTHON_DIGEST:+@${PYTHON_DIGEST}}
ARG VERSION=unknown
LABEL org.opencontainers.image.title="sublet" \
      org.opencontainers.image.description="Kubernetes operator for subleased GPU pools" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# a name for the number: programs that ask who they are get an answer
RUN echo 'sublet:x:65532:65532:sublet:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'sublet:x:65532:' >> /etc/group \
 && mkdir -p /var/lib/sublet \
 && chown 65532:65532 /var/lib/sublet
COPY --from=build /opt/sublet /opt/sublet
# the root is read-only where the chart runs it: byte code was written above, and whatever else is written goes to /tmp or /var/lib/sublet
ENV PATH=/opt/sublet/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "sublet"]
