variable "region" {
  type        = string
  description = "AWS region of everything."
}

variable "name" {
  type        = string
  default     = "lgc"
  description = "Prefix of names and the value of the tag `project`."
}

variable "bucket" {
  type        = string
  description = "Name of the bucket for checkpoints, artifacts and DVC's cache; unique in the world."
}

variable "vpc" {
  type        = string
  description = "Id of the VPC of the cluster."
}

variable "subnet" {
  type        = string
  description = "Id of the subnet of the cluster; one with a route to the internet or to VPC endpoints."
}

variable "ssh_from" {
  type        = list(string)
  description = "CIDR blocks from which the head takes SSH; the only way in. Never 0.0.0.0/0."
  validation {
    condition     = length(var.ssh_from) > 0 && !contains(var.ssh_from, "0.0.0.0/0")
    error_message = "ssh_from needs your own addresses, not the whole internet."
  }
}

variable "checkpoint_days" {
  type        = number
  default     = 30
  description = "Days after which checkpoints of stages (runs/) are removed."
}

variable "machine_image" {
  type        = string
  description = "AMI with Docker and NVIDIA's driver (AWS Deep Learning Base GPU AMI, Ubuntu) in this region."
}

variable "key_name" {
  type        = string
  description = "Name of your EC2 key pair."
}

variable "ssh_private_key" {
  type        = string
  description = "Path of its private key on your machine; the key itself stays there."
}

variable "head_type" {
  type        = string
  default     = "m6i.2xlarge"
  description = "Machine type of the head; no GPU."
}

variable "worker_type" {
  type        = string
  default     = "g5.2xlarge"
  description = "Machine type of a worker with one GPU."
}

variable "worker_cpus" {
  type        = number
  default     = 8
  description = "Virtual CPUs of a worker."
}

variable "max_workers" {
  type        = number
  default     = 4
  description = "The most workers the autoscaler may ask for."
}
