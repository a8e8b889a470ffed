#!/bin/bash
# Leave nothing of the bake: no proxy, no caches, no identity and no way in.
set -euo pipefail

echo "## cleaning up"
rm -f /etc/apt/apt.conf.d/00hcluster-bake /etc/dpkg/dpkg.cfg.d/hcluster-bake /usr/sbin/policy-rc.d
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/cache/puppet/{state,reports,public}
rm -rf /var/cache/hcluster/{*.tar.zst,*.tar.gz,image.json,layer.yaml,jars,files,checks}

# Keys come from EC2 Instance Connect alone. sshd reads this when the next machine boots, so this session can go on.
install -d -m 0755 /etc/ssh/sshd_config.d
echo 'AuthorizedKeysFile none' >/etc/ssh/sshd_config.d/00-hcluster-keys.conf
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /root/.bash_history /home/*/.bash_history /home/*/.sudo_as_admin_successful
