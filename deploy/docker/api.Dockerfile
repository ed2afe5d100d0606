# The API: docker build -f deploy/docker/api.Dockerfile -t dreamqueue-api .
# The base is pinned by digest; to renew it: docker buildx imagetools inspect python:3.11-slim-bookworm
FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d AS build
WORKDIR /build
COPY deploy/docker/tools.lock ./
RUN pip install --no-cache-dir --require-hashes -r tools.lock
COPY deploy/docker/build.sh deploy/docker/api.lock ./
RUN ./build.sh dependencies api.lock /opt/dream
COPY . source
RUN ./build.sh application source /opt/dream

FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d
COPY --from=build /opt/dream /opt/dream
COPY deploy/gunicorn.conf.py /etc/dreamqueue/
# Only /tmp, /dev/shm and mounts are written. With more arenas, glibc would keep 50 MB more for its threads.
ENV PATH=/opt/dream/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["gunicorn", "-c", "/etc/dreamqueue/gunicorn.conf.py", "-b", "0.0.0.0:8000", "api.app:create_app()"]
