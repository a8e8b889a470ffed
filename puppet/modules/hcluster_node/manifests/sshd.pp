# @summary sshd takes keys from EC2 Instance Connect; the bake's cleanup forbids all others.
class hcluster_node::sshd {
  $script = '/usr/local/lib/hcluster/authorized-keys'
  $key = '/etc/ssh/ssh_host_ed25519_key'

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    $script:
      mode   => '0755',
      source => 'puppet:///modules/hcluster_node/authorized-keys.sh',
      ;
    '/etc/ssh/sshd_config.d/10-hcluster.conf':
      content => @("SSHD"),
        # Written by Puppet: changes do not last.
        HostKey ${key}
        AuthorizedKeysCommand ${script} %u
        AuthorizedKeysCommandUser nobody
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        UseDNS no
        MaxStartups 100:30:200
        MaxSessions 100
        | SSHD
      ;
    '/etc/systemd/system/ssh.service.d':
      ensure => directory,
      mode   => '0755',
      ;
    # The image has no host keys: each machine makes its own before sshd looks for it. One of RSA would take up to two
    # seconds of CPU before a node can begin.
    '/etc/systemd/system/ssh.service.d/hcluster.conf':
      content => @("UNIT"),
        # Written by Puppet: changes do not last.
        [Service]
        ExecStartPre=
        ExecStartPre=/bin/sh -c 'test -s ${key} || exec /usr/bin/ssh-keygen -q -t ed25519 -N "" -f ${key}'
        ExecStartPre=/usr/sbin/sshd -t
        | UNIT
      ;
  }
}
