# The worker and the caretaker, for CPUs and for NVIDIA GPUs (the CUDA libraries come as wheels, the driver from the
# host):
#   docker build -f deploy/docker/worker.Dockerfile -t dreamqueue-worker .
#   docker build -f deploy/docker/worker.Dockerfile -t dreamqueue-worker:gpu --build-arg LOCK=worker-gpu.lock .
# With --build-arg HEIF= it can't read HEIC and holds no GPL code (see DECISIONS.md); set DREAM_FORMATS without heic then.
# The base is pinned by digest; to renew it: docker buildx imagetools inspect python:3.11-slim-bookworm
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build
ARG LOCK=worker.lock HEIF=heif.lock
WORKDIR /build
COPY deploy/docker/tools.lock ./
RUN pip install --no-cache-dir --require-hashes -r tools.lock
COPY deploy/docker/build.sh deploy/docker/worker.lock deploy/docker/worker-gpu.lock deploy/docker/heif.lock ./
RUN ./build.sh dependencies "$LOCK" /opt/dream && ./build.sh further "$HEIF" /opt/dream
COPY . source
RUN ./build.sh application source /opt/dream

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
COPY --from=build /opt/dream /opt/dream
# A named volume inherits the owner of this folder.
RUN install -d -o 10001 -g 10001 /models
# Only /tmp (checkpoints in transit: four bytes per color and pixel), /models and mounts are written.
ENV PATH=/opt/dream/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TF_CPP_MIN_LOG_LEVEL=2 NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    DREAM_MODEL_DIR=/models DREAM_LIVENESS_FILE=/tmp/alive DREAM_METRICS_HOST=0.0.0.0 DREAM_METRICS_PORT=9100
USER 10001:10001
WORKDIR /tmp
VOLUME /models
EXPOSE 9100
# The parent touches the file every 5 s, even while Redis is unavailable: that is no reason for a restart.
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s \
    CMD ["sh", "-c", "test $(($(date +%s) - $(stat -c %Y /tmp/alive))) -lt 30"]
# Gossip, mingle and Celery's heartbeats message every other worker, which would load Redis in a large fleet.
CMD ["celery", "-A", "worker.app", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO", \
    "--without-gossip", "--without-mingle", "--without-heartbeat"]
