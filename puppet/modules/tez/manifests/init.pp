# @summary Configuration of Tez.
#
# @param tez_site properties of tez-site.xml
# @param conf_dir where it goes
class tez (
  Hadoop::Properties $tez_site,
  String[1]          $conf_dir,
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    $conf_dir:
      ensure => directory,
      mode   => '0755',
      ;
    "${conf_dir}/tez-site.xml":
      mode    => '0644',
      content => hadoop::xml($tez_site),
      ;
  }
}
