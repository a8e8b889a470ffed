"""The API of the embedded cloud: EC2, S3, IAM and STS as AWS speaks them, served by moto, acting on real machines."""
