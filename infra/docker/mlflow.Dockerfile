# The MLflow server: SQL driver, S3 client, users with passwords. Build it with infra/docker/build.sh.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE}
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
COPY requirements/mlflow.lock /opt/mlflow/mlflow.lock
RUN pip install --no-deps --only-binary=:all: --require-hashes -r /opt/mlflow/mlflow.lock \
    && pip check \
    && useradd --uid 1000 --user-group --create-home --shell /usr/sbin/nologin mlflow
COPY infra/docker/make_bucket.py infra/docker/mlflow-entrypoint.sh /opt/mlflow/
USER 1000:1000
WORKDIR /tmp
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["/opt/mlflow/mlflow-entrypoint.sh"]
CMD ["--host=127.0.0.1", "--port=5000"]
