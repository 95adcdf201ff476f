# Worldflow's template, packaged by `sam package`, as a stack of CloudFormation.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  type        = string
  description = "Name of the stack."
}

variable "template_file" {
  type        = string
  description = "Template that `sam package` wrote."
}

variable "bucket" {
  type        = string
  description = "Bucket in the stack's region for the template, which is too large for a request."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the stack and of each of its resources."
}

data "aws_s3_bucket" "artifacts" {
  bucket = var.bucket
}

# By the hash of its content, so that another template has another URL.
resource "aws_s3_object" "template" {
  bucket = var.bucket
  key    = "${var.name}/${filemd5(var.template_file)}.yaml"
  source = var.template_file
}

resource "aws_cloudformation_stack" "worldflow" {
  name         = var.name
  template_url = "https://${data.aws_s3_bucket.artifacts.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  parameters   = { for name, value in local.parameters : name => value if value != null }
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  tags         = var.tags
}
