# @summary What daemons are restarted for: they subscribe to it, and not to files which change with the cluster's size.
#
# @param text everything that a restart is worth, in any form
# @param files files that must lie there before a daemon starts
define daemon::settings (
  String        $text,
  Array[String] $files,
) {
  include daemon

  file { "${daemon::conf_dir}/${title}.settings":
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => "${text.sha256}\n",
    require => File[$files],
  }
}
