"""Run work on a cluster: Hive statements and YARN jobs, over an open session to its master."""
