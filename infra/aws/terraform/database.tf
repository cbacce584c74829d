# Optional: PostgreSQL for MLflow. AWS makes the password and keeps it in its secrets manager; Terraform never sees it.
resource "aws_db_subnet_group" "mlflow" {
  count      = length(var.database_subnets) > 0 ? 1 : 0
  name       = "${var.name}-mlflow"
  subnet_ids = var.database_subnets
}

resource "aws_security_group" "database" {
  count       = length(var.database_subnets) > 0 ? 1 : 0
  name        = "${var.name}-database"
  description = "PostgreSQL from the cluster only"
  vpc_id      = var.vpc
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  count                        = length(var.database_subnets) > 0 ? 1 : 0
  security_group_id            = aws_security_group.database[0].id
  referenced_security_group_id = aws_security_group.cluster.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_instance" "mlflow" {
  count                       = length(var.database_subnets) > 0 ? 1 : 0
  identifier                  = "${var.name}-mlflow"
  engine                      = "postgres"
  engine_version              = "15"
  instance_class              = "db.t4g.small"
  allocated_storage           = 20
  max_allocated_storage       = 100
  storage_encrypted           = true
  db_name                     = "mlflow"
  username                    = "mlflow"
  manage_master_user_password = true
  db_subnet_group_name        = aws_db_subnet_group.mlflow[0].name
  vpc_security_group_ids      = [aws_security_group.database[0].id]
  publicly_accessible         = false
  backup_retention_period     = 7
  auto_minor_version_upgrade  = true
  deletion_protection         = true
  final_snapshot_identifier   = "${var.name}-mlflow-final"
}
