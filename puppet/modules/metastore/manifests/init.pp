# @summary The Hive metastore: its configuration, its schema and its daemon. The database server is there already.
#
# @param metastore_site properties of metastore-site.xml, without those of the connection
# @param conf_dir where it goes
# @param database name of the database
# @param user account of the database, and of the daemon
# @param password its password
# @param secret file that holds the password, for the script that makes the account
# @param marker file beside the data that exists while a dump is being restored
# @param restore whether an empty database is filled from the newest dump in the bucket
# @param schema SQL file that makes the schema
# @param daemon parameters of daemon::java
class metastore (
  Hadoop::Properties        $metastore_site,
  String[1]                 $conf_dir,
  Pattern[/\A\w+\z/]        $database,
  Pattern[/\A\w+\z/]        $user,
  Sensitive[String[1]]      $password,
  String[1]                 $secret,
  String[1]                 $marker,
  Boolean                   $restore,
  String[1]                 $schema,
  Hash[String[1], NotUndef] $daemon,
) {
  $connection = {
    'javax.jdo.option.ConnectionDriverName' => 'org.mariadb.jdbc.Driver',
    'javax.jdo.option.ConnectionURL'        => "jdbc:mariadb://127.0.0.1:3306/${database}?useSSL=false",
    'javax.jdo.option.ConnectionUserName'   => $user,
    'javax.jdo.option.ConnectionPassword'   => $password.unwrap,
  }
  $prepare = '/usr/local/lib/hcluster/metastore-database'

  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    $conf_dir:
      ensure => directory,
      mode   => '0755',
      ;
    "${conf_dir}/metastore-site.xml":
      owner   => $user,
      mode    => '0400',
      content => Sensitive(hadoop::xml($metastore_site + $connection)),
      ;
    $prepare:
      mode    => '0755',
      content => epp('metastore/database.sh.epp', {
          'database' => $database,
          'user'     => $user,
          'secret'   => $secret,
          'schema'   => $schema,
          'marker'   => $marker,
          'restore'  => $restore,
      }),
      ;
  }

  daemon::java { 'hive-metastore':
    description => 'Hive metastore',
    main_class  => 'org.apache.hadoop.hive.metastore.HiveMetaStore',
    user        => $user,
    prepare     => [$prepare],
    requires    => ['mariadb.service'],
    # A dump of many tables takes its time.
    start_limit => '20min',
    *           => $daemon,
  }

  File["${conf_dir}/metastore-site.xml", $prepare] ~> Daemon::Java['hive-metastore']
}
