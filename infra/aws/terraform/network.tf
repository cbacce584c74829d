# SSH to the head from your addresses; everything else only between the cluster's own machines.
resource "aws_security_group" "cluster" {
  name        = "${var.name}-cluster"
  description = "Ray cluster: SSH from outside, all ports among its own machines"
  vpc_id      = var.vpc
}

resource "aws_vpc_security_group_ingress_rule" "ssh" {
  for_each          = toset(var.ssh_from)
  security_group_id = aws_security_group.cluster.id
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 22
  to_port           = 22
}

resource "aws_vpc_security_group_ingress_rule" "inside" {
  security_group_id            = aws_security_group.cluster.id
  referenced_security_group_id = aws_security_group.cluster.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.cluster.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

# outputs/ and runs/ of the project, shared by all machines of the cluster
resource "aws_efs_file_system" "project" {
  encrypted = true
  lifecycle_policy {
    transition_to_ia = "AFTER_30_DAYS"
  }
}

resource "aws_efs_mount_target" "project" {
  file_system_id  = aws_efs_file_system.project.id
  subnet_id       = var.subnet
  security_groups = [aws_security_group.cluster.id]
}
