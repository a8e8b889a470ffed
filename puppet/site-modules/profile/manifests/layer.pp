# @summary What an image adds to its parent, as its YAML says (`hcluster ami bake` writes the Hiera layer).
#
# @param image name of the image
# @param packages Debian packages and their versions
# @param python whether there is a Python environment
# @param jars SHA-256 of each jar, by name
# @param files path and mode of each file
# @param checks how many checks there are
# @param python_dir where Python environments go
# @param jar_dir folder of all layers' jars
# @param check_dir folder of all layers' checks
# @param uploads what was put on the machine to be installed
class profile::layer (
  String[1]                                         $image,
  Hash[String[1], String[1]]                        $packages,
  Boolean                                           $python,
  Hash[String[1], String[1]]                        $jars,
  Array[Struct[{ path => String, mode => String }]] $files,
  Integer[0]                                        $checks,
  String[1]                                         $python_dir,
  String[1]                                         $jar_dir,
  String[1]                                         $check_dir,
  String[1]                                         $uploads,
) {
  class { 'layer':
    image      => $image,
    uploads    => $uploads,
    packages   => $packages,
    python     => $python,
    python_dir => $python_dir,
    jars       => $jars,
    jar_dir    => $jar_dir,
    files      => $files,
    checks     => $checks,
    check_dir  => $check_dir,
  }
  contain layer
}
