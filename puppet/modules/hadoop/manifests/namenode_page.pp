# @summary The web page of HDFS, which Maven artifacts do not carry; the NameNode serves it as it is.
#
# @param path where the file goes: the start page of the NameNode's web application
class hadoop::namenode_page (
  String[1] $path,
) {
  file { $path:
    owner  => 'root',
    group  => 'root',
    mode   => '0644',
    source => 'puppet:///modules/hadoop/namenode.html',
  }
}
