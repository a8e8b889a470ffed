#!/bin/sh
# Written by Puppet: changes do not last.
# The commands hadoop, hdfs, yarn and mapred; which one is decided by the name it is called by.
# HADOOP_CLASSPATH, HADOOP_CLIENT_OPTS (JVM flags) and HADOOP_CONF_DIR work as they do elsewhere.
set -eu

home=/opt/hadoop
HADOOP_CONF_DIR=${HADOOP_CONF_DIR:-/etc/hadoop}
HADOOP_HOME=$home
HADOOP_MAPRED_HOME=$home
export HADOOP_CONF_DIR HADOOP_HOME HADOOP_MAPRED_HOME
rest="${HADOOP_CLASSPATH:+:$HADOOP_CLASSPATH}:$home:$HADOOP_CONF_DIR:/opt/hcluster/jars/*"
name=${0##*/}

usage() {
  case $name in
    hadoop) words='classpath CLASSNAME conftest credential fs jar key s3guard version' ;;
    hdfs) words='balancer classpath dfs dfsadmin fsck getconf oev oiv version' ;;
    yarn) words='app application applicationattempt classpath cluster container jar logs node queue rmadmin top version' ;;
    *) words='classpath hsadmin job queue version' ;;
  esac
  echo "usage: $name COMMAND [ARGUMENTS]; commands: $words" >&2
  exit 2
}

[ $# -gt 0 ] || usage
command=$1
shift
case $name-$command in
  hadoop-fs | hadoop-dfs | hdfs-dfs) class=org.apache.hadoop.fs.FsShell ;;
  hadoop-jar | yarn-jar) class=org.apache.hadoop.util.RunJar ;;
  *-version) class=org.apache.hadoop.util.VersionInfo ;;
  *-classpath)
    # For programs that look at the jars themselves.
    echo "$home/lib/hadoop/*:$home/lib/s3a/*$rest"
    exit 0
    ;;
  hadoop-conftest) class=org.apache.hadoop.util.ConfTest ;;
  hadoop-credential) class=org.apache.hadoop.security.alias.CredentialShell ;;
  hadoop-key) class=org.apache.hadoop.crypto.key.KeyShell ;;
  hadoop-s3guard) class=org.apache.hadoop.fs.s3a.s3guard.S3GuardTool ;;
  hdfs-balancer) class=org.apache.hadoop.hdfs.server.balancer.Balancer ;;
  hdfs-dfsadmin) class=org.apache.hadoop.hdfs.tools.DFSAdmin ;;
  hdfs-fsck) class=org.apache.hadoop.hdfs.tools.DFSck ;;
  hdfs-getconf) class=org.apache.hadoop.hdfs.tools.GetConf ;;
  hdfs-namenode) class=org.apache.hadoop.hdfs.server.namenode.NameNode ;;
  hdfs-oev) class=org.apache.hadoop.hdfs.tools.offlineEditsViewer.OfflineEditsViewer ;;
  hdfs-oiv) class=org.apache.hadoop.hdfs.tools.offlineImageViewer.OfflineImageViewerPB ;;
  yarn-app | yarn-application | yarn-applicationattempt | yarn-container)
    class=org.apache.hadoop.yarn.client.cli.ApplicationCLI
    set -- "$command" "$@"
    ;;
  yarn-cluster) class=org.apache.hadoop.yarn.client.cli.ClusterCLI ;;
  yarn-logs) class=org.apache.hadoop.yarn.client.cli.LogsCLI ;;
  yarn-node) class=org.apache.hadoop.yarn.client.cli.NodeCLI ;;
  yarn-queue) class=org.apache.hadoop.yarn.client.cli.QueueCLI ;;
  yarn-rmadmin) class=org.apache.hadoop.yarn.client.cli.RMAdminCLI ;;
  yarn-top) class=org.apache.hadoop.yarn.client.cli.TopCLI ;;
  mapred-hsadmin) class=org.apache.hadoop.mapreduce.v2.hs.client.HSAdmin ;;
  mapred-job) class=org.apache.hadoop.mapred.JobClient ;;
  mapred-queue) class=org.apache.hadoop.mapred.JobQueueClient ;;
  *-*.*) class=$command ;;
  *) usage ;;
esac

flags=
[ ! -r "$HADOOP_CONF_DIR/client.flags" ] || flags="@$HADOOP_CONF_DIR/client.flags"
# shellcheck disable=SC2086 # several flags
exec /usr/bin/java $flags ${HADOOP_CLIENT_OPTS:-} -cp "$home/lib/hadoop.jar$rest" "$class" "$@"
