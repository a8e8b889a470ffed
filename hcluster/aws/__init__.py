"""The one adapter that speaks to AWS, or to anything that answers like it, through boto3."""
