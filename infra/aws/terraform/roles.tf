# Workers: this bucket, this registry, nothing else. The head: that, and machines that carry the cluster's tag.
data "aws_caller_identity" "current" {}

locals {
  ec2 = "arn:aws:ec2:${var.region}:${data.aws_caller_identity.current.account_id}"
}

data "aws_iam_policy_document" "machine" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    actions   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    resources = [aws_s3_bucket.store.arn]
  }
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.store.arn}/*"]
  }
  statement {
    actions   = ["ecr:GetAuthorizationToken"] # AWS has no narrower resource for it
    resources = ["*"]
  }
  statement {
    actions   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    resources = [for repository in aws_ecr_repository.image : repository.arn]
  }
}

data "aws_iam_policy_document" "head" {
  source_policy_documents = [data.aws_iam_policy_document.worker.json]
  statement {
    actions = [ # reading; AWS has no narrower resource for it
      "ec2:DescribeInstances", "ec2:DescribeImages", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
      "ec2:DescribeKeyPairs", "ec2:DescribeInstanceTypes", "ec2:DescribeAvailabilityZones",
    ]
    resources = ["*"]
  }
  statement {
    actions = ["ec2:RunInstances"]
    resources = [
      "${local.ec2}:volume/*", "${local.ec2}:network-interface/*", "${local.ec2}:key-pair/${var.key_name}",
      "${local.ec2}:subnet/${var.subnet}", "${local.ec2}:security-group/${aws_security_group.cluster.id}",
      "arn:aws:ec2:${var.region}::image/${var.machine_image}", "${local.ec2}:spot-instances-request/*",
    ]
  }
  statement {
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:InstanceType"
      values   = [var.worker_type]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/ray-cluster-name"
      values   = [var.name]
    }
  }
  statement {
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2}:instance/*", "${local.ec2}:volume/*", "${local.ec2}:spot-instances-request/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }
  statement {
    actions   = ["ec2:TerminateInstances", "ec2:CreateTags"]
    resources = ["${local.ec2}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:ResourceTag/ray-cluster-name"
      values   = [var.name]
    }
  }
  statement {
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.machine["worker"].arn]
  }
}

resource "aws_iam_role" "machine" {
  for_each           = toset(["head", "worker"])
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_role_policy" "head" {
  role   = aws_iam_role.machine["head"].id
  policy = data.aws_iam_policy_document.head.json
}

resource "aws_iam_role_policy" "worker" {
  role   = aws_iam_role.machine["worker"].id
  policy = data.aws_iam_policy_document.worker.json
}

resource "aws_iam_instance_profile" "machine" {
  for_each = aws_iam_role.machine
  name     = each.value.name
  role     = each.value.name
}
