# Everything that infra/aws/cluster.yaml and infra/README.md name.
output "name" {
  value = var.name
}

output "region" {
  value = var.region
}

output "bucket" {
  value = aws_s3_bucket.store.bucket
}

output "registry" {
  value = split("/", aws_ecr_repository.image["lgc"].repository_url)[0]
}

# LGC_REGISTRY of infra/docker/build.sh
output "registry_prefix" {
  value = trimsuffix(aws_ecr_repository.image["lgc"].repository_url, "/lgc")
}

output "subnet" {
  value = var.subnet
}

output "security_group" {
  value = aws_security_group.cluster.id
}

output "head_profile" {
  value = aws_iam_instance_profile.machine["head"].arn
}

output "worker_profile" {
  value = aws_iam_instance_profile.machine["worker"].arn
}

output "efs_address" {
  value = aws_efs_file_system.project.dns_name
}

output "machine_image" {
  value = var.machine_image
}

output "key_name" {
  value = var.key_name
}

output "ssh_private_key" {
  value = var.ssh_private_key
}

output "head_type" {
  value = var.head_type
}

output "worker_type" {
  value = var.worker_type
}

output "worker_cpus" {
  value = var.worker_cpus
}

output "max_workers" {
  value = var.max_workers
}

output "use_internal_ips" {
  value = false
}
