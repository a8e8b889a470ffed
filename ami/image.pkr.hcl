# Every image: one template for the Hadoop image and for layers on it, for AWS and every cloud with its API. `hcluster ami bake`
# supplies all variables and, through the environment of Packer's process alone, the credentials.
#
# HCL2 as Packer 1.6 reads it: no required_plugins, no metadata_options. IMDSv2 is required by the image's attribute, which
# hcluster sets after the bake, and by every launch template.

variable "region" { type = string }
variable "ec2_endpoint" {
  type        = string
  description = "URL of EC2 as the profile reaches it; on AWS the region's own."
}
variable "parent" {
  type        = string
  description = "Id of the image that this one is baked on; resolved before, since the name's hash covers it."
}
variable "puppet_role" {
  type        = string
  description = "What Puppet makes of the machine: image (with Hadoop), or layer (of an image that has it)."
}
variable "instance_type" { type = string }
variable "root_gib" {
  type        = number
  default     = 30
  description = "Size of the image's root volume, and so of each node's: Debian's 8 GiB would not hold a job's files."
}
variable "root_device" {
  type        = string
  default     = "/dev/xvda"
  description = "Name of the parent's root device; the default is Debian's. With another name a second volume would be made."
}
variable "subnet" { type = string }
variable "security_group" { type = string }
variable "ssh_user" { type = string }
variable "bastion_host" {
  type        = string
  description = "SSH server on the way to the instance; empty means none. Its key comes from the caller's SSH agent."
}
variable "bastion_port" { type = number }
variable "bastion_user" { type = string }
variable "package_proxy" {
  type        = string
  description = "HOST:PORT of the proxy that packages are installed through; empty means directly."
}
variable "image_name" { type = string }
variable "image_description" { type = string }
variable "image_tags" { type = map(string) }
variable "run_tags" {
  type        = map(string)
  description = "Tags of the instance on which the image is baked, and of its volume."
}
variable "user_data" {
  type        = string
  description = "Tells a machine whose image has hcluster's node program that it is no node, and lets Packer's key in."
}
variable "uploads" {
  type        = string
  description = "Folder, with a slash at its end: all that goes onto the machine."
}

source "amazon-ebs" "image" {
  region                      = var.region
  custom_endpoint_ec2         = var.ec2_endpoint
  skip_region_validation      = true
  skip_metadata_api_check     = true
  skip_credential_validation  = true
  source_ami                  = var.parent
  instance_type               = var.instance_type
  subnet_id                   = var.subnet
  security_group_id           = var.security_group
  associate_public_ip_address = false
  shutdown_behavior           = "terminate"
  user_data                   = var.user_data

  # The image takes over what the machine had; Debian's first boot grows the file system to its volume.
  launch_block_device_mappings {
    device_name           = var.root_device
    volume_size           = var.root_gib
    volume_type           = "gp3"
    iops                  = 3000 # these two are what gp3 has without extra charge; Packer demands them
    throughput            = 125
    delete_on_termination = true
  }

  ssh_username  = var.ssh_user
  ssh_interface = "private_ip"
  ssh_timeout   = "5m"

  ssh_bastion_host       = var.bastion_host
  ssh_bastion_port       = var.bastion_port
  ssh_bastion_username   = var.bastion_user
  ssh_bastion_agent_auth = var.bastion_host != ""

  ami_name        = var.image_name
  ami_description = var.image_description
  tags            = var.image_tags
  snapshot_tags   = var.image_tags
  run_tags        = var.run_tags
  run_volume_tags = var.run_tags

  aws_polling {
    delay_seconds = 1
    max_attempts  = 1200
  }
}

build {
  sources = ["source.amazon-ebs.image"]

  provisioner "shell" {
    script           = "${path.root}/scripts/10-prepare.sh"
    execute_command  = "chmod +x '{{ .Path }}' && sudo env {{ .Vars }} '{{ .Path }}'"
    environment_vars = ["PACKAGE_PROXY=${var.package_proxy}", "BAKE_ROLE=${var.puppet_role}"]
  }

  provisioner "file" {
    source      = var.uploads
    destination = "/var/cache/hcluster/"
  }

  # In order; the last one decides whether this becomes an image.
  provisioner "shell" {
    scripts = [
      "${path.root}/scripts/20-puppet.sh",
      "${path.root}/scripts/30-version.sh",
      "${path.root}/scripts/40-cleanup.sh",
      "${path.root}/scripts/45-archives.sh",
      "${path.root}/scripts/50-validate.sh",
    ]
    execute_command  = "chmod +x '{{ .Path }}' && sudo env {{ .Vars }} '{{ .Path }}'"
    environment_vars = ["BAKE_REGION=${var.region}", "BAKE_ROLE=${var.puppet_role}"]
  }
}
