"""SSH to nodes through paramiko: one checked channel for commands, files, terminals and service ports."""
