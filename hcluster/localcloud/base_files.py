"""The files that turn a plain Debian root into one that boots as an instance: the part that cloud-init and the cloud's
own kernel play elsewhere. Data only; ``base_image`` writes them."""

from __future__ import annotations

PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "e2fsprogs",
    "gpg",
    "iproute2",
    "netbase",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "zstd",
)

MASKED_UNITS = (
    # No devices, no modules, no consoles of its own, no clock to set: the machine below has them.
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "kmod-static-nodes.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    # There is no uplink: these would only fail.
    "apt-daily.service",
    "apt-daily.timer",
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "motd-news.timer",
)

_INSTANCE_KEY = """\
#!/bin/sh
# Let the key pair of this instance log in as admin, as cloud-init does. Without a key pair nothing is written.
set -eu
imds=http://169.254.169.254/latest
fetch() { curl --silent --show-error --noproxy '*' --max-time 5 --retry 5 --retry-delay 1 --retry-connrefused "$@"; }
token=$(fetch --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token")
answer=$(fetch --write-out '\\n%{http_code}' --header "X-aws-ec2-metadata-token: $token" \\
  "$imds/meta-data/public-keys/0/openssh-key")
case $answer in
*200) ;;
*) exit 0 ;;
esac
key=$(printf '%s\\n' "$answer" | head -n 1)
home=/home/admin/.ssh
install -d -m 0700 -o admin -g admin "$home"
touch "$home/authorized_keys"
grep -qxF -- "$key" "$home/authorized_keys" || printf '%s\\n' "$key" >> "$home/authorized_keys"
chown admin:admin "$home/authorized_keys"
chmod 0600 "$home/authorized_keys"
"""

_INSTANCE_KEY_UNIT = """\
[Unit]
Description=Login key of this instance, from the metadata service
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/lib/instance-key

[Install]
WantedBy=multi-user.target
"""

_SSH_HOST_KEYS = """\
[Service]
# An image has no host keys: each instance makes its own at its first boot, before sshd checks its configuration.
ExecStartPre=
ExecStartPre=/usr/local/lib/ssh-host-keys
ExecStartPre=/usr/sbin/sshd -t
"""

_SSH_HOST_KEYS_SCRIPT = """\
#!/bin/sh
set -eu
for kind in ed25519 ecdsa; do
  file=/etc/ssh/ssh_host_${kind}_key
  test -s "$file" || ssh-keygen -q -t "$kind" -N '' -f "$file"
done
"""

FILES: dict[str, tuple[int, str]] = {
    "usr/local/lib/instance-key": (0o755, _INSTANCE_KEY),
    "etc/systemd/system/instance-key.service": (0o644, _INSTANCE_KEY_UNIT),
    "usr/local/lib/ssh-host-keys": (0o755, _SSH_HOST_KEYS_SCRIPT),
    "etc/systemd/system/ssh.service.d/host-keys.conf": (0o644, _SSH_HOST_KEYS),
    "etc/systemd/system.conf.d/node.conf": (
        0o644,
        "[Manager]\nDefaultTasksMax=infinity\nDefaultTimeoutStopSec=20s\nShowStatus=no\n",
    ),
    # In memory: flushing a journal to disk costs a second of each boot, and the console keeps the end of it anyway.
    "etc/systemd/journald.conf.d/node.conf": (
        0o644,
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=24M\nRateLimitIntervalSec=0\n",
    ),
    "etc/ssh/sshd_config.d/node.conf": (0o644, "PasswordAuthentication no\nUseDNS no\n"),
    "etc/sudoers.d/90-admin": (0o440, "admin ALL=(ALL) NOPASSWD:ALL\n"),
    "etc/default/locale": (0o644, "LANG=C.UTF-8\n"),
    # Empty, not absent: absent means "first boot", on which systemd would enable every unit that a preset allows.
    "etc/machine-id": (0o644, ""),
    "etc/hostname": (0o644, "localhost\n"),
}

LINKS = {
    "etc/systemd/system/multi-user.target.wants/instance-key.service": "/etc/systemd/system/instance-key.service",
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
} | {f"etc/systemd/system/{unit}": "/dev/null" for unit in MASKED_UNITS}
"""Symbolic links, path below the root: target."""

REMOVED = ("etc/ssh/ssh_host_*_key*", "var/lib/dbus/machine-id", "var/log/journal/*", "var/cache/apt/*.bin")
"""What must be unique to an instance or is waste, as globs below the root."""

DPKG_OPTIONS = (
    # Nodes are made and thrown away: neither fsync nor manuals are worth their time.
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
