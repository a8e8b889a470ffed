# @summary Settings that make a run of Puppet short: about a second less.
#
# @param blocklist groups of facts that no manifest uses
class hcluster_node::puppet (
  Array[String[1]] $blocklist,
) {
  $blocked = $blocklist.map |$group| { "\"${group}\"" }.join(', ')

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0644',
      ;
    # A fixed name asks no resolver; owners of Puppet's own files need no look-up of users.
    '/etc/puppet/puppet.conf':
      content => @(CONF),
        # Written by Puppet: changes do not last.
        [main]
        certname = node
        manage_internal_file_permissions = false
        report = false
        storeconfigs = false
        | CONF
      ;
    '/etc/facter':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/facter/facter.conf':
      content => "# Written by Puppet: changes do not last.\nfacts : {\n  blocklist : [ ${blocked} ]\n}\n",
      ;
  }
}
