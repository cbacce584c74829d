"""PostgreSQL, an S3 store and an MLflow server as plain processes on loopback."""
